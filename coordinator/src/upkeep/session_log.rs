//! Says in the log when a session of this node is made, opened anew, closed, or has failed: one
//! line each, whoever brought it about (a request, a submit, idleness, a change of the mode).
//!
//! **Invariant:** told by the change feed and never asked for: what was there before this process
//! began is no news, and a session that only changes its state has no line.

use std::collections::BTreeMap;

use libra_proto::registry::{SessionRecord, SessionState};
use libra_proto::types::{Change, NodeId, SessionId};
use libra_raft::registry::Registry;
use libra_raft::{ChangeFeed, FeedEvent, Handle};

/// What was last said of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    epoch: u64,
    there: bool,
}

/// A piece of news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Made,
    OpenedAnew,
    Closed,
    Failed,
}

/// The follower of the sessions of one node.
pub(crate) struct SessionLog {
    handle: Handle,
    node: NodeId,
    feed: ChangeFeed,
    seen: BTreeMap<SessionId, Seen>,
}

impl SessionLog {
    /// Takes the sessions that are there now as known.
    pub(crate) fn new(handle: Handle, node: NodeId) -> Self {
        let feed = handle.subscribe();
        let seen = handle.view(|registry| {
            let sessions = registry.sessions_after(None);
            let known = sessions.filter_map(|session| Some((id_of(session)?, Seen::of(session))));
            known.collect()
        });
        Self {
            handle,
            node,
            feed,
            seen,
        }
    }

    /// Writes the lines until the registry stops.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub(crate) async fn run(mut self) {
        loop {
            let touched = match self.feed.next().await {
                FeedEvent::Changes(changes, _) => changes.into_iter().filter_map(session).collect(),
                FeedEvent::Lagged => self.all(),
                FeedEvent::Closed => return,
            };
            let (node, seen) = (self.node, &mut self.seen);
            self.handle
                .view(|registry| look(registry, node, seen, touched));
        }
    }

    fn all(&self) -> Vec<SessionId> {
        let mut ids: Vec<_> = self.seen.keys().cloned().collect();
        self.handle
            .view(|registry| ids.extend(registry.sessions_after(None).filter_map(id_of)));
        ids
    }
}

fn session(change: Change) -> Option<SessionId> {
    match change {
        Change::Session(id) => Some(id),
        Change::Statement(..) | Change::Settings => None,
    }
}

fn id_of(session: &SessionRecord) -> Option<SessionId> {
    session.session_id.parse().ok()
}

fn look(
    registry: &Registry,
    node: NodeId,
    seen: &mut BTreeMap<SessionId, Seen>,
    touched: Vec<SessionId>,
) {
    for id in touched {
        let Some(session) = registry.session(&id) else {
            seen.remove(&id);
            continue;
        };
        let before = seen.insert(id, Seen::of(session));
        if session.owner_node == node.0 {
            for news in news(before, session) {
                tell(news, session);
            }
        }
    }
}

impl Seen {
    fn of(session: &SessionRecord) -> Self {
        Self {
            epoch: session.epoch,
            there: session.state().is_owned(),
        }
    }
}

/// What leads from what was last said to how it is; also what came and went between two looks.
fn news(before: Option<Seen>, session: &SessionRecord) -> Vec<News> {
    let mut news = Vec::new();
    match before {
        None => news.push(News::Made),
        Some(before) if !before.there && session.epoch > before.epoch => {
            news.push(News::OpenedAnew);
        }
        Some(_) => {}
    }
    let was_there = before.is_some_and(|before| before.there) || !news.is_empty();
    match session.state() {
        SessionState::Closed if was_there => news.push(News::Closed),
        SessionState::Failed if was_there => news.push(News::Failed),
        SessionState::Closed
        | SessionState::Failed
        | SessionState::Unspecified
        | SessionState::Starting
        | SessionState::Open
        | SessionState::Closing => {}
    }
    news
}

fn tell(news: News, session: &SessionRecord) {
    let (session_id, user, epoch) = (&session.session_id, &session.user, session.epoch);
    let mode = session.mode().as_str_name();
    let mode = mode.strip_prefix("MODE_").unwrap_or(mode);
    match news {
        News::Made => {
            let endpoint = &session.endpoint;
            tracing::info!(session_id, user, mode, epoch, endpoint, "session created");
        }
        News::OpenedAnew => {
            let endpoint = &session.endpoint;
            tracing::info!(session_id, user, mode, epoch, endpoint, "session reopened");
        }
        News::Closed => {
            let (reason, statements) = (&session.close_reason, session.total_statements);
            tracing::info!(
                session_id,
                user,
                mode,
                epoch,
                statements,
                reason,
                "session closed"
            );
        }
        News::Failed => {
            let error = session.error.clone().unwrap_or_default();
            let (error_class, reason) = (error.error_class, error.message);
            tracing::warn!(
                session_id,
                user,
                mode,
                epoch,
                error_class,
                reason,
                "session failed"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(state: SessionState, epoch: u64) -> SessionRecord {
        let mut session = SessionRecord {
            epoch,
            ..SessionRecord::default()
        };
        session.set_state(state);
        session
    }

    #[test]
    fn every_beginning_and_every_end_is_told_once() {
        use News::{Closed, Failed, Made, OpenedAnew};
        let there = |epoch| Some(Seen { epoch, there: true });
        let gone = |epoch| {
            Some(Seen {
                epoch,
                there: false,
            })
        };
        for (before, state, epoch, expected) in [
            (None, SessionState::Starting, 1, vec![Made]),
            (there(1), SessionState::Open, 1, vec![]),
            (there(1), SessionState::Starting, 1, vec![]),
            // Taken over by another owner.
            (there(1), SessionState::Open, 2, vec![]),
            (there(1), SessionState::Closing, 1, vec![]),
            (there(1), SessionState::Closed, 1, vec![Closed]),
            (there(1), SessionState::Failed, 1, vec![Failed]),
            (gone(1), SessionState::Closed, 1, vec![]),
            (gone(1), SessionState::Starting, 2, vec![OpenedAnew]),
            (gone(1), SessionState::Closed, 2, vec![OpenedAnew, Closed]),
            (None, SessionState::Closed, 1, vec![Made, Closed]),
        ] {
            assert_eq!(news(before, &session(state, epoch)), expected, "{state:?}");
        }
    }
}

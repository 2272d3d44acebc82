//! Says in the log, and counts, when a session of this node is made, opened anew, taken over from
//! another node, loses its Spark session, is closed, or has failed: one line each, by its owner,
//! whoever brought it about (a request, a submit, idleness, a change of the mode, a node's end).
//!
//! **Invariant:** told by the change feed and never asked for: what was there before this process
//! began is no news, and a session that only changes its state has no line.

use std::collections::BTreeMap;

use libra_proto::registry::{SessionRecord, SessionState};
use libra_proto::types::{Change, NodeId, SessionId};
use libra_raft::registry::Registry;
use libra_raft::{ChangeFeed, FeedEvent, Handle};
use prometheus::{IntCounterVec, Opts, Registry as Metrics};

/// What was last said of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    epoch: u64,
    owner: u64,
    resets: usize,
    there: bool,
}

/// A piece of news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum News {
    Made,
    OpenedAnew,
    TakenOver { from: u64 },
    Reset,
    Closed,
    Failed,
}

impl News {
    /// Its name among the metrics.
    fn label(self) -> &'static str {
        match self {
            Self::Made => "created",
            Self::OpenedAnew => "reopened",
            Self::TakenOver { .. } => "taken-over",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::Failed => "failed",
        }
    }
}

const ALL: [News; 6] = [
    News::Made,
    News::OpenedAnew,
    News::TakenOver { from: 0 },
    News::Reset,
    News::Closed,
    News::Failed,
];

/// The follower of the sessions of one node.
pub(crate) struct SessionLog {
    handle: Handle,
    node: NodeId,
    feed: ChangeFeed,
    seen: BTreeMap<SessionId, Seen>,
    counted: IntCounterVec,
}

impl SessionLog {
    /// Takes the sessions that are there now as known, and registers what it counts.
    ///
    /// # Errors
    /// When the metric's name is taken.
    pub(crate) fn new(
        metrics: &Metrics,
        handle: Handle,
        node: NodeId,
    ) -> Result<Self, prometheus::Error> {
        let counted = Opts::new(
            "libra_session_events_total",
            "What happened to sessions of this node, by event",
        );
        let counted = IntCounterVec::new(counted, &["event"])?;
        for news in ALL {
            let _ = counted.with_label_values(&[news.label()]);
        }
        metrics.register(Box::new(counted.clone()))?;
        let feed = handle.subscribe();
        let seen = handle.view(|registry| {
            let sessions = registry.sessions_after(None);
            let known = sessions.filter_map(|session| Some((id_of(session)?, Seen::of(session))));
            known.collect()
        });
        Ok(Self {
            handle,
            node,
            feed,
            seen,
            counted,
        })
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
            let (node, seen, counted) = (self.node, &mut self.seen, &self.counted);
            // Told outside: writing a line may take as long as whoever reads the log.
            let told = self
                .handle
                .view(|registry| look(registry, node, seen, touched));
            for (news, session, log_index) in told {
                counted.with_label_values(&[news.label()]).inc();
                tell(news, &session, log_index);
            }
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
) -> Vec<(News, SessionRecord, u64)> {
    let mut told = Vec::new();
    for id in touched {
        let Some(session) = registry.session(&id) else {
            seen.remove(&id);
            continue;
        };
        let before = seen.insert(id, Seen::of(session));
        if session.owner_node == node.0 {
            let index = registry.applied_index();
            let news = news(before, session).into_iter();
            told.extend(news.map(|news| (news, session.clone(), index)));
        }
    }
    told
}

impl Seen {
    fn of(session: &SessionRecord) -> Self {
        Self {
            epoch: session.epoch,
            owner: session.owner_node,
            resets: session.resets.len(),
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
        Some(before) if before.owner != session.owner_node => {
            news.push(News::TakenOver { from: before.owner });
        }
        Some(_) => {}
    }
    if before.is_some_and(|before| session.resets.len() > before.resets) {
        news.push(News::Reset);
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

fn tell(news: News, session: &SessionRecord, log_index: u64) {
    let (session_id, user, epoch) = (&session.session_id, &session.user, session.epoch);
    let mode = session.mode().as_str_name();
    let mode = mode.strip_prefix("MODE_").unwrap_or(mode);
    match news {
        News::Made => {
            let endpoint = &session.endpoint;
            tracing::info!(
                session_id,
                user,
                mode,
                epoch,
                endpoint,
                log_index,
                "session created"
            );
        }
        News::TakenOver { from } => {
            tracing::info!(
                session_id,
                user,
                mode,
                epoch,
                from_node = from,
                log_index,
                "session taken over"
            );
        }
        News::Reset => {
            let reason = session.resets.last().map(|reset| reset.reason.as_str());
            tracing::warn!(
                session_id,
                user,
                mode,
                epoch,
                reason,
                log_index,
                "Spark session lost; the session gets a new one"
            );
        }
        News::OpenedAnew => {
            let endpoint = &session.endpoint;
            tracing::info!(
                session_id,
                user,
                mode,
                epoch,
                endpoint,
                log_index,
                "session reopened"
            );
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
                log_index,
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
                log_index,
                "session failed"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use libra_proto::registry::SessionReset;

    use super::*;

    fn session(state: SessionState, epoch: u64) -> SessionRecord {
        let mut session = SessionRecord {
            epoch,
            owner_node: 1,
            ..SessionRecord::default()
        };
        session.set_state(state);
        session
    }

    #[test]
    fn every_beginning_and_every_end_is_told_once() {
        use News::{Closed, Failed, Made, OpenedAnew};
        let there = |epoch| {
            Some(Seen {
                epoch,
                owner: 1,
                resets: 0,
                there: true,
            })
        };
        let gone = |epoch| {
            Some(Seen {
                epoch,
                owner: 1,
                resets: 0,
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

    #[test]
    fn the_new_owner_tells_of_a_move_and_the_owner_of_a_reset() {
        let mut moved = session(SessionState::Open, 2);
        let before = Seen::of(&moved);
        moved.owner_node = 3;
        moved.resets.push(SessionReset::default());
        let told = news(Some(before), &moved);
        assert_eq!(told, [News::TakenOver { from: 1 }, News::Reset]);
        assert_eq!(news(Some(Seen::of(&moved)), &moved), []);
    }
}

//! `…/{jobId}/events`: what happens to a statement, as server-sent events.
//!
//! An event's id says how far the statement was, in words of the registry alone, so that any node
//! can go on from it: `rank:cancel:reset:tasks`.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::State;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, stream};
use http::{HeaderMap, StatusCode};
use libra_proto::registry::StatementState;
use libra_proto::types::{JobId, SessionId};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, timeout_at};

use super::result::too_many;
use super::{AnyHead, marked, present};
use crate::http::Api;
use crate::http::extract::StatementPath;
use crate::http::extract::accept::{EVENTS, negotiate};
use crate::http::extract::headers::LAST_EVENT_ID;
use crate::http::metrics::Running;
use crate::http::problem::{Problem, ProblemBody};
use crate::service::{Consistency, FieldError, StatementSnapshot, Waiter};

/// One event of the stream, by its lines.
#[derive(utoipa::ToSchema)]
#[schema(as = Event)]
#[expect(dead_code, reason = "only the document speaks of it")]
pub(crate) struct EventBody {
    /// How far the statement is, for `Last-Event-ID`.
    #[schema(example = "2:0:0:3")]
    id: String,
    /// What happened.
    #[schema(pattern = "^(state|progress|session-reset|end)$", example = "progress")]
    event: String,
    /// The statement without rows: a `Statement` as JSON.
    data: String,
}

/// Streams what happens to a statement: `state`, `progress`, `session-reset`, `end`.
#[utoipa::path(get, path = "/api/v1/sessions/{sessionId}/statements/{jobId}/events",
    operation_id = "followStatement", tag = "statements",
    params(
        ("sessionId" = String, Path, description = "Its session", example = "default"),
        ("jobId" = String, Path, description = "Its id", example = "job-17"),
        ("stale" = Option<bool>, Query, description = "Begin with whatever this node has applied"),
        ("Last-Event-ID" = Option<String>, Header, description = "Go on after this event"),
    ),
    responses(
        (status = 200, description = "Events; `data` is a Statement without rows",
            body = EventBody, content_type = "text/event-stream"),
        (status = 204, description = "The event `end` was seen before: do not come again"),
        (status = 404, description = "No such statement", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 429, description = "Too many open streams", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
pub(crate) async fn get(
    State(api): State<Api>,
    path: StatementPath,
    AnyHead(head): AnyHead,
) -> Result<Response, Problem> {
    negotiate(head.headers(), &[EVENTS])?;
    let mut query = head.read_query(&[]);
    let stale = query.flag("stale");
    query.finish()?;
    let seen = last_event_id(head.headers())?;
    let consistency = head.consistency(&api, stale);
    let service = api.service();
    let found = service
        .statement(path.job, path.session.as_ref(), consistency)
        .await?;
    if seen.is_some_and(|mark| mark.rank == Mark::END) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let session: SessionId = found.record.session_id.parse().map_err(|_| {
        Problem::new(
            crate::service::ErrorCode::Internal,
            "a session id in the registry",
        )
    })?;
    let permit = Arc::clone(&api.inner.streams).try_acquire_owned();
    let permit = permit.map_err(|_| too_many(&api))?;
    let follower = Follower {
        waiter: service.waiter(path.job, &session)?,
        job: path.job,
        seen: seen.unwrap_or_else(|| Mark::before(&found)),
        reconnecting: false,
        due: VecDeque::new(),
        until: Instant::now() + api.options().stream_lifetime,
        ended: false,
        counted: api.metrics().stream_begins(),
        permit,
        api: api.clone(),
    };
    let alive = KeepAlive::new()
        .interval(api.options().event_comment_every)
        .text("alive");
    let events = Sse::new(follow(follower)).keep_alive(alive);
    Ok(marked(&api, stale, events.into_response()))
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<Mark>, Problem> {
    let Some(value) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let text = value.to_str().unwrap_or("?");
    let wrong = |()| {
        let allowed = "the id of an event of this stream";
        Problem::invalid(vec![FieldError::new("Last-Event-ID", text, allowed)])
    };
    text.parse().map(Some).map_err(wrong)
}

/// How far a statement was when an event was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    rank: u8,
    cancel: bool,
    reset_ms: u64,
    tasks: u64,
}

impl Mark {
    /// Nothing was sent yet.
    const NOTHING: u8 = 0;
    const QUEUED: u8 = 1;
    const RUNNING: u8 = 2;
    const ENDED: u8 = 3;
    /// The event `end` was sent.
    const END: u8 = 4;

    /// As if nothing had been told of the statement; resets before now are no news.
    fn before(found: &StatementSnapshot) -> Self {
        Self {
            rank: Self::NOTHING,
            cancel: false,
            reset_ms: found.reset_ms,
            tasks: 0,
        }
    }

    fn of(found: &StatementSnapshot) -> Self {
        let rank = match found.record.state() {
            StatementState::Unspecified | StatementState::Queued => Self::QUEUED,
            StatementState::Running => Self::RUNNING,
            StatementState::Succeeded | StatementState::Failed | StatementState::Cancelled => {
                Self::ENDED
            }
        };
        Self {
            rank,
            cancel: found.record.cancel_requested_at_ms != 0,
            reset_ms: found.reset_ms,
            tasks: found.live.progress.map_or(0, |p| p.completed_tasks),
        }
    }

    fn id(self) -> String {
        let cancel = u8::from(self.cancel);
        format!("{}:{cancel}:{}:{}", self.rank, self.reset_ms, self.tasks)
    }
}

impl FromStr for Mark {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let parts: Vec<&str> = text.split(':').collect();
        let [rank, cancel, reset_ms, tasks] = parts.as_slice() else {
            return Err(());
        };
        let rank = rank.parse().ok().filter(|r| (1..=Self::END).contains(r));
        Ok(Self {
            rank: rank.ok_or(())?,
            cancel: match *cancel {
                "0" => false,
                "1" => true,
                _ => return Err(()),
            },
            reset_ms: reset_ms.parse().map_err(|_| ())?,
            tasks: tasks.parse().map_err(|_| ())?,
        })
    }
}

/// The names of the events that lead from `seen` to `now`, each with its id.
fn events_between(seen: Mark, now: Mark, told_anew: bool) -> Vec<(&'static str, Mark)> {
    let mut events = Vec::new();
    if now.reset_ms > seen.reset_ms {
        let mark = Mark {
            reset_ms: now.reset_ms,
            ..seen
        };
        events.push(("session-reset", mark));
    }
    if now.rank > seen.rank || (now.cancel && !seen.cancel) || told_anew {
        events.push((
            "state",
            Mark {
                tasks: seen.tasks.min(now.tasks),
                ..now
            },
        ));
    }
    if now.tasks > seen.tasks {
        events.push(("progress", now));
    }
    if now.rank == Mark::ENDED {
        events.push((
            "end",
            Mark {
                rank: Mark::END,
                ..now
            },
        ));
    }
    events
}

/// Someone who follows a statement.
struct Follower {
    api: Api,
    waiter: Waiter,
    job: JobId,
    seen: Mark,
    reconnecting: bool,
    due: VecDeque<Event>,
    until: Instant,
    ended: bool,
    counted: Running,
    permit: OwnedSemaphorePermit,
}

fn follow(follower: Follower) -> impl Stream<Item = Result<Event, Infallible>> {
    stream::unfold(follower, |mut follower| async move {
        let event = follower.next().await?;
        Some((Ok(event), follower))
    })
}

impl Follower {
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.due.pop_front() {
                return Some(event);
            }
            if self.ended {
                return None;
            }
            self.look().await?;
            if self.due.is_empty() {
                self.wait().await?;
            }
        }
    }

    /// Puts down the events that lead to how things are; nothing if the statement is gone.
    async fn look(&mut self) -> Option<()> {
        let _held = (&self.counted, &self.permit);
        let service = self.api.service();
        let found = service
            .statement(self.job, None, Consistency::Stale)
            .await
            .ok()?;
        let now = Mark::of(&found);
        let reconnecting = found.live.reconnecting && now.rank == Mark::RUNNING;
        let told_anew = now.rank == Mark::RUNNING && reconnecting != self.reconnecting;
        let events = events_between(self.seen, now, told_anew);
        if events.is_empty() {
            return Some(());
        }
        let view = present::statement(&found).ok()?;
        for (name, mark) in events {
            let event = Event::default().event(name).id(mark.id());
            self.due.push_back(event.json_data(&view).ok()?);
            self.seen = mark;
        }
        self.reconnecting = reconnecting;
        self.ended = found.has_ended();
        Some(())
    }

    /// Waits for something to happen; nothing if the stream is to end: the client comes again.
    async fn wait(&mut self) -> Option<()> {
        let service = self.api.service().clone();
        tokio::select! {
            changed = timeout_at(self.until, service.next_change(&mut self.waiter)) => {
                changed.ok()?.ok()
            }
            () = service.drained() => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(rank: u8, tasks: u64) -> Mark {
        Mark {
            rank,
            cancel: false,
            reset_ms: 0,
            tasks,
        }
    }

    fn names(seen: Mark, now: Mark) -> Vec<&'static str> {
        events_between(seen, now, false)
            .into_iter()
            .map(|(name, _)| name)
            .collect()
    }

    #[test]
    fn ids_read_back_and_nonsense_does_not() {
        let mark = Mark {
            rank: 2,
            cancel: true,
            reset_ms: 17,
            tasks: 5,
        };
        assert_eq!(mark.id().parse(), Ok(mark));
        for bad in [
            "",
            "x",
            "0:0:0:0",
            "5:0:0:0",
            "1:0:0",
            "1:0:0:0:0",
            "1:0:-1:0",
            "1:x:0:0",
            "1::0:0",
        ] {
            assert_eq!(bad.parse::<Mark>(), Err(()), "{bad}");
        }
    }

    #[test]
    fn every_way_forward_is_told_once() {
        assert_eq!(names(mark(0, 0), mark(1, 0)), ["state"]);
        assert_eq!(names(mark(1, 0), mark(2, 3)), ["state", "progress"]);
        assert_eq!(names(mark(2, 3), mark(2, 4)), ["progress"]);
        assert_eq!(names(mark(2, 4), mark(2, 4)), [""; 0]);
        assert_eq!(
            names(mark(2, 4), mark(2, 0)),
            [""; 0],
            "another node sees no progress"
        );
        assert_eq!(names(mark(2, 4), mark(3, 0)), ["state", "end"]);
        assert_eq!(
            names(mark(3, 0), mark(3, 0)),
            ["end"],
            "cut off between the two"
        );
        let reset = Mark {
            reset_ms: 9,
            ..mark(3, 0)
        };
        assert_eq!(names(mark(1, 0), reset), ["session-reset", "state", "end"]);
        let cancel = Mark {
            cancel: true,
            ..mark(2, 0)
        };
        assert_eq!(names(mark(2, 0), cancel), ["state"]);
        assert_eq!(names(cancel, cancel), [""; 0]);
    }

    #[test]
    fn a_client_that_comes_again_after_any_event_misses_nothing() {
        let now = Mark {
            cancel: true,
            reset_ms: 9,
            ..mark(3, 7)
        };
        let all = events_between(mark(0, 0), now, false);
        for (at, (_, seen)) in all.iter().enumerate() {
            let rest = &all[at + 1..];
            if seen.rank == Mark::END {
                assert!(rest.is_empty());
            } else {
                assert_eq!(events_between(*seen, now, false), rest);
            }
        }
    }
}

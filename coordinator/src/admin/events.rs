//! The stream of events, from a position on.
//!
//! **Invariant:** nothing is kept for a reader: it reads what the node keeps, when it has room for it.
//! One that is too slow for that is told so and ends.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use libra_proto::admin::{
    Event, EventKind, Position, WatchEventsRequest, WatchEventsResponse, event,
    watch_events_request::Begin,
};
use libra_raft::{Events, EventsError};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Instant, sleep_until};
use tonic::Status;

use super::AdminService;
use super::call::Call;
use super::problem::Problem;
use super::reason::Reason;

/// How many events are read at once.
const PAGE: usize = 256;
/// After how long without an event a reader is shown that the stream lives.
const MARK_EVERY: Duration = Duration::from_secs(15);

impl AdminService {
    pub(super) async fn answer_watch_events(
        &self,
        call: &Call,
        asked: WatchEventsRequest,
    ) -> Result<impl Stream<Item = Result<WatchEventsResponse, Status>> + Send + use<>, Problem>
    {
        let place = Arc::clone(&self.watchers).try_acquire_owned();
        let place = place.map_err(|_| {
            let message = "as many streams of events as this node serves are open";
            Problem::new(Reason::TooManyWatchers, message)
        })?;
        let kinds = kinds_of(&asked.kinds)?;
        self.catch_up(call).await?;
        let events = self.handle.events();
        let position = match asked.begin {
            Some(Begin::After(position)) => position,
            Some(Begin::Oldest(true)) => events.oldest(),
            Some(Begin::Oldest(false) | Begin::Now(_)) | None => events.newest(),
        };
        // So that a position that is no good is told at once, not in the stream.
        events.after(position, 1).map_err(told_at_once)?;
        let watcher = Watcher {
            service: self.clone(),
            events,
            position,
            kinds,
            session_id: asked.session_id,
            found: VecDeque::new(),
            mark_at: Instant::now() + MARK_EVERY,
            over: false,
            _place: place,
        };
        Ok(futures::stream::unfold(watcher, |mut watcher| async move {
            let next = watcher.next().await?;
            Some((next, watcher))
        }))
    }
}

/// One reader.
struct Watcher {
    service: AdminService,
    events: Events,
    /// Everything up to here was read.
    position: Position,
    kinds: Vec<EventKind>,
    session_id: String,
    /// Read, and not taken yet.
    found: VecDeque<Arc<Event>>,
    mark_at: Instant,
    /// The reader has been told why nothing follows.
    over: bool,
    _place: OwnedSemaphorePermit,
}

impl Watcher {
    async fn next(&mut self) -> Option<Result<WatchEventsResponse, Status>> {
        loop {
            if self.over {
                return None;
            }
            if let Some(event) = self.found.pop_front() {
                self.mark_at = Instant::now() + MARK_EVERY;
                return Some(Ok(WatchEventsResponse {
                    position: event.position,
                    event: Some(Event::clone(&event)),
                }));
            }
            match self.events.after(self.position, PAGE) {
                Ok(page) if page.reached != self.position => {
                    self.position = page.reached;
                    let wanted = page
                        .events
                        .into_iter()
                        .filter(|event| self.is_wanted(event));
                    let wanted: Vec<_> = wanted.collect();
                    self.found.extend(wanted);
                    continue;
                }
                Ok(_) => {}
                Err(error) => return Some(Err(self.end(overtaken(error)))),
            }
            tokio::select! {
                () = self.events.beyond(self.position) => {}
                () = sleep_until(self.mark_at) => {
                    self.mark_at = Instant::now() + MARK_EVERY;
                    return Some(Ok(WatchEventsResponse {
                        position: Some(self.position),
                        event: None,
                    }));
                }
                () = self.leaves() => {
                    let message = "this node is leaving: go on at another, after the last position";
                    return Some(Err(self.end(Problem::new(Reason::Draining, message))));
                }
            }
        }
    }

    async fn leaves(&self) {
        tokio::select! {
            () = self.service.service.drained() => {}
            () = self.service.closing.cancelled() => {}
        }
    }

    fn end(&mut self, problem: Problem) -> Status {
        self.over = true;
        problem.into()
    }

    fn is_wanted(&self, event: &Event) -> bool {
        let Some(kind) = &event.kind else {
            return false;
        };
        let (name, session) = describe(kind);
        (self.kinds.is_empty() || self.kinds.contains(&name))
            && (self.session_id.is_empty() || session == Some(self.session_id.as_str()))
    }
}

fn told_at_once(error: EventsError) -> Problem {
    match error {
        EventsError::Expired { oldest } => expired(Reason::EventsExpired, &error, oldest),
        EventsError::Ahead { applied } => {
            Problem::new(Reason::EventsAhead, error.to_string()).with("applied_index", applied)
        }
    }
}

fn overtaken(error: EventsError) -> Problem {
    match error {
        EventsError::Expired { oldest } => expired(Reason::ReaderTooSlow, &error, oldest),
        EventsError::Ahead { applied } => {
            Problem::new(Reason::EventsAhead, error.to_string()).with("applied_index", applied)
        }
    }
}

fn expired(reason: Reason, error: &EventsError, oldest: Position) -> Problem {
    Problem::new(reason, error.to_string())
        .with("oldest_index", oldest.index)
        .with("oldest_ordinal", oldest.ordinal)
}

fn kinds_of(kinds: &[i32]) -> Result<Vec<EventKind>, Problem> {
    let kind = |number: &i32| {
        EventKind::try_from(*number)
            .ok()
            .filter(|kind| *kind != EventKind::Unspecified)
            .ok_or_else(|| Problem::invalid("kinds", number, "a kind of event"))
    };
    kinds.iter().map(kind).collect()
}

/// What kind of event it is, and which session it belongs to.
fn describe(kind: &event::Kind) -> (EventKind, Option<&str>) {
    use event::Kind as Told;
    match kind {
        Told::LeaderElected(_) => (EventKind::LeaderElected, None),
        Told::MembersChanged(_) => (EventKind::MembersChanged, None),
        Told::NodeRegistered(_) => (EventKind::NodeRegistered, None),
        Told::NodeStateChanged(_) => (EventKind::NodeStateChanged, None),
        Told::NodeRemoved(_) => (EventKind::NodeRemoved, None),
        Told::FailedOver(_) => (EventKind::FailedOver, None),
        Told::SessionCreated(told) => (EventKind::SessionCreated, Some(&told.session_id)),
        Told::SessionOpened(told) => (EventKind::SessionOpened, Some(&told.session_id)),
        Told::SessionMoved(told) => (EventKind::SessionMoved, Some(&told.session_id)),
        Told::SessionReset(told) => (EventKind::SessionReset, Some(&told.session_id)),
        Told::SessionEnded(told) => (EventKind::SessionEnded, Some(&told.session_id)),
        Told::StatementEnded(told) => (EventKind::StatementEnded, Some(&told.session_id)),
        Told::PoolChanged(_) => (EventKind::PoolChanged, None),
        Told::PoolRemoved(_) => (EventKind::PoolRemoved, None),
        Told::SettingsChanged(_) => (EventKind::SettingsChanged, None),
        Told::FeatureLevelRaised(_) => (EventKind::FeatureLevelRaised, None),
        Told::Restored(_) => (EventKind::Restored, None),
    }
}

//! What operators are told, kept for a while: derived from the applied log, so that every node tells
//! the same at the same positions.
//!
//! **Invariant:** bounded, and it never waits for a reader: one that is overtaken is told so. What is
//! told after a position is all there was after it, or an error.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libra_proto::admin::{Event, Position};
use prost::Message;
use thiserror::Error;
use tokio::sync::watch;

/// How many events are kept, and how many bytes of them: what comes first.
const EVENTS_KEPT: usize = 50_000;
const BYTES_KEPT: usize = 16 << 20;

/// The ordinal that comes after all of an entry's.
const END: u32 = u32::MAX;

/// Events that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EventsError {
    /// What came after the position is not kept any more, or never was here.
    #[error("the events after {}/{} are kept no more", oldest.index, oldest.ordinal)]
    Expired {
        /// The oldest position that can be read from.
        oldest: Position,
    },
    /// The registry has not come so far here.
    #[error("the log is applied up to index {applied} here")]
    Ahead {
        /// How far it has come.
        applied: u64,
    },
}

/// Some events, and how far they reach.
#[derive(Debug, Clone)]
pub struct EventPage {
    /// In order.
    pub events: Vec<Arc<Event>>,
    /// Everything up to here has been read: where to go on.
    pub reached: Position,
}

/// The newest events of this node's registry.
#[derive(Debug)]
pub(crate) struct EventLog {
    kept: Mutex<Kept>,
    /// The index up to which there are no more events to come.
    reached: watch::Sender<u64>,
    most: usize,
}

#[derive(Debug)]
struct Kept {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    /// Everything after it is here.
    floor: Position,
    /// The log is applied up to here.
    applied: u64,
}

impl EventLog {
    /// Of a registry that goes on after that index.
    pub(crate) fn new(applied: u64) -> Self {
        Self::keeping(applied, EVENTS_KEPT)
    }

    fn keeping(applied: u64, most: usize) -> Self {
        Self {
            kept: Mutex::new(Kept {
                events: VecDeque::new(),
                bytes: 0,
                floor: end_of(applied),
                applied,
            }),
            reached: watch::Sender::new(applied),
            most,
        }
    }

    /// More has been applied, up to that index.
    pub(crate) fn publish(&self, events: Vec<Event>, applied: u64) {
        {
            let mut kept = self.lock();
            for event in events {
                kept.bytes += event.encoded_len();
                kept.events.push_back(Arc::new(event));
            }
            kept.applied = applied;
            kept.forget(self.most);
        }
        self.reached.send_replace(applied);
    }

    /// The registry was replaced by a snapshot: what happened before it is not known here.
    pub(crate) fn replaced(&self, applied: u64) {
        {
            let mut kept = self.lock();
            kept.events.clear();
            kept.bytes = 0;
            kept.floor = end_of(applied);
            kept.applied = applied;
        }
        self.reached.send_replace(applied);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn forget(&mut self, most: usize) {
        while self.events.len() > most || self.bytes > BYTES_KEPT {
            let Some(oldest) = self.events.pop_front() else {
                return;
            };
            self.bytes = self.bytes.saturating_sub(oldest.encoded_len());
            self.floor = position(&oldest);
        }
    }
}

/// A way to the events of a node; all clones lead to the same.
#[derive(Debug, Clone)]
pub struct Events {
    log: Arc<EventLog>,
}

impl Events {
    pub(crate) fn new(log: Arc<EventLog>) -> Self {
        Self { log }
    }

    /// Up to `most` events after a position.
    ///
    /// # Errors
    /// See [`EventsError`].
    pub fn after(&self, after: Position, most: usize) -> Result<EventPage, EventsError> {
        let kept = self.log.lock();
        if order(after) < order(kept.floor) {
            return Err(EventsError::Expired { oldest: kept.floor });
        }
        if after.index > kept.applied {
            let applied = kept.applied;
            return Err(EventsError::Ahead { applied });
        }
        let from = kept
            .events
            .partition_point(|event| order(position(event)) <= order(after));
        let left = kept.events.len().saturating_sub(from);
        let events: Vec<_> = kept.events.range(from..).take(most).cloned().collect();
        let reached = match events.last() {
            Some(last) if events.len() < left => position(last),
            Some(_) | None => end_of(kept.applied),
        };
        Ok(EventPage { events, reached })
    }

    /// The oldest position that can be read from.
    #[must_use]
    pub fn oldest(&self) -> Position {
        self.log.lock().floor
    }

    /// The position after everything that has happened so far.
    #[must_use]
    pub fn newest(&self) -> Position {
        end_of(self.log.lock().applied)
    }

    /// Waits until more than that has been applied, or the registry stops.
    ///
    /// # Cancel safety
    /// Nothing happens when the future is dropped.
    pub async fn beyond(&self, position: Position) {
        let mut reached = self.log.reached.subscribe();
        // The sender lives as long as `self`: there is no error.
        let _ = reached.wait_for(|index| *index > position.index).await;
    }
}

fn position(event: &Event) -> Position {
    event.position.unwrap_or_default()
}

fn order(position: Position) -> (u64, u32) {
    (position.index, position.ordinal)
}

fn end_of(index: u64) -> Position {
    Position {
        index,
        ordinal: END,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn event(index: u64, ordinal: u32) -> Event {
        Event {
            position: Some(Position { index, ordinal }),
            ..Event::default()
        }
    }

    fn at(index: u64, ordinal: u32) -> Position {
        Position { index, ordinal }
    }

    fn log(most: usize) -> (Arc<EventLog>, Events) {
        let log = Arc::new(EventLog::keeping(10, most));
        (Arc::clone(&log), Events::new(log))
    }

    fn read(events: &Events, after: Position, most: usize) -> (Vec<(u64, u32)>, Position) {
        let page = events.after(after, most).unwrap();
        let read = page.events.iter().map(|event| order(position(event)));
        (read.collect(), page.reached)
    }

    #[test]
    fn what_comes_after_a_position_is_read_in_order_and_in_parts() {
        let (log, events) = log(9);
        assert_eq!(read(&events, at(10, END), 5), (vec![], at(10, END)));
        log.publish(vec![event(11, 0), event(11, 1), event(13, 0)], 15);
        let all = vec![(11, 0), (11, 1), (13, 0)];
        assert_eq!(read(&events, at(10, END), 5), (all, at(15, END)));
        assert_eq!(
            read(&events, at(10, END), 2),
            (vec![(11, 0), (11, 1)], at(11, 1))
        );
        assert_eq!(
            read(&events, at(11, 0), 1),
            (vec![(11, 1)], at(11, 1)),
            "within an entry"
        );
        assert_eq!(read(&events, at(13, 0), 5), (vec![], at(15, END)));
        assert_eq!(read(&events, at(12, 7), 5), (vec![(13, 0)], at(15, END)));
    }

    #[test]
    fn what_is_kept_no_more_says_from_where_it_is() {
        let (log, events) = log(2);
        let before = events.after(at(9, END), 5).unwrap_err();
        let oldest = at(10, END);
        assert_eq!(before, EventsError::Expired { oldest });
        log.publish(vec![event(11, 0), event(11, 1), event(12, 0)], 12);
        let expired = events.after(at(10, END), 5).unwrap_err();
        let oldest = at(11, 0);
        assert_eq!(expired, EventsError::Expired { oldest });
        assert_eq!(events.oldest(), oldest);
        assert_eq!(read(&events, oldest, 5).0, [(11, 1), (12, 0)]);
        log.replaced(40);
        assert_eq!(events.oldest(), at(40, END));
        assert_eq!(
            events.after(at(12, 0), 5).unwrap_err(),
            EventsError::Expired {
                oldest: at(40, END)
            }
        );
        let ahead = events.after(at(41, 0), 5).unwrap_err();
        assert_eq!(ahead, EventsError::Ahead { applied: 40 });
    }

    #[test]
    fn bytes_are_bounded_too() {
        let (log, events) = log(usize::MAX);
        let large = |index| Event {
            kind: Some(libra_proto::admin::event::Kind::PoolRemoved(
                libra_proto::admin::PoolRemoved {
                    name: "p".repeat(BYTES_KEPT / 3),
                },
            )),
            ..event(index, 0)
        };
        for index in 11..16 {
            log.publish(vec![large(index)], index);
        }
        assert_eq!(events.oldest(), at(13, 0));
        assert_eq!(read(&events, at(13, 0), 9).0, [(14, 0), (15, 0)]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_waits_for_more() {
        let (log, events) = log(9);
        let second = Duration::from_secs(1);
        let waited = timeout(second, events.beyond(at(10, END))).await;
        assert!(waited.is_err(), "nothing more yet");
        let waiting = tokio::spawn({
            let events = events.clone();
            async move { events.beyond(at(10, END)).await }
        });
        log.publish(Vec::new(), 11);
        timeout(second, waiting).await.unwrap().unwrap();
    }
}

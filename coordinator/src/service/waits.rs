//! Waiting for something to happen to a statement: one subscription to the applied log for the
//! whole node, and from there to whoever waits.
//!
//! **Invariant:** a waiter that is made before the registry is read misses nothing; the number of
//! waiters is bounded, and one that is dropped leaves nothing behind.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libra_proto::types::{Change, JobId, SessionId};
use libra_raft::{ChangeFeed, FeedEvent};
use tokio::sync::{broadcast, watch};

use super::{Limit, ServiceError};

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Topic {
    Statement(JobId),
    Session(SessionId),
}

#[derive(Debug, Default)]
struct Board {
    topics: HashMap<Topic, watch::Sender<()>>,
    waiters: usize,
    closed: bool,
}

/// Where waiters stand.
#[derive(Debug, Clone)]
pub(super) struct Waits {
    board: Arc<Mutex<Board>>,
    limit: usize,
}

/// The registry has stopped: nothing will happen any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stopped;

/// Someone who waits for changes of one statement, and of its session if asked for.
#[derive(Debug)]
pub struct Waiter {
    waits: Waits,
    statement: (Topic, watch::Receiver<()>),
    session: Option<(Topic, watch::Receiver<()>)>,
}

impl Waits {
    pub(super) fn new(limit: usize) -> Self {
        Self {
            board: Arc::default(),
            limit,
        }
    }

    /// Starts to wait.
    ///
    /// # Errors
    /// When as many wait as may.
    pub(super) fn waiter(
        &self,
        job: JobId,
        session: Option<&SessionId>,
    ) -> Result<Waiter, ServiceError> {
        let mut board = self.lock();
        if board.waiters >= self.limit {
            return Err(ServiceError::LimitReached {
                limit: Limit::Streams,
                value: self.limit as u64,
            });
        }
        board.waiters += 1;
        let statement = board.stand_at(Topic::Statement(job));
        let session = session.map(|id| board.stand_at(Topic::Session(id.clone())));
        Ok(Waiter {
            waits: self.clone(),
            statement,
            session,
        })
    }

    /// Passes on what the feeds say until the registry stops.
    pub(super) async fn pump(self, mut feed: ChangeFeed, mut live: broadcast::Receiver<JobId>) {
        let mut live_open = true;
        loop {
            tokio::select! {
                event = feed.next() => match event {
                    FeedEvent::Changes(changes, _) => self.tell(&changes),
                    FeedEvent::Lagged => self.lock().tell_all(),
                    FeedEvent::Closed => return self.lock().close(),
                },
                job = live.recv(), if live_open => match job {
                    Ok(job) => self.lock().tell(&Topic::Statement(job)),
                    Err(broadcast::error::RecvError::Lagged(_)) => self.lock().tell_all(),
                    Err(broadcast::error::RecvError::Closed) => live_open = false,
                },
            }
        }
    }

    fn tell(&self, changes: &[Change]) {
        let board = self.lock();
        if board.topics.is_empty() {
            return;
        }
        for change in changes {
            match change {
                Change::Statement(job, _) => board.tell(&Topic::Statement(*job)),
                Change::Session(id) => board.tell(&Topic::Session(id.clone())),
                Change::Settings => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Board {
    fn stand_at(&mut self, topic: Topic) -> (Topic, watch::Receiver<()>) {
        if self.closed {
            // A receiver without a sender: the first wait says that the registry has stopped.
            return (topic, watch::channel(()).1);
        }
        let sender = self.topics.entry(topic.clone()).or_default();
        let receiver = sender.subscribe();
        (topic, receiver)
    }

    fn tell(&self, topic: &Topic) {
        if let Some(sender) = self.topics.get(topic) {
            sender.send_replace(());
        }
    }

    fn tell_all(&self) {
        for sender in self.topics.values() {
            sender.send_replace(());
        }
    }

    fn close(&mut self) {
        self.closed = true;
        self.topics.clear();
    }

    fn leave(&mut self, topic: &Topic) {
        let empty = |sender: &watch::Sender<()>| sender.receiver_count() == 0;
        if self.topics.get(topic).is_some_and(empty) {
            self.topics.remove(topic);
        }
    }
}

impl Waiter {
    /// Waits for the next change since the last call.
    ///
    /// # Errors
    /// When the registry has stopped.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub(super) async fn changed(&mut self) -> Result<(), Stopped> {
        let statement = self.statement.1.changed();
        let answered = match &mut self.session {
            None => statement.await,
            Some((_, session)) => tokio::select! {
                answered = statement => answered,
                answered = session.changed() => answered,
            },
        };
        answered.map_err(|_| Stopped)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        // Receivers first, so that the board sees who is left.
        let nobody = watch::channel(()).1;
        self.statement.1 = nobody.clone();
        let session = self.session.take().map(|(topic, _)| topic);
        let mut board = self.waits.lock();
        board.waiters = board.waiters.saturating_sub(1);
        board.leave(&self.statement.0);
        if let Some(topic) = session {
            board.leave(&topic);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const JOB: JobId = JobId(7);

    fn session() -> SessionId {
        "s".parse().unwrap()
    }

    fn touched() -> [Change; 1] {
        [Change::Statement(JOB, session())]
    }

    #[tokio::test]
    async fn a_change_between_making_and_waiting_is_not_missed() {
        let waits = Waits::new(10);
        let mut waiter = waits.waiter(JOB, None).unwrap();
        waits.tell(&touched());
        assert_eq!(waiter.changed().await, Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn only_those_concerned_are_told() {
        let waits = Waits::new(10);
        let mut other = waits.waiter(JobId(8), None).unwrap();
        let mut of_session = waits.waiter(JobId(9), Some(&session())).unwrap();
        waits.tell(&touched());
        waits.tell(&[Change::Session(session())]);
        assert_eq!(of_session.changed().await, Ok(()));
        let second = std::time::Duration::from_secs(1);
        assert!(tokio::time::timeout(second, other.changed()).await.is_err());
    }

    #[tokio::test]
    async fn all_are_told_when_changes_were_missed_and_when_it_stops() {
        let waits = Waits::new(10);
        let mut waiter = waits.waiter(JOB, None).unwrap();
        waits.lock().tell_all();
        assert_eq!(waiter.changed().await, Ok(()));
        waits.lock().close();
        assert_eq!(waiter.changed().await, Err(Stopped));
        let mut late = waits.waiter(JOB, None).unwrap();
        assert_eq!(late.changed().await, Err(Stopped));
    }

    #[test]
    fn waiters_are_bounded_and_leave_nothing() {
        let waits = Waits::new(2);
        let first = waits.waiter(JOB, Some(&session())).unwrap();
        let second = waits.waiter(JOB, None).unwrap();
        assert!(waits.waiter(JOB, None).is_err());
        drop(first);
        assert!(waits.waiter(JOB, None).is_ok());
        drop(second);
        let board = waits.lock();
        assert!(board.topics.is_empty() && board.waiters == 0);
    }
}

//! One worker that makes writes durable, for all that wait at once (group commit).
//!
//! **Invariant:** nobody is told that a write is durable before the sync that began after it has
//! returned; and a sync that failed is never tried again.
//!
//! Switch [`Safety::SyncBeforeAck`]: off, nothing is synced before the waiters are told, and the
//! marker, which says what is durable, hears nothing.

use std::io;
use std::sync::Arc;

use libra_proto::safety::{self, Safety};
use tokio::sync::{mpsc, oneshot};

use super::backing::Backing;
use super::marker::Marker;
use super::stats::LogStats;
use crate::error::FatalError;
use crate::options::FatalHook;
use crate::type_config::{GroupTypes, IoFlushed, TypeConfig, Vote};

/// More than openraft has under way at once; beyond it an append waits.
const QUEUE: usize = 1024;

type Done = oneshot::Sender<io::Result<()>>;

/// Who waits for a sync.
enum Waiter<C: GroupTypes> {
    /// Log entries before index `next`.
    Append { next: u64, flushed: IoFlushed<C> },
    /// A vote, which goes to the marker once it is durable.
    Vote { vote: Vote, done: Done },
    /// Whatever was written before.
    Barrier { done: Done },
}

/// The way to whoever flushes, who ends when all of them are dropped.
#[derive(Debug, Clone)]
pub(crate) struct Flusher<C: GroupTypes = TypeConfig> {
    queue: mpsc::Sender<Waiter<C>>,
}

impl<C: GroupTypes> Flusher<C> {
    /// A flusher, and the work of it, which somebody has to run.
    pub(crate) fn new(
        backing: Arc<dyn Backing>,
        marker: Arc<Marker>,
        stats: Arc<LogStats>,
        on_fatal: FatalHook,
    ) -> (Self, Flushing<C>) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let worker = Worker {
            backing,
            marker,
            stats,
            on_fatal,
        };
        (Self { queue }, Flushing { worker, waiting })
    }

    /// Has `flushed` called once the log is durable up to `next`, exclusive.
    pub(crate) async fn append(&self, next: u64, flushed: IoFlushed<C>) -> io::Result<()> {
        self.send(Waiter::Append { next, flushed }).await
    }

    /// Waits until a vote that was written is durable, and in the marker.
    pub(crate) async fn vote(&self, vote: Vote) -> io::Result<()> {
        let (done, answer) = oneshot::channel();
        self.send(Waiter::Vote { vote, done }).await?;
        answer.await.map_err(|_| stopped())?
    }

    /// Waits until everything written so far is durable, and all earlier waiters are answered.
    pub(crate) async fn barrier(&self) -> io::Result<()> {
        let (done, answer) = oneshot::channel();
        self.send(Waiter::Barrier { done }).await?;
        answer.await.map_err(|_| stopped())?
    }

    async fn send(&self, waiter: Waiter<C>) -> io::Result<()> {
        self.queue.send(waiter).await.map_err(|_| stopped())
    }
}

fn stopped() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the log store has stopped")
}

/// The work of a [`Flusher`].
pub(crate) struct Flushing<C: GroupTypes> {
    worker: Worker,
    waiting: mpsc::Receiver<Waiter<C>>,
}

impl<C: GroupTypes> Flushing<C> {
    /// Works until nobody can ask any more, or a sync failed; on a thread of its own.
    pub(crate) fn run(mut self) {
        let mut group = Vec::new();
        // Blocks for the first waiter, takes all others that are there.
        while self.waiting.blocking_recv_many(&mut group, QUEUE) > 0 {
            if self.worker.sync_and_answer(&mut group).is_err() {
                return;
            }
        }
    }

    /// The same as a task: `disk` says how long the disk takes, each time.
    #[cfg(feature = "simulation")]
    pub(crate) async fn run_as_task<F: Future<Output = ()>>(mut self, disk: impl Fn() -> F) {
        let mut group = Vec::new();
        while self.waiting.recv_many(&mut group, QUEUE).await > 0 {
            disk().await;
            if self.worker.sync_and_answer(&mut group).is_err() {
                return;
            }
        }
    }
}

/// A sync, or the marker, has failed: nothing is written any more.
struct GaveUp;

struct Worker {
    backing: Arc<dyn Backing>,
    marker: Arc<Marker>,
    stats: Arc<LogStats>,
    on_fatal: FatalHook,
}

impl Worker {
    /// Syncs once for all that wait, then tells each.
    fn sync_and_answer<C: GroupTypes>(&self, group: &mut Vec<Waiter<C>>) -> Result<(), GaveUp> {
        let is_synced = !safety::off(Safety::SyncBeforeAck);
        if is_synced {
            self.stats.count_sync();
            if let Err(source) = self.backing.sync() {
                self.give_up(FatalError::Sync { source }, group.drain(..));
                return Err(GaveUp);
            }
        }
        let mut waiters = group.drain(..);
        while let Some(waiter) = waiters.next() {
            if let Err(source) = self.answer(waiter, is_synced) {
                self.give_up(FatalError::Marker { source }, waiters);
                return Err(GaveUp);
            }
        }
        Ok(())
    }

    /// Tells one waiter, in order of arrival, that its write is durable; the marker too, if it is.
    fn answer<C: GroupTypes>(&self, waiter: Waiter<C>, is_synced: bool) -> io::Result<()> {
        match waiter {
            Waiter::Append { next, flushed } => {
                if is_synced {
                    self.marker.note_durable(next);
                }
                flushed.io_completed(Ok(()));
            }
            Waiter::Vote { vote, done } => {
                if is_synced {
                    self.marker.set_vote(&vote)?;
                }
                // Whoever left does not want to know.
                let _ = done.send(Ok(()));
            }
            Waiter::Barrier { done } => {
                let _ = done.send(Ok(()));
            }
        }
        Ok(())
    }

    /// The process is meant to end in the hook; if it does not, nobody is told a wrong yes.
    fn give_up<C: GroupTypes>(&self, error: FatalError, group: impl Iterator<Item = Waiter<C>>) {
        self.on_fatal.call(&error);
        for waiter in group {
            let failed = Err(io::Error::other(error.to_string()));
            match waiter {
                Waiter::Append { flushed, .. } => flushed.io_completed(failed),
                Waiter::Vote { done, .. } | Waiter::Barrier { done } => {
                    let _ = done.send(failed);
                }
            }
        }
    }
}

//! One thread that makes writes durable, for all that wait at once (group commit).
//!
//! **Invariant:** nobody is told that a write is durable before the sync that began after it has
//! returned; and a sync that failed is never tried again.

use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::backing::Backing;
use super::marker::Marker;
use super::stats::LogStats;
use crate::error::FatalError;
use crate::options::FatalHook;
use crate::type_config::{IoFlushed, Vote};

/// More than openraft has under way at once; beyond it an append waits.
const QUEUE: usize = 1024;

type Done = oneshot::Sender<io::Result<()>>;

/// Who waits for a sync.
enum Waiter {
    /// Log entries before index `next`.
    Append { next: u64, flushed: IoFlushed },
    /// A vote, which goes to the marker once it is durable.
    Vote { vote: Vote, done: Done },
    /// Whatever was written before.
    Barrier { done: Done },
}

/// The way to the flushing thread; it ends when all of them are dropped.
#[derive(Debug, Clone)]
pub(crate) struct Flusher {
    queue: mpsc::Sender<Waiter>,
}

impl Flusher {
    pub(crate) fn start(
        backing: Arc<dyn Backing>,
        marker: Arc<Marker>,
        stats: Arc<LogStats>,
        on_fatal: FatalHook,
    ) -> io::Result<(Self, JoinHandle<()>)> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let worker = Worker {
            backing,
            marker,
            stats,
            on_fatal: on_fatal.clone(),
        };
        let thread = super::spawn("libra-flush", on_fatal, move || worker.run(waiting))?;
        Ok((Self { queue }, thread))
    }

    /// Has `flushed` called once the log is durable up to `next`, exclusive.
    pub(crate) async fn append(&self, next: u64, flushed: IoFlushed) -> io::Result<()> {
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

    async fn send(&self, waiter: Waiter) -> io::Result<()> {
        self.queue.send(waiter).await.map_err(|_| stopped())
    }
}

fn stopped() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the log store has stopped")
}

struct Worker {
    backing: Arc<dyn Backing>,
    marker: Arc<Marker>,
    stats: Arc<LogStats>,
    on_fatal: FatalHook,
}

impl Worker {
    fn run(self, mut waiting: mpsc::Receiver<Waiter>) {
        let mut group = Vec::new();
        // Blocks for the first waiter, takes all others that are there.
        while waiting.blocking_recv_many(&mut group, QUEUE) > 0 {
            let begun = Instant::now();
            if let Err(source) = self.backing.sync() {
                self.give_up(FatalError::Sync { source }, group.drain(..));
                return;
            }
            self.stats.note_sync(begun.elapsed());
            let mut waiters = group.drain(..);
            while let Some(waiter) = waiters.next() {
                if let Err(source) = self.answer(waiter) {
                    self.give_up(FatalError::Marker { source }, waiters);
                    return;
                }
            }
        }
    }

    /// Tells one waiter, in order of arrival, that its write is durable.
    fn answer(&self, waiter: Waiter) -> io::Result<()> {
        match waiter {
            Waiter::Append { next, flushed } => {
                self.marker.note_durable(next);
                flushed.io_completed(Ok(()));
            }
            Waiter::Vote { vote, done } => {
                self.marker.set_vote(&vote)?;
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
    fn give_up(&self, error: FatalError, group: impl Iterator<Item = Waiter>) {
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

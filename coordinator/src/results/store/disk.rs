//! File work away from the async threads.
//!
//! **Invariant:** no more calls at once than the gate allows, also when their callers have gone.

use std::sync::Arc;

use thiserror::Error;
use tokio::sync::Semaphore;

/// A call that never came back: it panicked, or the runtime is stopping.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("file work was broken off: {0}")]
pub(crate) struct BrokenOff(String);

/// A bounded gate to the blocking threads.
#[derive(Debug, Clone)]
pub(crate) struct Disk {
    gate: Arc<Semaphore>,
    threads: Threads,
}

/// Where blocking work is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Threads {
    /// On threads for it.
    Own,
    /// By its caller: under simulated time, which would wait for a thread as for nothing else.
    Callers,
}

impl Disk {
    /// A gate that lets `calls` run at once.
    pub(crate) fn new(calls: usize, threads: Threads) -> Self {
        Self {
            gate: Arc::new(Semaphore::new(calls)),
            threads,
        }
    }

    /// Runs blocking work.
    ///
    /// # Cancel safety
    /// Work that has begun ends also when the future is dropped, and keeps its place until then.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, BrokenOff> {
        let place = Arc::clone(&self.gate)
            .acquire_owned()
            .await
            .map_err(|error| BrokenOff(error.to_string()))?;
        if self.threads == Threads::Callers {
            return Ok(work());
        }
        tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        })
        .await
        .map_err(|error| BrokenOff(error.to_string()))
    }
}

//! Writers that go on through whatever happens, and remember what they were told.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use libra_raft::{Handle, Outcome};
use tokio::task::JoinHandle;

use super::{pool_name, put_pool};

/// What a load came to.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Names of pools whose command was answered.
    pub(crate) acknowledged: BTreeSet<String>,
    /// How many commands may have been applied or not.
    pub(crate) unknown: u64,
    /// How many were not, after one more attempt at another node.
    pub(crate) refused: u64,
}

/// Writers on several nodes.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
    writers: Vec<JoinHandle<Report>>,
}

impl Load {
    /// One writer per handle; a command that surely was not applied is tried once more, at the next.
    pub(crate) fn start(handles: &[Handle]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let done = Arc::new(AtomicU64::new(0));
        let writer = |place: usize| {
            let own = handles[place].clone();
            let next = handles[(place + 1) % handles.len()].clone();
            let (stop, done) = (Arc::clone(&stop), Arc::clone(&done));
            let first = 1_000_000 * (place as u64 + 1);
            tokio::spawn(write(own, next, first, stop, done))
        };
        Self {
            writers: (0..handles.len()).map(writer).collect(),
            stop,
            done,
        }
    }

    /// Waits until so many more commands are answered.
    pub(crate) async fn progress(&self, more: u64) {
        let goal = self.done.load(Ordering::Acquire) + more;
        super::until("commands are answered", || {
            self.done.load(Ordering::Acquire) >= goal
        })
        .await;
    }

    pub(crate) async fn finish(self) -> Report {
        self.stop.store(true, Ordering::Release);
        let mut all = Report::default();
        for writer in self.writers {
            let report = writer.await.unwrap();
            all.acknowledged.extend(report.acknowledged);
            all.unknown += report.unknown;
            all.refused += report.refused;
        }
        all
    }
}

async fn write(
    own: Handle,
    next: Handle,
    first: u64,
    stop: Arc<AtomicBool>,
    done: Arc<AtomicU64>,
) -> Report {
    let mut report = Report::default();
    for number in first.. {
        if stop.load(Ordering::Acquire) {
            break;
        }
        let mut outcome = own.propose(put_pool(number)).await;
        if outcome
            .as_ref()
            .is_err_and(|error| error.outcome() == Outcome::Retryable)
        {
            outcome = next.propose(put_pool(number)).await;
        }
        match outcome {
            Ok(_) => {
                done.fetch_add(1, Ordering::AcqRel);
                report.acknowledged.insert(pool_name(number));
            }
            Err(error) if error.outcome() == Outcome::Unknown => report.unknown += 1,
            Err(_) => report.refused += 1,
        }
        // Room for the others on a small machine.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    report
}

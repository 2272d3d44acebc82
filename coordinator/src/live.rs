//! Live signs of running statements on this node: how many tasks are done, whether Spark is being
//! sought again. Shown to users, not replicated, gone with the process.
//!
//! **Invariant:** bounded: a statement beyond the bound has no live signs, nothing else suffers.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use libra_actors::ports::LiveBoard;
use libra_proto::types::JobId;
use tokio::sync::broadcast;

/// How far a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Spark tasks done.
    pub completed_tasks: u64,
    /// Spark tasks known so far.
    pub total_tasks: u64,
}

/// The live signs of one statement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LiveSigns {
    /// How far it is, once Spark has said so.
    pub progress: Option<Progress>,
    /// Whether the connection to Spark is lost.
    pub reconnecting: bool,
}

// More statements than any endpoint has slots for.
const MAX_STATEMENTS: usize = 10_000;
const SIGNAL_BUFFER: usize = 1_024;

/// The board: actors write, the API reads.
#[derive(Debug, Clone)]
pub struct Live {
    signs: Arc<Mutex<HashMap<JobId, LiveSigns>>>,
    changed: broadcast::Sender<JobId>,
}

impl Default for Live {
    fn default() -> Self {
        Self {
            signs: Arc::default(),
            changed: broadcast::Sender::new(SIGNAL_BUFFER),
        }
    }
}

impl Live {
    /// The live signs of a statement.
    #[must_use]
    pub fn signs(&self, job: JobId) -> LiveSigns {
        let signs = self.signs.lock().unwrap_or_else(PoisonError::into_inner);
        signs.get(&job).copied().unwrap_or_default()
    }

    /// Says which statement has new signs; a receiver that lags reads all it cares for.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<JobId> {
        self.changed.subscribe()
    }

    fn change(&self, job: JobId, change: impl FnOnce(&mut LiveSigns)) {
        {
            let mut signs = self.signs.lock().unwrap_or_else(PoisonError::into_inner);
            if signs.len() >= MAX_STATEMENTS && !signs.contains_key(&job) {
                return;
            }
            let entry = signs.entry(job).or_default();
            let before = *entry;
            change(entry);
            if *entry == before {
                return;
            }
        }
        // Nobody listening is fine.
        let _ = self.changed.send(job);
    }
}

impl LiveBoard for Live {
    fn progress(&self, job: JobId, completed_tasks: u64, total_tasks: u64) {
        let progress = Progress {
            completed_tasks,
            total_tasks,
        };
        self.change(job, |signs| signs.progress = Some(progress));
    }

    fn reconnecting(&self, job: JobId, reconnecting: bool) {
        self.change(job, |signs| signs.reconnecting = reconnecting);
    }

    fn clear(&self, job: JobId) {
        let mut signs = self.signs.lock().unwrap_or_else(PoisonError::into_inner);
        signs.remove(&job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_kept_until_cleared_and_changes_are_told_once() {
        let live = Live::default();
        let mut changed = live.subscribe();
        let job = JobId(1);
        live.progress(job, 1, 2);
        live.progress(job, 1, 2);
        live.reconnecting(job, true);
        assert_eq!(changed.try_recv(), Ok(job));
        assert_eq!(changed.try_recv(), Ok(job));
        assert!(changed.try_recv().is_err(), "an equal sign is no change");
        let progress = Some(Progress {
            completed_tasks: 1,
            total_tasks: 2,
        });
        assert_eq!(
            live.signs(job),
            LiveSigns {
                progress,
                reconnecting: true
            }
        );
        live.clear(job);
        assert_eq!(live.signs(job), LiveSigns::default());
    }

    #[test]
    fn the_board_is_bounded() {
        let live = Live::default();
        for job in 0..=MAX_STATEMENTS as u64 {
            live.progress(JobId(job), 1, 2);
        }
        assert_eq!(
            live.signs(JobId(MAX_STATEMENTS as u64)),
            LiveSigns::default()
        );
        assert_ne!(live.signs(JobId(0)), LiveSigns::default());
    }
}

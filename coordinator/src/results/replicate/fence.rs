//! Which writers may still write.
//!
//! **Invariant:** an epoch that was seen here is never followed by an older one. What is remembered
//! is bounded; beyond it, and after a restart, the files of newer epochs still say it.
//!
//! Switch [`Safety::EpochCheck`]: off, writers of older epochs are let in.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use libra_proto::safety::{self, Safety};
use libra_proto::types::{Epoch, JobId};

/// Statements remembered: more than can run at once.
const MOST: usize = 65_536;

/// The newest epoch seen of each statement.
#[derive(Debug, Default)]
pub(crate) struct Fence {
    newest: Mutex<BTreeMap<JobId, Epoch>>,
}

impl Fence {
    /// Lets writers of this epoch in and keeps older ones out; false if a newer one was seen.
    pub(crate) fn raise(&self, job: JobId, epoch: Epoch) -> bool {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = newest.entry(job).or_insert(epoch);
        *seen = epoch.max(*seen);
        let raised = *seen == epoch;
        if newest.len() > MOST {
            newest.pop_first();
        }
        raised || safety::off(Safety::EpochCheck)
    }

    /// Whether no newer epoch was seen.
    pub(crate) fn lets(&self, job: JobId, epoch: Epoch) -> bool {
        let newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let is_newest = newest.get(&job).is_none_or(|seen| *seen <= epoch);
        is_newest || safety::off(Safety::EpochCheck)
    }

    pub(crate) fn forget(&self, job: JobId) {
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        newest.remove(&job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_never_followed_by_an_older_one() {
        let fence = Fence::default();
        assert!(fence.lets(JobId(1), Epoch(0)));
        assert!(fence.raise(JobId(1), Epoch(2)) && fence.raise(JobId(1), Epoch(2)));
        assert!(!fence.raise(JobId(1), Epoch(1)) && !fence.lets(JobId(1), Epoch(1)));
        assert!(fence.lets(JobId(1), Epoch(2)) && fence.raise(JobId(1), Epoch(3)));
        assert!(fence.raise(JobId(2), Epoch(1)), "another statement");
        fence.forget(JobId(1));
        assert!(fence.raise(JobId(1), Epoch(1)));
    }
}

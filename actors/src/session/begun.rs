//! Which running statements may have been sent already.
//!
//! PURE: no runtime, no clock, no network.
//!
//! **Invariant:** what was running when the actor first looked is never taken for new, whether it
//! got a runner then or not: an earlier owner may have sent it.

use std::collections::BTreeSet;

use libra_proto::types::JobId;

/// What of a session may have reached Spark.
#[derive(Debug, Default)]
pub struct Begun {
    looked: bool,
    jobs: BTreeSet<JobId>,
}

impl Begun {
    /// Notes what is running now.
    pub fn look(&mut self, running: BTreeSet<JobId>) {
        if self.looked {
            self.jobs.retain(|job| running.contains(job));
        } else {
            self.looked = true;
            self.jobs = running;
        }
    }

    /// Whether nobody can have sent the statement yet.
    #[must_use]
    pub fn is_fresh(&self, job: JobId) -> bool {
        self.looked && !self.jobs.contains(&job)
    }

    /// The statement gets a runner.
    pub fn begin(&mut self, job: JobId) {
        self.jobs.insert(job);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(ids: &[u64]) -> BTreeSet<JobId> {
        ids.iter().copied().map(JobId).collect()
    }

    #[test]
    fn what_ran_at_the_first_look_is_never_new() {
        let mut begun = Begun::default();
        assert!(!begun.is_fresh(JobId(1)), "nobody has looked yet");
        begun.look(jobs(&[1, 2]));
        // There was no channel to Spark: neither of them got a runner.
        for running in [&[1, 2][..], &[1, 2, 3]] {
            begun.look(jobs(running));
            let fresh = [1, 2, 3].map(|job| begun.is_fresh(JobId(job)));
            assert_eq!(fresh, [false, false, true], "{running:?}");
        }
        begun.begin(JobId(3));
        begun.look(jobs(&[3]));
        assert!(!begun.is_fresh(JobId(3)), "it had a runner");
    }

    #[test]
    fn what_starts_after_a_first_look_at_nothing_is_new() {
        let mut begun = Begun::default();
        begun.look(jobs(&[]));
        begun.look(jobs(&[7]));
        assert!(begun.is_fresh(JobId(7)));
    }
}

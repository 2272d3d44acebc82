//! What of a statement's life has been counted already.
//!
//! PURE: records in, events out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use libra_proto::registry::{StatementRecord, StatementState};
use libra_proto::types::JobId;
use libra_raft::registry::Registry;

/// Something to be counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Submitted,
    Started { queued: Duration },
    Ended { state: StatementState },
}

/// Statements that have not ended, and the newest one seen: job ids rise, so that one which is
/// neither was seen before.
#[derive(Debug)]
pub(super) struct Tally {
    newest: JobId,
    /// Whether its start has been counted.
    active: BTreeMap<JobId, bool>,
}

impl Tally {
    /// Takes what is there as counted.
    pub(super) fn of<'a>(active: impl Iterator<Item = &'a StatementRecord>, newest: JobId) -> Self {
        let active = active.map(|record| (JobId(record.job), record.started_at_ms != 0));
        Self {
            newest,
            active: active.collect(),
        }
    }

    /// What is new about the statement.
    pub(super) fn see(&mut self, record: &StatementRecord) -> Vec<Event> {
        let (job, mut events) = (JobId(record.job), Vec::new());
        if job > self.newest {
            self.newest = job;
            self.active.insert(job, false);
            events.push(Event::Submitted);
        }
        let Some(started) = self.active.get_mut(&job) else {
            return events;
        };
        if record.started_at_ms != 0 && !*started {
            *started = true;
            let queued = record.started_at_ms.saturating_sub(record.submitted_at_ms);
            events.push(Event::Started {
                queued: Duration::from_millis(queued),
            });
        }
        if record.state().has_ended() {
            self.active.remove(&job);
            events.push(Event::Ended {
                state: record.state(),
            });
        }
        events
    }

    /// The registry no longer has it.
    pub(super) fn forget(&mut self, job: JobId) {
        self.active.remove(&job);
    }

    /// What must be looked at after changes were missed, oldest first.
    pub(super) fn missed(&self, registry: &Registry) -> BTreeSet<JobId> {
        let all = registry.statements_before(None, None);
        let newer = all
            .map(|record| JobId(record.job))
            .take_while(|job| *job > self.newest);
        newer.chain(self.active.keys().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(job: u64, state: StatementState, started_at_ms: u64) -> StatementRecord {
        StatementRecord {
            job,
            state: state.into(),
            submitted_at_ms: 100,
            started_at_ms,
            ..StatementRecord::default()
        }
    }

    #[test]
    fn each_event_is_counted_once_however_often_it_is_told() {
        let before = record(1, StatementState::Queued, 0);
        let mut tally = Tally::of([&before].into_iter(), JobId(1));
        let started = |ms| Event::Started {
            queued: Duration::from_millis(ms),
        };
        let ended = |state| Event::Ended { state };
        let (queued, running) = (StatementState::Queued, StatementState::Running);
        let (succeeded, cancelled) = (StatementState::Succeeded, StatementState::Cancelled);
        for (job, state, started_at, events) in [
            (1, queued, 0, vec![]),
            (1, running, 350, vec![started(250)]),
            (1, running, 350, vec![]),
            (2, running, 100, vec![Event::Submitted, started(0)]),
            (3, queued, 0, vec![Event::Submitted]),
            (3, cancelled, 0, vec![ended(cancelled)]),
            (1, succeeded, 350, vec![ended(succeeded)]),
            (1, succeeded, 350, vec![]),
            (3, cancelled, 0, vec![]),
            (
                4,
                succeeded,
                101,
                vec![Event::Submitted, started(1), ended(succeeded)],
            ),
            (4, succeeded, 101, vec![]),
        ] {
            assert_eq!(
                tally.see(&record(job, state, started_at)),
                events,
                "job-{job}"
            );
        }
        tally.forget(JobId(2));
        assert_eq!(tally.see(&record(2, succeeded, 100)), []);
    }
}

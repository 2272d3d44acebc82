//! The registry held against itself.

use std::collections::BTreeSet;

use libra_proto::registry::{SessionRecord, SessionState, StatementRecord};
use libra_proto::types::JobId;
use thiserror::Error;

use super::indexes::Indexes;
use super::state::{Registry, has_ended, is_open};
use super::update::{REQUEST_BYTES_KEPT, REQUESTS_KEPT};

/// A registry that contradicts itself: a bug.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{subject}: {problem}")]
pub struct Violation {
    /// The entity.
    pub subject: String,
    /// What does not fit.
    pub problem: &'static str,
}

impl Registry {
    /// Makes all indexes and sums anew from the records and compares; checks that states of
    /// sessions, statements and clean-ups fit together. Reads everything; for tests.
    ///
    /// # Errors
    /// The first contradiction found.
    pub fn check_invariants(&self) -> Result<(), Violation> {
        if self.index != Indexes::build(&self.records) {
            return violation("indexes", "differ from what the records say");
        }
        self.records
            .sessions
            .values()
            .try_for_each(|session| self.check_session(session))?;
        self.check_statements()?;
        self.check_cleanups()?;
        self.check_owners()?;
        self.check_levels()?;
        self.check_requests()
    }

    /// While a node is UP, no session is left with one that is not.
    fn check_owners(&self) -> Result<(), Violation> {
        let load = self.load();
        let mut owners = self.index.owned.keys();
        match owners.find(|owner| !load.contains_key(owner)) {
            Some(owner) if !load.is_empty() => violation(
                owner,
                "is not UP and owns sessions, while another node is UP",
            ),
            Some(_) | None => Ok(()),
        }
    }

    fn check_levels(&self) -> Result<(), Violation> {
        let level = self.feature_level();
        if self.level_of_nodes().is_some_and(|most| most < level) {
            return violation(level, "is a feature level that not all nodes know");
        }
        Ok(())
    }

    fn check_requests(&self) -> Result<(), Violation> {
        let (kept, bytes) = (self.records.requests.len(), self.index.request_bytes);
        if kept > REQUESTS_KEPT || bytes > REQUEST_BYTES_KEPT {
            return violation(kept, "requests are kept, which is beyond the bounds");
        }
        let newest = self.records.requests.keys().next_back();
        if newest.is_some_and(|index| *index > self.applied_index())
            || self.index.requests.len() != kept
        {
            return violation(kept, "requests were applied twice, or never");
        }
        Ok(())
    }

    fn check_session(&self, session: &SessionRecord) -> Result<(), Violation> {
        let id = &session.session_id;
        let jobs = self.index.sessions.get(id).cloned().unwrap_or_default();
        let queued = jobs.active.len() - jobs.running.len();
        if session.state() == SessionState::Open && session.incarnation.is_none() {
            return violation(id, "open without an incarnation");
        }
        if session.state() == SessionState::Starting && session.incarnation.is_some() {
            return violation(id, "starting with an incarnation");
        }
        if has_ended(session) && !jobs.active.is_empty() {
            return violation(id, "ended with statements queued or running");
        }
        if session.state() == SessionState::Closing && queued != 0 {
            return violation(id, "closing with statements queued");
        }
        if session.epoch == 0 {
            return violation(id, "has no epoch");
        }
        Ok(())
    }

    fn check_statements(&self) -> Result<(), Violation> {
        for (job, statement) in &self.records.statements {
            let Some(session) = self.records.sessions.get(&statement.session_id) else {
                return violation(job, "has no session");
            };
            let state = statement.state();
            let runs = self.index.sessions.get(&statement.session_id);
            let runs = runs.is_some_and(|jobs| jobs.running.contains(job));
            if runs && !(is_open(session) || session.state() == SessionState::Closing) {
                return violation(job, "runs in a session that is not open");
            }
            if runs && session.spark_session_id != statement.spark_session_id {
                return violation(job, "runs in another Spark session than its session's");
            }
            if !fits_replicas(statement, session.owner_node, runs) {
                return violation(job, "is to be held by other nodes than it can be");
            }
            if state.has_ended() != (statement.completed_at_ms != 0) && self.clock_ms() != 0 {
                return violation(job, "has an end without a time, or a time without an end");
            }
            if statement.endpoint != session.endpoint && !state.has_ended() {
                return violation(job, "is active on another endpoint than its session");
            }
            if statement.job > self.records.last_job || !self.is_indexed(*job) {
                return violation(
                    job,
                    "has a number never given out, or an operation not its own",
                );
            }
        }
        Ok(())
    }

    fn is_indexed(&self, job: JobId) -> bool {
        let statement = self.records.statements.get(&job);
        statement.is_some_and(|found| self.by_operation(&found.operation_id) == Some(job))
    }

    fn check_cleanups(&self) -> Result<(), Violation> {
        for (job, cleanup) in &self.records.cleanups {
            let Some(statement) = self.records.statements.get(job) else {
                return violation(job, "is cleaned up after but unknown");
            };
            if !statement.state().has_ended() {
                return violation(job, "is cleaned up after before its end");
            }
            if cleanup.incarnation.is_none() {
                return violation(job, "is cleaned up after without an incarnation");
            }
        }
        Ok(())
    }
}

/// Those that run are held by the owner first and by nobody twice; those that wait by nobody.
fn fits_replicas(statement: &StatementRecord, owner: u64, runs: bool) -> bool {
    let replicas = &statement.replicas;
    let distinct: BTreeSet<&u64> = replicas.iter().collect();
    if runs {
        // None in a registry written before there were replicas.
        distinct.len() == replicas.len() && replicas.first().is_none_or(|first| *first == owner)
    } else {
        statement.state().has_ended() || replicas.is_empty()
    }
}

fn violation(subject: impl ToString, problem: &'static str) -> Result<(), Violation> {
    Err(Violation {
        subject: subject.to_string(),
        problem,
    })
}

//! Between acceptance and end: grants, cancels and timeouts.

use libra_proto::registry::{
    Cancel, CancelBatch, JobList, StartBatch, StatementRecord, StatementState, TimeOut, applied,
};
use libra_proto::types::{ErrorClass, JobId};

use super::ends::End;
use super::{Outcome, Step};
use crate::registry::state::{deadline_ms, has_intent};

impl Step<'_> {
    /// The referee: each grant stands only if it still holds here (invariant I7).
    pub(super) fn start_batch(&mut self, command: &StartBatch) -> Outcome {
        let mut started = Vec::new();
        for job in &command.jobs {
            if self.start(JobId(*job)) {
                started.push(*job);
            }
        }
        Ok(applied::Result::Jobs(JobList { jobs: started }))
    }

    fn start(&mut self, job: JobId) -> bool {
        let Ok(statement) = self.statement(job) else {
            return false;
        };
        if !self.registry.may_start(statement) || !may_become(statement, StatementState::Running) {
            return false;
        }
        let Ok(session) = self.session(&statement.session_id) else {
            return false;
        };
        let Some(incarnation) = &session.incarnation else {
            return false;
        };
        let id = statement.session_id.clone();
        let spark_session_id = incarnation.spark_session_id.clone();
        let replicas = self.registry.replicas_for(job, session.owner_node, &[]);
        let now = self.now;
        self.registry.update_statement(job, |statement| {
            statement.set_state(StatementState::Running);
            statement.started_at_ms = now;
            statement.spark_session_id = spark_session_id;
            statement.replicas = replicas;
        });
        self.note_statement(job, &id);
        true
    }

    pub(super) fn cancel(&mut self, command: &Cancel) -> Outcome {
        let job = JobId(command.job);
        self.statement(job)?;
        self.cancel_one(job);
        self.statement(job).cloned().map(applied::Result::Statement)
    }

    /// One commit for many: whoever cancels by the thousand does not fill the log.
    pub(super) fn cancel_batch(&mut self, command: &CancelBatch) -> Outcome {
        let mut cancelled = Vec::new();
        for job in &command.jobs {
            let active = self.statement(JobId(*job));
            if active.is_ok_and(|statement| !statement.state().has_ended()) {
                self.cancel_one(JobId(*job));
                cancelled.push(*job);
            }
        }
        Ok(applied::Result::Jobs(JobList { jobs: cancelled }))
    }

    /// Ends the statement if it is queued; if it runs, commits the intent once.
    pub(super) fn cancel_one(&mut self, job: JobId) {
        let now = self.now;
        let Ok(statement) = self.statement(job) else {
            return;
        };
        if statement.state().has_ended() || statement.cancel_requested_at_ms != 0 {
            return;
        }
        let queued = statement.state() == StatementState::Queued;
        let id = statement.session_id.clone();
        self.registry
            .update_statement(job, |statement| statement.cancel_requested_at_ms = now);
        self.note_statement(job, &id);
        if queued {
            self.end(job, End::cancelled());
        }
    }

    pub(super) fn time_out(&mut self, command: &TimeOut) -> Outcome {
        let mut timed_out = Vec::new();
        for job in &command.jobs {
            if self.time_out_one(JobId(*job)) {
                timed_out.push(*job);
            }
        }
        Ok(applied::Result::Jobs(JobList { jobs: timed_out }))
    }

    fn time_out_one(&mut self, job: JobId) -> bool {
        let now = self.now;
        let Ok(statement) = self.statement(job) else {
            return false;
        };
        let overdue = deadline_ms(statement).is_some_and(|deadline| deadline <= now);
        if statement.state().has_ended() || has_intent(statement) || !overdue {
            return false;
        }
        let queued = statement.state() == StatementState::Queued;
        let id = statement.session_id.clone();
        let error = timeout_error(statement);
        self.registry
            .update_statement(job, |statement| statement.timed_out_at_ms = now);
        self.note_statement(job, &id);
        if queued {
            self.end(job, End::failed(error));
        }
        true
    }
}

/// The error of a statement whose time was over.
pub(super) fn timeout_error(statement: &StatementRecord) -> libra_proto::registry::StatementError {
    let timeout_ms = statement.timeout_ms;
    ErrorClass::Timeout.error(format!(
        "not finished within {timeout_ms} ms of its acceptance"
    ))
}

/// Whether the table of transitions agrees; the callers have ruled out where it does not.
pub(super) fn may_become(statement: &StatementRecord, next: StatementState) -> bool {
    let legal = statement.state().may_become(next);
    debug_assert!(
        legal,
        "{}: {:?} -> {next:?}",
        JobId(statement.job),
        statement.state()
    );
    legal
}

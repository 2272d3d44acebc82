//! How statements end, and how they are forgotten.

use libra_proto::admin::{self, StatementEnded, event};
use libra_proto::registry::{
    CleanupDone, Finish, Rejection, RejectionCode, ResultManifest, Retire, StatementError,
    StatementRecord, StatementState,
};
use libra_proto::types::{ErrorClass, JobId};

use super::starts::{may_become, timeout_error};
use super::{Outcome, Step, done, malformed};
use crate::registry::error::reject;

/// No epoch: the first is 1.
const NO_OWNER: u64 = 0;

/// The end of a statement.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct End {
    state: StatementState,
    result: Option<ResultManifest>,
    error: Option<StatementError>,
}

impl End {
    pub(super) fn failed(error: StatementError) -> Self {
        Self {
            state: StatementState::Failed,
            result: None,
            error: Some(error),
        }
    }

    pub(super) fn cancelled() -> Self {
        Self {
            state: StatementState::Cancelled,
            result: None,
            error: None,
        }
    }
}

impl Step<'_> {
    pub(super) fn finish(&mut self, command: &Finish) -> Outcome {
        let job = JobId(command.job);
        let statement = self.statement(job)?;
        self.session_at(&statement.session_id, command.epoch)?;
        let end = end_of(statement, command)?;
        match statement.state() {
            StatementState::Running => {}
            StatementState::Queued | StatementState::Unspecified => {
                return Err(reject(RejectionCode::IllegalTransition, job.to_string()));
            }
            StatementState::Succeeded | StatementState::Failed | StatementState::Cancelled => {
                return if has_end(statement, &end) {
                    Ok(done(false))
                } else {
                    Err(reject(RejectionCode::AlreadyEnded, job.to_string()))
                };
            }
        }
        self.end_under(command.epoch, job, end);
        if command.needs_cleanup {
            self.keep_slot(job);
        }
        Ok(done(true))
    }

    /// Ends an active statement that no owner has said the end of.
    pub(super) fn end(&mut self, job: JobId, end: End) {
        self.end_under(NO_OWNER, job, end);
    }

    /// Ends an active statement; that is activity in its session.
    fn end_under(&mut self, epoch: u64, job: JobId, end: End) {
        let now = self.now;
        let Ok(statement) = self.statement(job) else {
            return;
        };
        if !may_become(statement, end.state) {
            return;
        }
        let id = statement.session_id.clone();
        let owner = self.session(&id).map_or(0, |session| session.owner_node);
        self.registry.update_statement(job, |statement| {
            statement.set_state(end.state);
            statement.result = end.result.map(in_a_piece_of_its_own);
            statement.error = end.error;
            statement.completed_at_ms = now;
            statement.ended_on_node = owner;
        });
        self.registry
            .amend_session(&id, |session| session.last_activity_ms = now);
        self.note_statement(job, &id);
        self.note_session(&id);
        self.tell_of_end(epoch, job);
    }

    fn tell_of_end(&mut self, epoch: u64, job: JobId) {
        let Ok(statement) = self.statement(job) else {
            return;
        };
        let error = statement.error.as_ref();
        let began = match statement.started_at_ms {
            0 => statement.completed_at_ms,
            started => started,
        };
        let ended = StatementEnded {
            job_id: job.to_string(),
            session_id: statement.session_id.clone(),
            pool: statement.pool.clone(),
            user: statement.user.clone(),
            state: shown(statement.state()).into(),
            error_class: error.map(|e| e.error_class.clone()).unwrap_or_default(),
            queue_time_ms: began.saturating_sub(statement.submitted_at_ms),
            execution_time_ms: statement.completed_at_ms.saturating_sub(began),
            epoch,
        };
        self.tell(event::Kind::StatementEnded(ended));
    }

    pub(super) fn cleanup_done(&mut self, command: &CleanupDone) -> Outcome {
        let job = JobId(command.job);
        let Some(cleanup) = self.registry.records.cleanups.get(&job) else {
            return Ok(done(false));
        };
        let id = cleanup.session_id.clone();
        self.session_at(&id, command.epoch)?;
        self.registry.remove_cleanup(job);
        self.note_statement(job, &id);
        self.note_session(&id);
        Ok(done(true))
    }

    /// Forgets what retention no longer keeps. What is still in use stays.
    pub(super) fn retire(&mut self, command: &Retire) -> Outcome {
        let mut changed = false;
        for job in command.jobs.iter().copied().map(JobId) {
            let Ok(statement) = self.statement(job) else {
                continue;
            };
            let in_use = self.registry.records.cleanups.contains_key(&job);
            if statement.state().has_ended() && !in_use {
                let id = statement.session_id.clone();
                self.registry.remove_statement(job);
                self.note_statement(job, &id);
                changed = true;
            }
        }
        for id in &command.sessions {
            if self
                .session(id)
                .is_ok_and(|session| self.registry.is_spent(session))
            {
                self.registry.remove_session(id);
                self.note_session(id);
                changed = true;
            }
        }
        Ok(done(changed))
    }
}

/// What is inline is kept as long as the statement; the buffer it came in is not.
fn in_a_piece_of_its_own(result: ResultManifest) -> ResultManifest {
    ResultManifest {
        inline: result.inline.to_vec().into(),
        ..result
    }
}

/// A statement's state as operators are told of it.
fn shown(state: StatementState) -> admin::StatementState {
    match state {
        StatementState::Unspecified => admin::StatementState::Unspecified,
        StatementState::Queued => admin::StatementState::Queued,
        StatementState::Running => admin::StatementState::Running,
        StatementState::Succeeded => admin::StatementState::Succeeded,
        StatementState::Failed => admin::StatementState::Failed,
        StatementState::Cancelled => admin::StatementState::Cancelled,
    }
}

/// The end that the command brings about, given what was asked of the statement before: a cancel
/// that nobody asked for is an interruption, one after a timeout is the timeout.
fn end_of(statement: &StatementRecord, command: &Finish) -> Result<End, Rejection> {
    match command.state() {
        StatementState::Succeeded => Ok(End {
            state: StatementState::Succeeded,
            result: command.result.clone(),
            error: None,
        }),
        StatementState::Failed => {
            let error = command.error.clone().ok_or_else(|| malformed("error"))?;
            Ok(End {
                result: command.result.clone(),
                ..End::failed(error)
            })
        }
        StatementState::Cancelled if statement.cancel_requested_at_ms != 0 => Ok(End::cancelled()),
        StatementState::Cancelled if statement.timed_out_at_ms != 0 => {
            Ok(End::failed(timeout_error(statement)))
        }
        StatementState::Cancelled => {
            let error = command.error.clone().unwrap_or_default();
            let message = if error.message.is_empty() {
                "Spark cancelled the operation, and nobody had asked for that here".to_owned()
            } else {
                error.message
            };
            Ok(End::failed(ErrorClass::Interrupted.error(message)))
        }
        StatementState::Unspecified | StatementState::Queued | StatementState::Running => {
            Err(malformed("state"))
        }
    }
}

/// Whether the statement ended so. Who holds its result may have changed since.
fn has_end(statement: &StatementRecord, end: &End) -> bool {
    let same_result = match (&statement.result, &end.result) {
        (Some(kept), Some(told)) => {
            *kept
                == ResultManifest {
                    holders: kept.holders.clone(),
                    ..told.clone()
                }
        }
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    };
    statement.state() == end.state && same_result && statement.error == end.error
}

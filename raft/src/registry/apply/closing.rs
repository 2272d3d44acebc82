//! How sessions end: closed on request, closed by their owner's word, or failed.

use libra_proto::admin::{SessionEnded, event};
use libra_proto::registry::{
    CleanupRecord, CloseSession, FailSession, Mode, RejectionCode, SessionClosed, SessionRecord,
    SessionState, StatementError, StatementState,
};
use libra_proto::types::{ErrorClass, JobId};

use super::ends::End;
use super::sessions::over;
use super::{Outcome, Step, done};
use crate::registry::error::reject;
use crate::registry::state::has_ended;

impl Step<'_> {
    pub(super) fn close_session(&mut self, command: &CloseSession) -> Outcome {
        let id = command.session_id.as_str();
        let session = self.session(id)?;
        let settings = self.registry.records.settings;
        let isolated = settings.is_some_and(|settings| settings.mode() == Mode::Isolated);
        if session.mode() == Mode::Shared && !isolated {
            return Err(reject(RejectionCode::ModeShared, id));
        }
        if !session.state().is_live() {
            return Ok(done(false));
        }
        let idle_since = command.if_idle_since_ms;
        if idle_since != 0 && (session.last_activity_ms != idle_since || self.registry.is_busy(id))
        {
            return Err(reject(RejectionCode::NotIdle, id));
        }
        self.begin_closing(id, &command.reason);
        Ok(done(true))
    }

    /// Cancels what is queued, asks for the end of what runs, and closes: at once when no Spark
    /// session is there to release, else by its owner's word.
    pub(super) fn begin_closing(&mut self, id: &str, reason: &str) {
        let opened = self
            .session(id)
            .is_ok_and(|session| session.incarnation.is_some());
        self.turn_session(id, SessionState::Closing, |session| {
            reason.clone_into(&mut session.close_reason);
        });
        for job in self.active_jobs(id) {
            self.cancel_one(job);
        }
        if !opened {
            self.close_now(id);
        }
    }

    pub(super) fn session_closed(&mut self, command: &SessionClosed) -> Outcome {
        let id = command.session_id.as_str();
        let session = self.session_at(id, command.epoch)?;
        match session.state() {
            SessionState::Closed => return Ok(done(false)),
            SessionState::Failed => return Err(over(session)),
            SessionState::Unspecified | SessionState::Starting | SessionState::Open => {
                return Err(reject(RejectionCode::IllegalTransition, id));
            }
            SessionState::Closing => {}
        }
        if self.registry.is_busy(id) {
            return Err(reject(RejectionCode::IllegalTransition, id));
        }
        let released = session.spark_session_id.clone();
        self.drop_cleanups(id, &released);
        self.close_now(id);
        Ok(done(true))
    }

    /// Ends a closing session in which nothing runs any more.
    pub(super) fn close_now(&mut self, id: &str) {
        let now = self.now;
        self.turn_session(id, SessionState::Closed, |session| {
            session.closed_at_ms = now;
        });
        let reason = self.session(id).map(|session| session.close_reason.clone());
        self.tell(event::Kind::SessionEnded(SessionEnded {
            session_id: id.to_owned(),
            reason: reason.unwrap_or_default(),
            failed: false,
        }));
    }

    pub(super) fn fail_session(&mut self, command: &FailSession) -> Outcome {
        let id = command.session_id.as_str();
        let session = self.session_at(id, command.epoch)?;
        if has_ended(session) {
            let same = session.state() == SessionState::Failed && session.error == command.error;
            return if same {
                Ok(done(false))
            } else {
                Err(over(session))
            };
        }
        for job in self.active_jobs(id) {
            self.fail_with_session(job, command.error.as_ref());
        }
        let now = self.now;
        self.turn_session(id, SessionState::Failed, |session| {
            session.error.clone_from(&command.error);
            session.closed_at_ms = now;
        });
        let error = command.error.as_ref();
        let reason = error.map(|error| format!("{}: {}", error.error_class, error.message));
        self.tell(event::Kind::SessionEnded(SessionEnded {
            session_id: id.to_owned(),
            reason: reason.unwrap_or_default(),
            failed: true,
        }));
        Ok(done(true))
    }

    fn fail_with_session(&mut self, job: JobId, error: Option<&StatementError>) {
        let Ok(statement) = self.statement(job) else {
            return;
        };
        if statement.state() == StatementState::Running {
            let message = "its session failed while the statement ran";
            self.end(job, End::failed(ErrorClass::OutcomeUnknown.error(message)));
            self.keep_slot(job);
            return;
        }
        let own = error.filter(|error| !error.error_class.is_empty()).cloned();
        let error = own.unwrap_or_else(|| {
            ErrorClass::SessionClosed.error("its session failed before the statement started")
        });
        self.end(job, End::failed(error));
    }

    /// The ended statement's operation may still run in Spark: a clean-up record holds its slot.
    /// Without an incarnation it was never sent there.
    pub(super) fn keep_slot(&mut self, job: JobId) {
        let Ok(statement) = self.statement(job) else {
            return;
        };
        let Ok(SessionRecord {
            incarnation: Some(incarnation),
            ..
        }) = self.session(&statement.session_id)
        else {
            return;
        };
        let cleanup = CleanupRecord {
            job: job.0,
            session_id: statement.session_id.clone(),
            endpoint: statement.endpoint.clone(),
            pool: statement.pool.clone(),
            operation_id: statement.operation_id.clone(),
            incarnation: Some(incarnation.clone()),
        };
        let id = cleanup.session_id.clone();
        self.registry.insert_cleanup(cleanup);
        self.note_session(&id);
    }

    /// The Spark session is dead or released: nothing of it runs, so its slots are free.
    pub(super) fn drop_cleanups(&mut self, id: &str, spark_session_id: &str) {
        let Some(jobs) = self.registry.index.sessions.get(id) else {
            return;
        };
        let records = &self.registry.records;
        let over = |job: &JobId| {
            let incarnation = records
                .cleanups
                .get(job)
                .and_then(|c| c.incarnation.as_ref());
            incarnation.is_none_or(|incarnation| incarnation.spark_session_id == spark_session_id)
        };
        let jobs: Vec<JobId> = jobs.cleanups.iter().copied().filter(over).collect();
        for job in jobs {
            self.registry.remove_cleanup(job);
            self.note_statement(job, id);
            self.note_session(id);
        }
    }
}

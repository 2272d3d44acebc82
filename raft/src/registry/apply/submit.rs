//! Acceptance: what a submit must pass before the registry knows the statement.

use libra_proto::registry::{
    CreateSession, Rejection, RejectionCode, SessionRecord, SessionState, StatementRecord,
    StatementState, Submit, Submitted, applied,
};
use libra_proto::types::JobId;

use super::sessions::over;
use super::{Outcome, Step, malformed};
use crate::registry::error::{over_limit, reject};
use crate::registry::idempotency::Target;
use crate::registry::state::is_open;

/// Bytes of a statement's place in a trace: what is longer is not W3C's, and not kept.
const TRACEPARENT_MOST: usize = 55;
const TRACESTATE_MOST: usize = 512;

fn bounded(text: &str, most: usize) -> String {
    let fits = text.len() <= most;
    if fits { text.to_owned() } else { String::new() }
}

impl Step<'_> {
    pub(super) fn submit(&mut self, command: &Submit) -> Outcome {
        if let Some(known) = self.accepted_before(command)? {
            return Ok(applied::Result::Submitted(Submitted {
                statement: Some(known.clone()),
                replayed: true,
                session_reset_ms: 0,
            }));
        }
        if command.operation_id.is_empty() {
            return Err(malformed("operation_id"));
        }
        let create = self.session_for(command)?;
        self.known_pool(&command.pool)?;
        self.check_active(command)?;
        let starts = create.is_none() && self.starts_at_once(command);
        if !starts {
            self.check_queue(command)?;
        }
        // Nothing is refused from here on.
        if let Some((create, owner)) = create {
            self.make_session(&create, owner);
        }
        self.accept(command, starts)
    }

    /// The statement that the same request, or the same idempotency key, has made already.
    fn accepted_before(&self, command: &Submit) -> Result<Option<&StatementRecord>, Rejection> {
        if let Some(job) = self.registry.by_operation(&command.operation_id) {
            return self.statement(job).map(Some);
        }
        let key = &command.idempotency_key;
        let Some(target) = self.registry.index.idempotency.get(key) else {
            return Ok(None);
        };
        let mismatch = || reject(RejectionCode::IdempotencyMismatch, key.as_str());
        let Target::Statement(job) = target else {
            return Err(mismatch());
        };
        let known = self.statement(*job)?;
        let same = known.idempotency_body_hash == command.idempotency_body_hash;
        if same {
            Ok(Some(known))
        } else {
            Err(mismatch())
        }
    }

    /// Finds the session that takes the statement, or the command that makes it and its owner.
    fn session_for(&self, command: &Submit) -> Result<Option<(CreateSession, u64)>, Rejection> {
        let id = command.session_id.as_str();
        let session = self.registry.records.sessions.get(id);
        if session.is_some_and(|session| session.state().is_live()) {
            return Ok(None);
        }
        let closing = session.filter(|session| session.state() == SessionState::Closing);
        let create = command
            .create_if_missing
            .as_ref()
            .filter(|_| closing.is_none());
        let Some(create) = create else {
            let refusal = session.map(|session| over(session));
            return Err(refusal.unwrap_or_else(|| reject(RejectionCode::UnknownSession, id)));
        };
        if !create.session_id.is_empty() && create.session_id != id {
            return Err(malformed("create_if_missing.session_id"));
        }
        // The key of the submit stands for its statement, never for the session too.
        let create = CreateSession {
            session_id: id.to_owned(),
            reopen: true,
            idempotency_key: String::new(),
            ..create.clone()
        };
        if session.is_some_and(|session| session.spark_session_id == create.spark_session_id) {
            return Err(malformed("create_if_missing.spark_session_id"));
        }
        let owner = self.check_create(&create)?;
        Ok(Some((create, owner)))
    }

    /// Whether nothing keeps the statement from running now, and nobody is passed over by it.
    fn starts_at_once(&self, command: &Submit) -> bool {
        self.session(&command.session_id).is_ok_and(|session| {
            is_open(session)
                && self.registry.has_room(&session.endpoint, &command.pool)
                && !self.registry.has_waiting(&session.endpoint)
        })
    }

    /// The limits of what one session and one user may have queued and running together.
    fn check_active(&self, command: &Submit) -> Result<(), Rejection> {
        let limits = self.registry.records.settings.unwrap_or_default();
        let index = &self.registry.index;
        let (session, user) = (command.session_id.as_str(), command.user.as_str());
        let of_session = index
            .sessions
            .get(session)
            .map_or(0, |jobs| jobs.active.len() as u64);
        let most = u64::from(limits.active_per_session);
        if most != 0 && of_session >= most {
            return Err(over_limit(RejectionCode::ActivePerSession, session, most));
        }
        let of_user = index.users.get(user).copied().unwrap_or_default();
        let most = u64::from(limits.active_per_user);
        if most != 0 && of_user >= most {
            return Err(over_limit(RejectionCode::ActivePerUser, user, most));
        }
        Ok(())
    }

    fn check_queue(&self, command: &Submit) -> Result<(), Rejection> {
        let limits = self.registry.records.settings.unwrap_or_default();
        let max_queued = u64::from(limits.max_queued);
        if self.registry.pool_load(&command.pool).queued >= max_queued {
            let pool = command.pool.as_str();
            return Err(over_limit(RejectionCode::QueueFull, pool, max_queued));
        }
        let bytes = self
            .registry
            .index
            .queued_bytes
            .saturating_add(command.code.len() as u64);
        if bytes > limits.queued_bytes {
            let pool = command.pool.as_str();
            return Err(over_limit(
                RejectionCode::QueuedBytes,
                pool,
                limits.queued_bytes,
            ));
        }
        Ok(())
    }

    fn accept(&mut self, command: &Submit, starts: bool) -> Outcome {
        let id = command.session_id.as_str();
        let session = self.session(id)?;
        let session_reset_ms = session.untold_reset_ms;
        let job = JobId(self.registry.records.last_job.saturating_add(1));
        let statement = self.new_statement(job, command, session, starts);
        let now = self.now;
        self.registry.records.last_job = job.0;
        self.registry.insert_statement(statement.clone());
        self.registry.amend_session(id, |session| {
            session.last_activity_ms = now;
            session.total_statements = session.total_statements.saturating_add(1);
            session.untold_reset_ms = 0;
        });
        self.note_statement(job, id);
        self.note_session(id);
        Ok(applied::Result::Submitted(Submitted {
            statement: Some(statement),
            replayed: false,
            session_reset_ms,
        }))
    }

    fn new_statement(
        &self,
        job: JobId,
        command: &Submit,
        session: &SessionRecord,
        starts: bool,
    ) -> StatementRecord {
        let state = if starts {
            StatementState::Running
        } else {
            StatementState::Queued
        };
        let incarnation = session.incarnation.as_ref();
        StatementRecord {
            job: job.0,
            session_id: command.session_id.clone(),
            user: command.user.clone(),
            pool: command.pool.clone(),
            state: state.into(),
            code: command.code.clone(),
            description: command.description.clone(),
            operation_id: command.operation_id.clone(),
            spark_session_id: incarnation
                .map(|i| i.spark_session_id.clone())
                .unwrap_or_default(),
            submitted_at_ms: self.now,
            started_at_ms: if starts { self.now } else { 0 },
            replicas: if starts {
                self.registry.replicas_for(job, session.owner_node, &[])
            } else {
                Vec::new()
            },
            timeout_ms: command.timeout_ms,
            idempotency_key: command.idempotency_key.clone(),
            idempotency_body_hash: command.idempotency_body_hash.clone(),
            kind: command.kind.clone(),
            endpoint: session.endpoint.clone(),
            traceparent: bounded(&command.traceparent, TRACEPARENT_MOST),
            tracestate: bounded(&command.tracestate, TRACESTATE_MOST),
            ..StatementRecord::default()
        }
    }
}

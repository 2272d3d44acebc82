//! The calls that attach a stream: execute and reattach.

use std::sync::Arc;

use super::maintenance::Due;
use super::operation::{Ended, Operation, Request};
use super::sql;
use super::{
    Engine, Millis, OperationNo, RpcError, Script, SessionKey, SparkError, Statement, StreamId,
};

/// Who calls, and which session is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// `user_context.user_id`.
    pub user_id: String,
    /// `session_id`.
    pub session_id: String,
    /// `client_observed_server_side_session_id`.
    pub observed: Option<String>,
}

impl Caller {
    pub(super) fn key(&self) -> SessionKey {
        SessionKey {
            user_id: self.user_id.clone(),
            session_id: self.session_id.clone(),
        }
    }
}

/// `ExecutePlan`.
#[derive(Debug, Clone)]
pub struct Execute {
    /// Who calls.
    pub caller: Caller,
    /// The client's id for it; minted here if there is none.
    pub operation_id: Option<String>,
    /// The statement as text; two plans are the same if this is equal.
    pub code: Arc<str>,
    /// The statement compiled; none for a plan that says nothing.
    pub statement: Option<Statement>,
    /// Whether the client may come back for it.
    pub reattachable: bool,
    /// Tags for `Interrupt`.
    pub tags: Vec<String>,
}

/// A stream that was attached.
#[derive(Debug, Clone)]
pub struct Attached {
    /// The stream.
    pub stream: StreamId,
    /// Server-side id of the session.
    pub server_id: String,
    /// The operation.
    pub operation_id: String,
    /// What its batches are made of.
    pub script: Arc<Script>,
}

impl Engine {
    /// `ExecutePlan`: runs a statement, or reattaches to it.
    ///
    /// # Errors
    /// Spark's own: a session that changed or closed, an id that is taken, abandoned, or no UUID.
    pub fn execute(&mut self, now: Millis, request: Execute) -> Result<Attached, RpcError> {
        self.advance(now);
        let key = self.session_or_new(now, &request.caller)?;
        let id = match &request.operation_id {
            None => self.mint_uuid(),
            Some(given) => match uuid::Uuid::parse_str(given) {
                Ok(id) => id.to_string(),
                Err(_) => return Err(self.fail(&key, SparkError::handle("FORMAT", given))),
            },
        };
        if !self.settings.profile.keeps_operations() {
            return self.run(now, key, id, request);
        }
        if let Some(no) = self.find(&key, &id) {
            let same = self
                .operations
                .get(&no)
                .is_some_and(|operation| operation.request.plan == request.code);
            if !same || !self.settings.profile.reattaches_same_plan() {
                let error = SparkError::handle("OPERATION_ALREADY_EXISTS", &id);
                return Err(self.fail(&key, error));
            }
            return self.reattach_to(now, &key, no, None);
        }
        if self.tombstones.contains(&key, &id) || self.recall(now, &key, &id).is_some() {
            return Err(self.fail(&key, SparkError::handle("OPERATION_ABANDONED", &id)));
        }
        self.run(now, key, id, request)
    }

    fn run(
        &mut self,
        now: Millis,
        key: SessionKey,
        id: String,
        request: Execute,
    ) -> Result<Attached, RpcError> {
        let Some(statement) = &request.statement else {
            return Err(self.fail(&key, SparkError::no_plan()));
        };
        let script = self.resolve(&key, statement);
        let script = match self.settings.statement_delay_ms {
            0 => script,
            delay => {
                let (first, each) = (script.delay_ms + delay, script.batch_delay_ms);
                Arc::new(Script::clone(&script).slow(first, each))
            }
        };
        let no = self.mint_no();
        let made = Request {
            session: key.clone(),
            id: id.clone(),
            plan: request.code,
            script,
            reattachable: request.reattachable,
            tags: request.tags,
        };
        let seed = self.mint_random();
        let buffer = self.settings.retry_buffer_bytes;
        let start = now.saturating_add(self.settings.start_delay_ms);
        let operation = Operation::new(made, start, seed, buffer);
        self.operations.insert(no, operation);
        self.agenda.insert((start, Due::OperationStarts(no)));
        if let Some(session) = self.sessions.get_mut(&key) {
            session.operations.insert(id, no);
        }
        let attached = self.attached(now, &key, no, 0);
        self.advance(now);
        attached
    }

    /// Adds to a statement what its session and driver know.
    fn resolve(&mut self, key: &SessionKey, statement: &Statement) -> Arc<Script> {
        let settable = self.settings.profile.keeps_operations();
        let Some(session) = self.sessions.get_mut(key) else {
            return Arc::new(Script::refused(SparkError::no_plan()));
        };
        match statement {
            Statement::Run(script) => return script.clone(),
            Statement::ReadConf(name) => {
                let value = session.conf(name).unwrap_or_else(|| "<undefined>".into());
                return Arc::new(sql::key_value(name, &value));
            }
            Statement::SetConf(name, value) => {
                return Arc::new(match session.set_conf(settable, name, Some(value)) {
                    Ok(()) => sql::key_value(name, value),
                    Err(error) => Script::refused(error),
                });
            }
            Statement::ReadTable {
                name,
                found,
                missing,
            } => {
                let view = session.views.get(name).cloned();
                return match view {
                    Some(view) => self.resolve(key, &view),
                    None if self.tables.contains(name) => self.resolve(key, found),
                    None => Arc::new(Script::refused(missing.clone())),
                };
            }
            Statement::CreateView { name, body } => {
                session.views.insert(name.clone(), Statement::clone(body));
            }
            Statement::CreateTable(name) => {
                self.tables.insert(name.clone());
            }
            Statement::Drop(name) => {
                session.views.remove(name);
                self.tables.remove(name);
            }
        }
        self.resolve(key, &sql::nothing())
    }

    /// `ReattachExecute`: the responses again, from the start or after one of them.
    ///
    /// # Errors
    /// Spark's own: no such session, no such operation, no such response.
    pub fn reattach(
        &mut self,
        now: Millis,
        caller: &Caller,
        operation_id: &str,
        last_response_id: Option<&str>,
    ) -> Result<Attached, RpcError> {
        self.advance(now);
        let key = self.session_only(now, caller)?;
        match self.find(&key, operation_id) {
            Some(no) => self.reattach_to(now, &key, no, last_response_id),
            None => {
                let known = self.tombstones.contains(&key, operation_id);
                let sub_class = if known {
                    "OPERATION_ABANDONED"
                } else {
                    "OPERATION_NOT_FOUND"
                };
                Err(self.fail(&key, SparkError::handle(sub_class, operation_id)))
            }
        }
    }

    fn reattach_to(
        &mut self,
        now: Millis,
        key: &SessionKey,
        no: OperationNo,
        last_response_id: Option<&str>,
    ) -> Result<Attached, RpcError> {
        let Some(operation) = self.operations.get(&no) else {
            return Err(RpcError::Unavailable);
        };
        if !operation.request.reattachable {
            return Err(self.fail(key, SparkError::not_reattachable()));
        }
        if now < operation.started {
            let id = operation.request.id.clone();
            self.remove_operation(now, no, false);
            let error = SparkError::orphaned(&key.user_id, &key.session_id, &id);
            return Err(self.fail(key, error));
        }
        let from = match last_response_id.map(|id| operation.position(id)) {
            None => 0,
            Some(Ok(index)) => index + 1,
            Some(Err(error)) => return Err(self.fail(key, error)),
        };
        self.attached(now, key, no, from)
    }

    fn attached(
        &mut self,
        now: Millis,
        key: &SessionKey,
        no: OperationNo,
        from: usize,
    ) -> Result<Attached, RpcError> {
        let stream = self.attach(now, no, from);
        let server_id = self.server_id(key);
        let operation = self.operations.get(&no).ok_or(RpcError::Unavailable)?;
        Ok(Attached {
            stream,
            server_id,
            operation_id: operation.request.id.clone(),
            script: operation.request.script.clone(),
        })
    }

    pub(super) fn find(&self, key: &SessionKey, id: &str) -> Option<OperationNo> {
        self.sessions.get(key)?.operations.get(id).copied()
    }

    pub(super) fn recall(&mut self, now: Millis, key: &SessionKey, id: &str) -> Option<Ended> {
        let lasts = self.settings.operation_memory_ms;
        self.sessions.get_mut(key)?.recall(id, now, lasts)
    }
}

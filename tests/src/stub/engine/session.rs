//! Sessions: created by the first call that names them, dead for good once closed.

use std::collections::{BTreeMap, VecDeque};

use super::operation::Ended;
use super::{Caller, Engine, Millis, OperationNo, RpcError, SparkError, Statement};

/// How many errors a session keeps for `FetchErrorDetails`.
const ERRORS_KEPT: usize = 20;

/// What names a session: the user, and the client's UUID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionKey {
    /// `user_context.user_id`.
    pub user_id: String,
    /// `session_id`.
    pub session_id: String,
}

/// How an operation of a session ended, and until when that is remembered.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    pub(super) ended: Ended,
    pub(super) expires: Millis,
}

/// One open session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) server_id: String,
    pub(super) last_access: Millis,
    pub(super) conf: BTreeMap<String, String>,
    pub(super) views: BTreeMap<String, Statement>,
    pub(super) operations: BTreeMap<String, OperationNo>,
    pub(super) memory: BTreeMap<String, Memory>,
    errors: VecDeque<(String, SparkError)>,
}

impl Session {
    fn new(server_id: String, now: Millis) -> Self {
        Self {
            server_id,
            last_access: now,
            conf: BTreeMap::new(),
            views: BTreeMap::new(),
            operations: BTreeMap::new(),
            memory: BTreeMap::new(),
            errors: VecDeque::new(),
        }
    }

    /// How the operation ended, if that is still remembered; looking renews the memory.
    pub(super) fn recall(&mut self, id: &str, now: Millis, lasts: Millis) -> Option<Ended> {
        let memory = self.memory.get_mut(id)?;
        if memory.expires <= now {
            self.memory.remove(id);
            return None;
        }
        memory.expires = now.saturating_add(lasts);
        Some(memory.ended)
    }
}

impl Engine {
    /// Finds the caller's session or makes it, as `ExecutePlan`, `Config`, `AnalyzePlan`,
    /// `Interrupt` and `FetchErrorDetails` do: made first, then compared with the observed id.
    pub(super) fn session_or_new(
        &mut self,
        now: Millis,
        caller: &Caller,
    ) -> Result<SessionKey, RpcError> {
        let key = caller.key();
        if !self.sessions.contains_key(&key) {
            if uuid::Uuid::parse_str(&key.session_id).is_err() {
                return Err(SparkError::handle("FORMAT", &key.session_id).into());
            }
            if self.closed_sessions.contains(&key) {
                return Err(SparkError::handle("SESSION_CLOSED", &key.session_id).into());
            }
            let server_id = self.mint_uuid();
            self.sessions
                .insert(key.clone(), Session::new(server_id, now));
        }
        self.check_observed(now, key, caller.observed.as_deref())
    }

    /// Finds the caller's session, as `ReattachExecute`, `ReleaseExecute` and `GetStatus` do.
    pub(super) fn session_only(
        &mut self,
        now: Millis,
        caller: &Caller,
    ) -> Result<SessionKey, RpcError> {
        let key = caller.key();
        if !self.sessions.contains_key(&key) {
            let sub_class = if self.closed_sessions.contains(&key) {
                "SESSION_CLOSED"
            } else {
                "SESSION_NOT_FOUND"
            };
            return Err(SparkError::handle(sub_class, &key.session_id).into());
        }
        self.check_observed(now, key, caller.observed.as_deref())
    }

    fn check_observed(
        &mut self,
        now: Millis,
        key: SessionKey,
        observed: Option<&str>,
    ) -> Result<SessionKey, RpcError> {
        let Some(session) = self.sessions.get_mut(&key) else {
            return Err(RpcError::Unavailable);
        };
        session.last_access = now;
        if observed.is_some_and(|id| id != session.server_id) {
            let error = SparkError::handle("SESSION_CHANGED", &key.session_id);
            return Err(self.fail(&key, error));
        }
        Ok(key)
    }

    /// Server-side id of an open session; empty if it is not open.
    pub(super) fn server_id(&self, key: &SessionKey) -> String {
        self.sessions
            .get(key)
            .map(|session| session.server_id.clone())
            .unwrap_or_default()
    }

    /// Wraps an error for the caller and keeps it for `FetchErrorDetails`.
    pub(super) fn fail(&mut self, key: &SessionKey, error: SparkError) -> RpcError {
        let id = self.mint_uuid();
        let Some(session) = self.sessions.get_mut(key) else {
            return error.into();
        };
        if session.errors.len() == ERRORS_KEPT {
            session.errors.pop_front();
        }
        session.errors.push_back((id.clone(), error.clone()));
        RpcError::Spark {
            error,
            error_id: Some(id),
        }
    }

    /// `FetchErrorDetails`: gives an error once, then forgets it.
    ///
    /// # Errors
    /// A session that changed or closed.
    pub fn error_details(
        &mut self,
        now: Millis,
        caller: &Caller,
        error_id: &str,
    ) -> Result<(String, Option<SparkError>), RpcError> {
        self.advance(now);
        let key = self.session_or_new(now, caller)?;
        let server_id = self.server_id(&key);
        let found = self.sessions.get_mut(&key).and_then(|session| {
            let at = session.errors.iter().position(|(id, _)| id == error_id)?;
            session.errors.remove(at)
        });
        Ok((server_id, found.map(|(_, error)| error)))
    }

    /// `AnalyzePlan(spark_version)`: the server-side session id and the version.
    ///
    /// # Errors
    /// A session that changed or closed.
    pub fn spark_version(
        &mut self,
        now: Millis,
        caller: &Caller,
    ) -> Result<(String, String), RpcError> {
        self.advance(now);
        let key = self.session_or_new(now, caller)?;
        Ok((self.server_id(&key), self.settings.spark_version.clone()))
    }

    /// `ReleaseSession`: never refused; the server-side id, empty if there was no such session.
    pub fn release_session(
        &mut self,
        now: Millis,
        caller: &Caller,
        allow_reconnect: bool,
    ) -> String {
        self.advance(now);
        let key = caller.key();
        let server_id = self.server_id(&key);
        self.close_session(now, &key, allow_reconnect);
        server_id
    }

    /// Ends a session with everything that runs in it.
    pub(super) fn close_session(&mut self, now: Millis, key: &SessionKey, allow_reconnect: bool) {
        let Some(session) = self.sessions.get(key) else {
            return;
        };
        let numbers: Vec<_> = session.operations.values().copied().collect();
        for no in numbers {
            self.remove_operation(now, no, true);
        }
        self.sessions.remove(key);
        if !allow_reconnect {
            if self.closed_sessions.len() >= self.settings.closed_sessions {
                self.closed_sessions.pop_front();
            }
            self.closed_sessions.push_back(key.clone());
        }
    }
}

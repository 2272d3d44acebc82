//! The calls about operations that attach nothing: release, interrupt, status.

use super::operation::{Ended, Operation};
use super::{Caller, Engine, Millis, RpcError, SessionKey, SparkError};

/// What `Interrupt` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interrupt {
    /// Everything in the session.
    All,
    /// Everything with that tag.
    Tag(Option<String>),
    /// One operation.
    Operation(Option<String>),
    /// Nothing that Spark knows.
    Unspecified,
}

/// What `ReleaseExecute` lets go of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Release {
    /// The operation.
    All,
    /// Its responses up to that one.
    Until(String),
}

/// What `GetStatus` says of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationState {
    /// Never heard of, or forgotten.
    Unknown,
    /// Runs.
    Running,
    /// Has ended and waits for its release.
    Terminating,
    /// Ended well and was released.
    Succeeded,
    /// Ended with an error and was released.
    Failed,
    /// Was interrupted.
    Cancelled,
}

impl Engine {
    /// `ReleaseExecute`: the server-side session id, and whether the operation was there. The
    /// observed id is not looked at.
    ///
    /// # Errors
    /// Spark's own: no such session, no such response, an operation that is not reattachable.
    pub fn release(
        &mut self,
        now: Millis,
        caller: &Caller,
        operation_id: &str,
        release: &Release,
    ) -> Result<(String, bool), RpcError> {
        self.advance(now);
        let unchecked = Caller {
            observed: None,
            ..caller.clone()
        };
        let key = self.session_only(now, &unchecked)?;
        let server_id = self.server_id(&key);
        let Some(no) = self.find(&key, operation_id) else {
            return Ok((server_id, false));
        };
        let Some(operation) = self.operations.get_mut(&no) else {
            return Ok((server_id, false));
        };
        if !operation.request.reattachable {
            return Err(self.fail(&key, SparkError::not_reattachable()));
        }
        match release {
            Release::All => self.remove_operation(now, no, false),
            Release::Until(response_id) => {
                if let Err(error) = operation.release_until(response_id) {
                    return Err(self.fail(&key, error));
                }
            }
        }
        Ok((server_id, true))
    }

    /// `Interrupt`: the server-side session id and the operations that were running and no longer
    /// are. Leaves no mark for an operation that has not arrived.
    ///
    /// # Errors
    /// Spark's own: a session that changed or closed, a request that names nothing.
    pub fn interrupt(
        &mut self,
        now: Millis,
        caller: &Caller,
        what: &Interrupt,
    ) -> Result<(String, Vec<String>), RpcError> {
        self.advance(now);
        let key = self.session_or_new(now, caller)?;
        let missing = match what {
            Interrupt::Operation(None) => Some(SparkError::interrupt_needs(
                "operation_id",
                "INTERRUPT_TYPE_OPERATION_ID_REQUIRES_ID",
            )),
            Interrupt::Tag(None) => Some(SparkError::interrupt_needs(
                "operation_tag",
                "INTERRUPT_TYPE_TAG_REQUIRES_TAG",
            )),
            Interrupt::Unspecified => Some(SparkError::interrupt_kind()),
            Interrupt::All | Interrupt::Tag(Some(_)) | Interrupt::Operation(Some(_)) => None,
        };
        if let Some(error) = missing {
            return Err(self.fail(&key, error));
        }
        let meant = |id: &String, operation: &Operation| match what {
            Interrupt::All => true,
            Interrupt::Tag(tag) => tag
                .as_ref()
                .is_some_and(|t| operation.request.tags.contains(t)),
            Interrupt::Operation(named) => named.as_ref() == Some(id),
            Interrupt::Unspecified => false,
        };
        let session = self.sessions.get(&key).ok_or(RpcError::Unavailable)?;
        let candidates: Vec<_> = session
            .operations
            .iter()
            .filter(|(id, no)| self.operations.get(no).is_some_and(|o| meant(id, o)))
            .map(|(id, no)| (id.clone(), *no))
            .collect();
        let interrupted = candidates
            .into_iter()
            .filter(|(_, no)| self.cancel_operation(now, *no))
            .map(|(id, _)| id)
            .collect();
        Ok((self.server_id(&key), interrupted))
    }

    /// `GetStatus`: states of the operations named, or of all if none is named.
    ///
    /// # Errors
    /// [`RpcError::Unimplemented`] where this server has no such call; Spark's own otherwise.
    pub fn status(
        &mut self,
        now: Millis,
        caller: &Caller,
        operation_ids: Option<Vec<String>>,
    ) -> Result<(String, Vec<(String, OperationState)>), RpcError> {
        self.advance(now);
        if !self.settings.profile.has_get_status() {
            return Err(RpcError::Unimplemented {
                method: "GetStatus",
            });
        }
        let key = self.session_only(now, caller)?;
        let session = self.sessions.get(&key).ok_or(RpcError::Unavailable)?;
        let ids = match operation_ids {
            None => Vec::new(),
            Some(ids) if ids.is_empty() => session
                .operations
                .keys()
                .chain(session.memory.keys())
                .cloned()
                .collect(),
            Some(ids) => ids,
        };
        let states = ids
            .into_iter()
            .map(|id| {
                let state = self.state_of(now, &key, &id);
                (id, state)
            })
            .collect();
        Ok((self.server_id(&key), states))
    }

    fn state_of(&mut self, now: Millis, key: &SessionKey, id: &str) -> OperationState {
        let living = self.find(key, id).and_then(|no| self.operations.get(&no));
        match living.map(|operation| operation.ended) {
            Some(None) => OperationState::Running,
            Some(Some(Ended::Cancelled)) => OperationState::Cancelled,
            Some(Some(Ended::Succeeded | Ended::Failed)) => OperationState::Terminating,
            None => match self.recall(now, key, id) {
                None => OperationState::Unknown,
                Some(Ended::Succeeded) => OperationState::Succeeded,
                Some(Ended::Failed) => OperationState::Failed,
                Some(Ended::Cancelled) => OperationState::Cancelled,
            },
        }
    }
}

//! Making, reading and closing sessions.

use std::collections::BTreeMap;
use std::time::Duration;

use libra_proto::registry::{CloseSession, Mode, SessionState, applied, command};
use libra_proto::types::{SessionId, UserName};
use libra_raft::registry::{SHARED_SESSION, session_key};
use uuid::Uuid;

use super::conf::check_conf;
use super::snapshots::session_snapshot;
use super::submit::not_ready;
use super::{Consistency, FieldError, Patience, Service, ServiceError, SessionSnapshot};

/// A session to be made.
#[derive(Debug, Clone)]
pub struct NewSession {
    /// Its id; `s-<uuid>` if it is left out.
    pub id: Option<SessionId>,
    /// By whom.
    pub user: UserName,
    /// Settings of the Spark session.
    pub conf: BTreeMap<String, String>,
    /// Idle timeout in minutes; 0 = never; the server's setting if it is left out.
    pub timeout_minutes: Option<u64>,
    /// `<path>\n<key>`; empty without an Idempotency-Key.
    pub idempotency_key: String,
    /// What [`super::body_hash`] makes of the body; empty without a key.
    pub body_hash: Vec<u8>,
}

/// A part of the list of sessions, by id.
#[derive(Debug, Clone)]
pub struct SessionPage {
    /// The sessions.
    pub sessions: Vec<SessionSnapshot>,
    /// How many there are in all.
    pub total: usize,
    /// Where the list goes on, if it does.
    pub next: Option<String>,
}

const MOST_MINUTES: u64 = 527_040;

impl Service {
    /// Makes a session (ISOLATED).
    ///
    /// # Errors
    /// When it is not valid, refused, or there is no leader.
    pub async fn create_session(
        &self,
        new: NewSession,
        patience: Patience,
    ) -> Result<SessionSnapshot, ServiceError> {
        self.refuse_while_draining()?;
        validate(&new)?;
        if self.mode(patience).await? != Mode::Isolated {
            return Err(ServiceError::ModeShared);
        }
        let id = new
            .id
            .map_or_else(|| format!("s-{}", Uuid::new_v4()), String::from);
        let timeout = new.timeout_minutes.map(|m| Duration::from_secs(m * 60));
        let mut create = self.create_command(id, &new.user, new.conf, timeout, false)?;
        create.idempotency_key = session_key(&new.idempotency_key, &new.body_hash);
        let kind = command::Kind::CreateSession(create);
        match self.propose(kind, patience).await? {
            applied::Result::Session(record) => {
                Ok(self.view(|registry| session_snapshot(registry, &record)))
            }
            _ => Err(ServiceError::Internal {
                cause: "a session was made, but not answered".to_owned(),
            }),
        }
    }

    /// One session.
    ///
    /// # Errors
    /// When there is no such session, or no leader.
    pub async fn session(
        &self,
        id: &SessionId,
        consistency: Consistency,
    ) -> Result<SessionSnapshot, ServiceError> {
        self.catch_up(consistency).await?;
        let found = self.view(|registry| {
            let record = registry.session(id)?;
            Some(session_snapshot(registry, record))
        });
        found.ok_or_else(|| unknown(id))
    }

    /// Sessions after an id, or all, by id.
    ///
    /// # Errors
    /// When there is no leader.
    pub async fn sessions(
        &self,
        after: Option<&SessionId>,
        limit: usize,
        consistency: Consistency,
    ) -> Result<SessionPage, ServiceError> {
        self.catch_up(consistency).await?;
        Ok(self.view(|registry| {
            let mut rest = registry.sessions_after(after);
            let page = rest.by_ref().take(limit);
            let sessions: Vec<_> = page.map(|r| session_snapshot(registry, r)).collect();
            let last = sessions.last().map(|s| s.record.session_id.clone());
            SessionPage {
                next: last.filter(|_| rest.next().is_some()),
                sessions,
                total: registry.session_count(),
            }
        }))
    }

    /// Closes a session; one that is closing or closed stays as it is.
    ///
    /// # Errors
    /// When there is no such session, it is the shared one, or there is no leader.
    pub async fn close_session(
        &self,
        id: &SessionId,
        patience: Patience,
    ) -> Result<(), ServiceError> {
        let found = self
            .session(id, Consistency::Linearizable(patience))
            .await?;
        match found.record.state() {
            SessionState::Closing | SessionState::Closed => return Ok(()),
            SessionState::Unspecified
            | SessionState::Starting
            | SessionState::Open
            | SessionState::Failed => {}
        }
        let shared = id.as_str() == SHARED_SESSION && self.mode(patience).await? == Mode::Shared;
        if shared {
            return Err(ServiceError::ModeShared);
        }
        let close = CloseSession {
            session_id: id.to_string(),
            reason: "closed by request".to_owned(),
            if_idle_since_ms: 0,
        };
        let kind = command::Kind::CloseSession(close);
        match self.propose(kind, patience).await {
            Ok(_)
            | Err(ServiceError::SessionClosed { .. } | ServiceError::SessionFailed { .. }) => {
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// The cluster's mode; waits for the settings to be there.
    pub(super) async fn mode(&self, patience: Patience) -> Result<Mode, ServiceError> {
        let read = || self.view(|r| r.settings().map(libra_proto::registry::Settings::mode));
        if let Some(mode) = read() {
            return Ok(mode);
        }
        self.read_index(patience).await?;
        read().ok_or_else(not_ready)
    }
}

fn validate(new: &NewSession) -> Result<(), ServiceError> {
    let mut errors = check_conf(&new.conf);
    if let Some(minutes) = new.timeout_minutes.filter(|m| *m > MOST_MINUTES) {
        let allowed = format!("a whole number from 0 to {MOST_MINUTES}");
        errors.push(FieldError::new(
            "timeoutMinutes",
            minutes.to_string(),
            allowed,
        ));
    }
    if errors.is_empty() {
        Ok(())
    } else {
        Err(ServiceError::Invalid { errors })
    }
}

fn unknown(id: &SessionId) -> ServiceError {
    ServiceError::UnknownSession {
        session_id: id.to_string(),
    }
}

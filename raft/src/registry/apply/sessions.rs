//! How sessions begin: made, reopened, opened in Spark, and started anew when Spark has lost them.

use libra_proto::admin::{SessionCreated, SessionOpened, SessionWasReset, event};
use libra_proto::registry::{
    CreateSession, Incarnation, Mode, OpenSession, Rejection, RejectionCode, ResetSession,
    SessionRecord, SessionReset, SessionState, Settings, StatementState, applied,
};
use libra_proto::types::{ErrorClass, JobId, SessionId};

use super::ends::End;
use super::{Outcome, Step, done, malformed, stale};
use crate::registry::error::{over_limit, reject};
use crate::registry::idempotency::{Target, split_session_key};
use crate::registry::state::{RESETS_KEPT, SHARED_SESSION, has_ended};

impl Step<'_> {
    pub(super) fn create_session(&mut self, command: &CreateSession) -> Outcome {
        if let Some(made) = self.made_before(command)? {
            return Ok(applied::Result::Session(made.clone()));
        }
        let owner = self.check_create(command)?;
        self.make_session(command, owner);
        self.session(&command.session_id)
            .cloned()
            .map(applied::Result::Session)
    }

    /// The session that this very command, or its idempotency key, has made already.
    fn made_before(&self, command: &CreateSession) -> Result<Option<&SessionRecord>, Rejection> {
        let (key, hash) = split_session_key(&command.idempotency_key);
        if let Some(target) = self.registry.index.idempotency.get(key) {
            let mismatch = || reject(RejectionCode::IdempotencyMismatch, key);
            let Target::Session(id) = target else {
                return Err(mismatch());
            };
            let session = self.session(id)?;
            let (_, known) = split_session_key(&session.idempotency_key);
            return if known == hash {
                Ok(Some(session))
            } else {
                Err(mismatch())
            };
        }
        let known = self.registry.records.sessions.get(&command.session_id);
        Ok(known
            .map(AsRef::as_ref)
            .filter(|session| had_spark_session(session, command)))
    }

    /// Whether a session may be made or reopened so, and whose it is to be; changes nothing.
    pub(super) fn check_create(&self, command: &CreateSession) -> Result<u64, Rejection> {
        let id = command.session_id.as_str();
        if id.parse::<SessionId>().is_err() {
            return Err(malformed("session_id"));
        }
        if command.spark_session_id.is_empty() {
            return Err(malformed("spark_session_id"));
        }
        let settings = self.settings()?;
        let shared = settings.mode() == Mode::Shared;
        if shared && id != SHARED_SESSION {
            return Err(reject(RejectionCode::ModeShared, id));
        }
        if let Some(session) = self.registry.records.sessions.get(id)
            && !(command.reopen && has_ended(session))
        {
            return Err(reject(RejectionCode::SessionTaken, id));
        }
        let limit = settings.max_sessions;
        if !shared && self.registry.live_session_count() >= limit as usize {
            return Err(over_limit(RejectionCode::TooManySessions, id, limit.into()));
        }
        self.owner_of_new(command)
    }

    /// A registry that knows no node takes anybody's word.
    fn owner_of_new(&self, command: &CreateSession) -> Result<u64, Rejection> {
        match command.owner_node {
            0 => {
                let placed = self.registry.placement(&command.endpoint, &[]);
                let nobody = || reject(RejectionCode::NoNode, command.session_id.as_str());
                placed.map(|node| node.0).ok_or_else(nobody)
            }
            owner if self.registry.records.nodes.is_empty() => Ok(owner),
            owner => self.up_node(owner),
        }
    }

    fn settings(&self) -> Result<Settings, Rejection> {
        let settings = self.registry.records.settings;
        settings.ok_or_else(|| reject(RejectionCode::SettingsVersion, "settings"))
    }

    /// Makes the session, or reopens it in its next epoch; [`Step::check_create`] has agreed.
    pub(super) fn make_session(&mut self, command: &CreateSession, owner: u64) {
        let mode = self
            .registry
            .records
            .settings
            .map_or(Mode::Unspecified, |s| s.mode());
        let id = &command.session_id;
        let now = self.now;
        if let Some(session) = self.registry.records.sessions.get(id) {
            let epoch = session.epoch.saturating_add(1);
            self.turn_session(id, SessionState::Starting, |session| {
                begin(session, command, mode, now);
                session.owner_node = owner;
                session.epoch = epoch;
            });
            self.tell_of_new(id);
            return;
        }
        let mut session = SessionRecord {
            session_id: id.clone(),
            state: SessionState::Starting.into(),
            owner_node: owner,
            epoch: self.registry.records.epoch_floor.saturating_add(1),
            created_at_ms: now,
            ..SessionRecord::default()
        };
        begin(&mut session, command, mode, now);
        self.registry.insert_session(session);
        self.note_session(id);
        self.tell_of_new(id);
    }

    fn tell_of_new(&mut self, id: &str) {
        let Ok(session) = self.session(id) else {
            return;
        };
        let created = SessionCreated {
            session_id: id.to_owned(),
            user: session.user.clone(),
            owner_node: session.owner_node,
            epoch: session.epoch,
            endpoint: session.endpoint.clone(),
        };
        self.tell(event::Kind::SessionCreated(created));
    }

    pub(super) fn open_session(&mut self, command: &OpenSession) -> Outcome {
        let session = self.session_at(&command.session_id, command.epoch)?;
        let incarnation = command
            .incarnation
            .as_ref()
            .ok_or_else(|| malformed("incarnation"))?;
        if incarnation.spark_session_id.is_empty()
            || incarnation.spark_session_id != session.spark_session_id
        {
            return Err(stale(session));
        }
        match session.state() {
            SessionState::Starting => {}
            SessionState::Open => {
                let known = session.incarnation.as_ref();
                return if known.is_some_and(|known| is_same(known, incarnation)) {
                    Ok(done(false))
                } else {
                    Err(reject(
                        RejectionCode::IllegalTransition,
                        command.session_id.as_str(),
                    ))
                };
            }
            SessionState::Closing
            | SessionState::Closed
            | SessionState::Failed
            | SessionState::Unspecified => return Err(over(session)),
        }
        let incarnation = Incarnation {
            opened_at_ms: self.now,
            ..incarnation.clone()
        };
        self.adopt_queued(&command.session_id, &incarnation.spark_session_id);
        self.tell(event::Kind::SessionOpened(SessionOpened {
            session_id: command.session_id.clone(),
            epoch: command.epoch,
            spark_session_id: incarnation.spark_session_id.clone(),
            spark_version: incarnation.spark_version.clone(),
        }));
        self.registry
            .update_session(&command.session_id, |session| {
                session.set_state(SessionState::Open);
                session.incarnation = Some(incarnation);
            });
        self.note_session(&command.session_id);
        Ok(done(true))
    }

    /// Statements accepted before the session had a Spark session belong to its first.
    fn adopt_queued(&mut self, id: &str, spark_session_id: &str) {
        for job in self.active_jobs(id) {
            let homeless = self
                .statement(job)
                .is_ok_and(|statement| statement.spark_session_id.is_empty());
            if homeless {
                self.registry.update_statement(job, |statement| {
                    spark_session_id.clone_into(&mut statement.spark_session_id);
                });
                self.note_statement(job, id);
            }
        }
    }

    pub(super) fn reset_session(&mut self, command: &ResetSession) -> Outcome {
        let session = self.session_at(&command.session_id, command.epoch)?;
        let old = command.old_spark_session_id.as_str();
        if session.spark_session_id != old {
            return if was_reset(session, command) {
                Ok(done(false))
            } else {
                Err(stale(session))
            };
        }
        if command.new_spark_session_id.is_empty() || command.new_spark_session_id == old {
            return Err(malformed("new_spark_session_id"));
        }
        if has_ended(session) {
            return Err(over(session));
        }
        let closing = session.state() == SessionState::Closing;
        self.tell(event::Kind::SessionReset(SessionWasReset {
            session_id: command.session_id.clone(),
            reason: command.reason.clone(),
            old_spark_session_id: old.to_owned(),
        }));
        self.end_with_spark_session(command);
        if closing {
            // Nothing is left to release.
            self.close_now(&command.session_id);
        } else {
            self.start_anew(command);
        }
        Ok(done(true))
    }

    /// Ends what was bound to the Spark session that is gone, and frees the slots it held.
    fn end_with_spark_session(&mut self, command: &ResetSession) {
        let id = &command.session_id;
        for job in self.active_jobs(id) {
            let Ok(statement) = self.statement(job) else {
                continue;
            };
            let running = statement.state() == StatementState::Running;
            if running && command.never_sent.contains(&job.0) {
                self.end(
                    job,
                    End::failed(ErrorClass::SessionReset.error(format!(
                        "the Spark session that the statement was accepted for is gone, and it was \
                         never sent there: {}",
                        command.reason
                    ))),
                );
            } else if running {
                self.end(
                    job,
                    End::failed(ErrorClass::OutcomeUnknown.error(format!(
                        "the Spark session was lost while the statement ran: {}",
                        command.reason
                    ))),
                );
            } else if statement.spark_session_id == command.old_spark_session_id {
                self.end(
                    job,
                    End::failed(ErrorClass::SessionReset.error(format!(
                        "the Spark session that the statement was accepted for is gone: {}",
                        command.reason
                    ))),
                );
            }
        }
        self.drop_cleanups(id, &command.old_spark_session_id);
    }

    /// Gives the session the new Spark session's id and lets its owner open it.
    fn start_anew(&mut self, command: &ResetSession) {
        let now = self.now;
        self.turn_session(&command.session_id, SessionState::Starting, |session| {
            session
                .spark_session_id
                .clone_from(&command.new_spark_session_id);
            session.incarnation = None;
            session.untold_reset_ms = now;
            session.resets.push(SessionReset {
                at_ms: now,
                reason: command.reason.clone(),
                old_spark_session_id: command.old_spark_session_id.clone(),
            });
            let excess = session.resets.len().saturating_sub(RESETS_KEPT);
            session.resets.drain(..excess);
        });
    }

    /// The session's queued and running statements, in order of acceptance.
    pub(super) fn active_jobs(&self, id: &str) -> Vec<JobId> {
        let jobs = self.registry.index.sessions.get(id);
        jobs.map(|jobs| jobs.active.iter().copied().collect())
            .unwrap_or_default()
    }

    /// Changes the session's state, if the table of transitions agrees; the callers have ruled out
    /// where it does not.
    pub(super) fn turn_session(
        &mut self,
        id: &str,
        next: SessionState,
        change: impl FnOnce(&mut SessionRecord),
    ) {
        let Ok(session) = self.session(id) else {
            return;
        };
        let legal = session.state().may_become(next);
        debug_assert!(legal, "{id}: {:?} -> {next:?}", session.state());
        if legal {
            self.registry.update_session(id, |session| {
                session.set_state(next);
                change(session);
            });
            self.note_session(id);
        }
    }
}

/// A refusal because the session is closed, closing or failed.
pub(super) fn over(session: &SessionRecord) -> Rejection {
    let code = match session.state() {
        SessionState::Failed => RejectionCode::SessionFailed,
        SessionState::Unspecified
        | SessionState::Starting
        | SessionState::Open
        | SessionState::Closing
        | SessionState::Closed => RejectionCode::SessionClosed,
    };
    reject(code, session.session_id.as_str())
}

fn begin(session: &mut SessionRecord, command: &CreateSession, mode: Mode, now: u64) {
    session.set_mode(mode);
    session.user.clone_from(&command.user);
    session.endpoint.clone_from(&command.endpoint);
    session
        .spark_session_id
        .clone_from(&command.spark_session_id);
    session.incarnation = None;
    session.conf.clone_from(&command.conf);
    session.idle_timeout_ms = command.idle_timeout_ms;
    session.last_activity_ms = now;
    session.closed_at_ms = 0;
    session.close_reason.clear();
    session.error = None;
    session.untold_reset_ms = 0;
    if !command.idempotency_key.is_empty() {
        session.idempotency_key.clone_from(&command.idempotency_key);
    }
}

fn had_spark_session(session: &SessionRecord, command: &CreateSession) -> bool {
    let id = &command.spark_session_id;
    !id.is_empty()
        && (session.spark_session_id == *id
            || session
                .resets
                .iter()
                .any(|reset| reset.old_spark_session_id == *id))
}

fn was_reset(session: &SessionRecord, command: &ResetSession) -> bool {
    let old = &command.old_spark_session_id;
    session.spark_session_id == command.new_spark_session_id
        && session
            .resets
            .iter()
            .any(|reset| reset.old_spark_session_id == *old)
}

fn is_same(known: &Incarnation, told: &Incarnation) -> bool {
    *known
        == Incarnation {
            opened_at_ms: known.opened_at_ms,
            ..told.clone()
        }
}

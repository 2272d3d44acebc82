//! Taking a backup in: its records lie aside, part by part, until all are there; then the registry
//! becomes what they say, in one step.
//!
//! **Invariant:** until that step nothing of them is seen, and only a fresh registry takes it: what
//! this cluster has acknowledged is never lost to a backup of another.

use std::sync::Arc;

use libra_proto::admin::{self, event};
use libra_proto::registry::{
    Mode, Rejection, RejectionCode, RestoreBegin, RestoreEnd, RestorePart, applied,
};
use libra_proto::types::JobId;
use prost::Message;

use super::{Outcome, Step, done, malformed};
use crate::registry::error::{over_limit, reject};
use crate::registry::indexes::Indexes;
use crate::registry::revive::{Plan, revive};
use crate::registry::snapshot;
use crate::registry::state::{Records, SHARED_SESSION, Staged};

/// The length of a seed.
const SEED_BYTES: usize = 16;
/// What may lie aside. It is in memory and in every snapshot.
const STAGED_BYTES_MOST: u64 = 1 << 30;

impl Step<'_> {
    pub(super) fn restore_begin(&mut self, command: &RestoreBegin) -> Outcome {
        if command.restore_id.is_empty() {
            return Err(malformed("restore_id"));
        }
        self.check_fresh()?;
        let level = self.registry.feature_level();
        if command.feature_level > level {
            let wanted = command.feature_level.to_string();
            return Err(over_limit(
                RejectionCode::FeatureLevel,
                wanted,
                level.into(),
            ));
        }
        let staged = self.registry.records.staged.as_ref();
        let repeated = staged.is_some_and(|staged| staged.restore_id == command.restore_id);
        if !repeated {
            self.registry.records.staged = Some(Staged {
                restore_id: command.restore_id.clone(),
                ..Staged::default()
            });
        }
        Ok(done(!repeated))
    }

    pub(super) fn restore_part(&mut self, command: &RestorePart) -> Outcome {
        let bytes: u64 = command.records.iter().map(|r| r.encoded_len() as u64).sum();
        let staged = staged(&mut self.registry.records, &command.restore_id)?;
        let next = staged.parts.len() as u64;
        if command.position < next {
            return Ok(done(false));
        }
        if command.position > next {
            return Err(malformed("position"));
        }
        if staged.bytes.saturating_add(bytes) > STAGED_BYTES_MOST {
            let what = "larger than can be taken in";
            return Err(over_limit(
                RejectionCode::BadBackup,
                what,
                STAGED_BYTES_MOST,
            ));
        }
        staged.bytes = staged.bytes.saturating_add(bytes);
        staged.parts.push(Arc::new(command.records.clone()));
        Ok(done(true))
    }

    pub(super) fn restore_end(&mut self, command: &RestoreEnd) -> Outcome {
        let staged = staged(&mut self.registry.records, &command.restore_id)?;
        if command.abandon {
            self.registry.records.staged = None;
            return Ok(done(true));
        }
        if staged.parts.len() as u64 != command.parts {
            return Err(malformed("parts"));
        }
        if command.seed.len() != SEED_BYTES {
            return Err(malformed("seed"));
        }
        let parts = staged.parts.clone();
        self.check_fresh()?;
        let level = self.registry.feature_level();
        let backup = snapshot::gather(level, parts.iter().flat_map(|part| part.iter().cloned()))
            .map_err(|error| reject(RejectionCode::BadBackup, error.to_string()))?;
        let applied_index = backup.applied_index;
        let plan = Plan {
            now: self.now,
            endpoints: &command.endpoints,
            unreachable: &command.unreachable,
            seed: &command.seed,
        };
        let (records, came_of_it) = revive(&self.registry.records, backup, &plan)?;
        self.become_of(records);
        self.tell(event::Kind::Restored(admin::Restored {
            cluster_name: command.cluster_name.clone(),
            applied_index,
            sessions: came_of_it.sessions,
            statements: came_of_it.statements,
        }));
        let settings = self.registry.records.settings;
        self.close_other_modes(settings.map_or(Mode::Unspecified, |settings| settings.mode()));
        Ok(applied::Result::Restored(came_of_it))
    }

    fn become_of(&mut self, records: Records) {
        self.registry.index = Indexes::build(&records);
        self.registry.records = records;
        let records = &self.registry.records;
        let statements: Vec<(JobId, String)> = records
            .statements
            .iter()
            .map(|(job, statement)| (*job, statement.session_id.clone()))
            .collect();
        let sessions: Vec<String> = records.sessions.keys().cloned().collect();
        for (job, session) in statements {
            self.note_statement(job, &session);
        }
        for session in sessions {
            self.note_session(&session);
        }
        self.note_settings();
    }

    /// Fresh: whatever the nodes have said at their start, and nothing that a client has asked for.
    fn check_fresh(&self) -> Result<(), Rejection> {
        let records = &self.registry.records;
        let mut sessions = records.sessions.keys();
        if let Some(session) = sessions.find(|id| *id != SHARED_SESSION) {
            return Err(reject(RejectionCode::NotFresh, session.as_str()));
        }
        if records.last_job != 0 {
            let newest = JobId(records.last_job).to_string();
            return Err(reject(RejectionCode::NotFresh, newest));
        }
        Ok(())
    }
}

/// What lies aside of that restore.
fn staged<'a>(records: &'a mut Records, restore_id: &str) -> Result<&'a mut Staged, Rejection> {
    let staged = records.staged.as_mut();
    staged
        .filter(|staged| staged.restore_id == restore_id)
        .ok_or_else(|| reject(RejectionCode::RestoreSuperseded, restore_id))
}

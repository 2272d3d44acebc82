//! What becomes of a backup in another cluster.
//!
//! **Invariant:** nothing runs twice. The cluster of before may have gone on after the backup was
//! taken: of a statement that had not ended nobody knows the outcome, and a job id that was given out
//! since is never given to another statement. An epoch is higher than any that an owner may still
//! hold.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use libra_proto::registry::{
    CleanupRecord, Incarnation, Rejection, RejectionCode, Restored, SessionRecord, SessionReset,
    SessionState, Settings, StatementRecord, StatementState, Unreachable,
};
use libra_proto::types::{ErrorClass, JobId};
use uuid::Uuid;

use super::error::reject;
use super::placement::{Load, place};
use super::state::{RESETS_KEPT, Records, has_ended};

/// What a session is told when it lives again.
const REASON: &str = "restored from a backup";
/// As many statements may have been accepted between a backup and the end of its cluster.
const JOBS_SKIPPED: u64 = 1_000_000;

/// What the new cluster has for them.
pub(super) struct Plan<'a> {
    /// The registry's clock.
    pub(super) now: u64,
    /// Its endpoints; none = sessions stay on theirs.
    pub(super) endpoints: &'a [String],
    pub(super) unreachable: &'a [Unreachable],
    /// 16 bytes that no other restore has.
    pub(super) seed: &'a [u8],
}

/// The records that a cluster goes on with that held `present`, which is fresh.
pub(super) fn revive(
    present: &Records,
    backup: Records,
    plan: &Plan,
) -> Result<(Records, Restored), Rejection> {
    let mut came_of_it = Restored {
        sessions: backup.sessions.len() as u64,
        statements: backup.statements.len() as u64,
        pools: backup.pools.len() as u64,
        ..Restored::default()
    };
    let moved = moved_endpoints(&backup, plan);
    let cleanups = cleanups(&backup, &moved);
    let mut revival = Revival {
        present,
        plan,
        load: up_nodes(present),
        moved,
        busy: cleanups.values().map(|c| c.session_id.clone()).collect(),
    };
    let mut sessions = present.sessions.clone();
    for (id, session) in &backup.sessions {
        let (session, lives) = revival.session(Arc::unwrap_or_clone(Arc::clone(session)))?;
        came_of_it.sessions_reopened += u64::from(lives);
        sessions.insert(id.clone(), Arc::new(session));
    }
    let mut statements = BTreeMap::new();
    for (job, statement) in backup.statements {
        let owner = sessions.get(&statement.session_id);
        let owner = owner.map_or(0, |session| session.owner_node);
        let statement = Arc::unwrap_or_clone(statement);
        let statement = end_of(statement, owner, plan.now, &mut came_of_it);
        statements.insert(job, Arc::new(statement));
    }
    let floors = [present.epoch_floor, backup.epoch_floor];
    let records = Records {
        clock_ms: present.clock_ms.max(backup.clock_ms),
        last_job: backup.last_job.saturating_add(JOBS_SKIPPED),
        epoch_floor: floors.into_iter().max().unwrap_or_default(),
        settings: settings(present, backup.settings),
        pools: backup.pools,
        sessions,
        statements,
        cleanups,
        staged: None,
        ..present.clone()
    };
    Ok((records, came_of_it))
}

/// The file's, as the next version of this cluster's.
fn settings(present: &Records, backup: Option<Settings>) -> Option<Settings> {
    let version = present.settings.map_or(0, |settings| settings.version);
    let next = backup.map(|settings| Settings {
        version: version.saturating_add(1),
        ..settings
    });
    next.or(present.settings)
}

fn up_nodes(present: &Records) -> Load {
    let up = present.nodes.values().filter(|node| node.state().is_up());
    up.map(|node| (node.node_id, 0)).collect()
}

/// The endpoints that the cluster does not have, each with the one that stands for it now.
fn moved_endpoints(backup: &Records, plan: &Plan) -> BTreeMap<String, String> {
    let sessions = backup.sessions.values();
    let all: BTreeSet<&String> = sessions.map(|session| &session.endpoint).collect();
    let gone = all
        .into_iter()
        .filter(|name| !plan.endpoints.contains(name));
    let instead = plan.endpoints.iter().cycle();
    gone.cloned().zip(instead.cloned()).collect()
}

/// The operations that may still run in Spark: those that were to be wound up, and all that ran. What
/// is on an endpoint that is out of reach for good cannot be, and takes no slot here.
fn cleanups(backup: &Records, moved: &BTreeMap<String, String>) -> BTreeMap<JobId, CleanupRecord> {
    let running = backup.statements.values();
    let running = running.filter(|statement| statement.state() == StatementState::Running);
    let left = running.filter_map(|statement| {
        let session = backup.sessions.get(&statement.session_id)?;
        let incarnation = session.incarnation.clone()?;
        Some((
            JobId(statement.job),
            cleanup(statement, session, incarnation),
        ))
    });
    let known = backup.cleanups.iter();
    let known = known.map(|(job, cleanup)| (*job, cleanup.clone()));
    known
        .chain(left)
        .filter(|(_, cleanup)| !moved.contains_key(&cleanup.endpoint))
        .collect()
}

fn cleanup(
    statement: &StatementRecord,
    session: &SessionRecord,
    incarnation: Incarnation,
) -> CleanupRecord {
    CleanupRecord {
        job: statement.job,
        session_id: session.session_id.clone(),
        endpoint: statement.endpoint.clone(),
        pool: statement.pool.clone(),
        operation_id: statement.operation_id.clone(),
        incarnation: Some(incarnation),
    }
}

/// What has no end yet gets one, and nobody holds a result, but for those that are inline.
fn end_of(
    mut statement: StatementRecord,
    owner: u64,
    now: u64,
    came_of_it: &mut Restored,
) -> StatementRecord {
    if let Some(result) = &mut statement.result {
        result.holders.clear();
        let is_lost = result.inline.is_empty() && result.rows > 0;
        came_of_it.results_lost += u64::from(is_lost);
    }
    let was = match statement.state() {
        StatementState::Queued => "queued",
        StatementState::Running => "running",
        StatementState::Unspecified
        | StatementState::Succeeded
        | StatementState::Failed
        | StatementState::Cancelled => return statement,
    };
    let message = format!(
        "the statement was {was} when the backup was taken that this cluster was restored from: it \
         may have run since"
    );
    statement.set_state(StatementState::Failed);
    statement.error = Some(ErrorClass::OutcomeUnknown.error(message));
    statement.completed_at_ms = now;
    statement.ended_on_node = owner;
    came_of_it.outcomes_unknown += 1;
    statement
}

/// Sessions, one after another.
struct Revival<'a> {
    present: &'a Records,
    plan: &'a Plan<'a>,
    /// How many each node that is UP has been given.
    load: Load,
    moved: BTreeMap<String, String>,
    /// The sessions with operations to wind up.
    busy: BTreeSet<String>,
}

impl Revival<'_> {
    /// The session as it goes on, and whether it lives.
    fn session(&mut self, mut session: SessionRecord) -> Result<(SessionRecord, bool), Rejection> {
        let id = session.session_id.clone();
        if let Some(endpoint) = self.moved.get(&session.endpoint) {
            session.endpoint.clone_from(endpoint);
        }
        let known = self.present.sessions.get(&id);
        let known = known.map_or(0, |session| session.epoch);
        session.epoch = session.epoch.max(known).saturating_add(1);
        let lives = match session.state() {
            SessionState::Starting | SessionState::Open => {
                self.begin_anew(&mut session)?;
                true
            }
            SessionState::Closing | SessionState::Unspecified => {
                session.set_state(SessionState::Closed);
                session.closed_at_ms = self.plan.now;
                false
            }
            SessionState::Closed | SessionState::Failed => false,
        };
        debug_assert!(lives || has_ended(&session), "{id}");
        if lives || self.busy.contains(&id) {
            session.owner_node = self.owner(&session)?;
        }
        Ok((session, lives))
    }

    /// As after the loss of its session in Spark.
    fn begin_anew(&self, session: &mut SessionRecord) -> Result<(), Rejection> {
        let seed = Uuid::from_slice(self.plan.seed);
        let seed = seed.map_err(|_| reject(RejectionCode::Malformed, "seed"))?;
        let next = Uuid::new_v5(&seed, session.session_id.as_bytes()).to_string();
        let now = self.plan.now;
        session.set_state(SessionState::Starting);
        session.incarnation = None;
        session.untold_reset_ms = now;
        session.last_activity_ms = now;
        session.resets.push(SessionReset {
            at_ms: now,
            reason: REASON.to_owned(),
            old_spark_session_id: std::mem::replace(&mut session.spark_session_id, next),
        });
        let excess = session.resets.len().saturating_sub(RESETS_KEPT);
        session.resets.drain(..excess);
        Ok(())
    }

    fn owner(&mut self, session: &SessionRecord) -> Result<u64, Rejection> {
        let barred = |node| {
            let mut pairs = self.plan.unreachable.iter();
            pairs.any(|pair| pair.node_id == node && pair.endpoint == session.endpoint)
        };
        let owner = place(&self.load, barred);
        let owner =
            owner.ok_or_else(|| reject(RejectionCode::NoNode, session.session_id.as_str()))?;
        if let Some(sessions) = self.load.get_mut(&owner) {
            *sessions = sessions.saturating_add(1);
        }
        Ok(owner)
    }
}

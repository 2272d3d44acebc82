//! The records, and the registry made of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use libra_proto::registry::{
    CleanupRecord, NodeRecord, PoolRecord, RequestRecord, SessionRecord, SessionState, Settings,
    SnapshotRecord, StatementRecord,
};
use libra_proto::types::JobId;

use super::indexes::Indexes;

/// The newest form of commands and records that this build understands.
///
/// Level 1 is what the first release will know; until then it may still grow, as it did with paused
/// pools, restores, batches of cancels and the leader's note. After a release every command or field
/// that `apply` acts on in another way comes with a level of its own.
pub const FEATURE_LEVEL: u32 = 1;

/// The level that every registry begins with, whatever the build that makes it knows.
pub(super) const FIRST_LEVEL: u32 = 1;

/// A level that no build knows but one that a test pretends.
#[cfg(test)]
pub(super) const TEST_LEVEL: u32 = FEATURE_LEVEL + 1;

/// How many resets a session remembers.
pub(super) const RESETS_KEPT: usize = 100;

/// Bytes of results that the registry holds itself, all together; beyond it they become files.
pub(super) const INLINE_KEPT: u64 = 128 << 20;

/// The id of the one session of mode SHARED.
pub const SHARED_SESSION: &str = "default";

/// The truth: what a snapshot holds, and all of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Records {
    pub(super) applied_index: u64,
    pub(super) applied_term: u64,
    pub(super) clock_ms: u64,
    /// The newest job id given out; 0 before the first.
    pub(super) last_job: u64,
    /// The highest epoch of any session that was retired: a session made anew starts above it, so
    /// that epochs rise even for ids that were forgotten (invariant I1).
    pub(super) epoch_floor: u64,
    pub(super) feature_level: u32,
    pub(super) settings: Option<Settings>,
    pub(super) nodes: BTreeMap<u64, NodeRecord>,
    pub(super) pools: BTreeMap<String, PoolRecord>,
    pub(super) sessions: BTreeMap<String, Arc<SessionRecord>>,
    pub(super) statements: BTreeMap<JobId, Arc<StatementRecord>>,
    pub(super) cleanups: BTreeMap<JobId, CleanupRecord>,
    /// Requests that were answered, by the log index that answered them.
    pub(super) requests: BTreeMap<u64, Arc<RequestRecord>>,
    /// A backup that is being taken in.
    pub(super) staged: Option<Staged>,
}

/// Parts of a backup that lie aside until all are there.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Staged {
    pub(super) restore_id: String,
    pub(super) parts: Vec<Arc<Vec<SnapshotRecord>>>,
    /// Of all their records.
    pub(super) bytes: u64,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            applied_index: 0,
            applied_term: 0,
            clock_ms: 0,
            last_job: 0,
            epoch_floor: 0,
            feature_level: FIRST_LEVEL,
            settings: None,
            nodes: BTreeMap::new(),
            pools: BTreeMap::new(),
            sessions: BTreeMap::new(),
            statements: BTreeMap::new(),
            cleanups: BTreeMap::new(),
            requests: BTreeMap::new(),
            staged: None,
        }
    }
}

/// The replicated registry.
///
/// Cloning copies no record, only the maps that point to them.
#[derive(Debug, Clone)]
pub struct Registry {
    pub(super) records: Records,
    pub(super) index: Indexes,
    /// The newest level that this build understands: no part of the state.
    pub(super) known_level: u32,
}

impl Default for Registry {
    fn default() -> Self {
        Self {
            records: Records::default(),
            index: Indexes::default(),
            known_level: FEATURE_LEVEL,
        }
    }
}

/// Whether statements of the session may run: its incarnation is committed and it is not closing.
pub(super) fn is_open(session: &SessionRecord) -> bool {
    session.state() == SessionState::Open && session.incarnation.is_some()
}

/// Whether the session is over until somebody opens it anew.
pub(super) fn has_ended(session: &SessionRecord) -> bool {
    match session.state() {
        SessionState::Closed | SessionState::Failed => true,
        SessionState::Unspecified
        | SessionState::Starting
        | SessionState::Open
        | SessionState::Closing => false,
    }
}

/// When the statement's time is over, milliseconds since the Unix epoch; `None` without a timeout.
pub(super) fn deadline_ms(statement: &StatementRecord) -> Option<u64> {
    (statement.timeout_ms != 0).then(|| {
        statement
            .submitted_at_ms
            .saturating_add(statement.timeout_ms)
    })
}

/// Whether somebody asked for the statement's end, by cancel or by timeout.
pub(super) fn has_intent(statement: &StatementRecord) -> bool {
    statement.cancel_requested_at_ms != 0 || statement.timed_out_at_ms != 0
}

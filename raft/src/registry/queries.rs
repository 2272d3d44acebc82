//! Reading: sessions, statements, pools and totals.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use libra_proto::registry::{CleanupRecord, PoolRecord, SessionRecord, Settings, StatementRecord};
use libra_proto::types::{JobId, NodeId, SessionId};

use super::indexes::SessionJobs;
use super::state::{INLINE_KEPT, Registry};

/// How many statements a session has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StatementCounts {
    /// Queued now.
    pub queued: u64,
    /// Running now.
    pub running: u64,
    /// Accepted since the session was made, retired ones included.
    pub total: u64,
}

/// How many statements a pool has, on all endpoints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolLoad {
    /// Running now.
    pub running: u64,
    /// Queued now.
    pub queued: u64,
}

/// What the whole registry holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Statements queued.
    pub queued: u64,
    /// Statements running.
    pub running: u64,
    /// Bytes of the texts of all queued statements.
    pub queued_bytes: u64,
    /// Statements that ended and are still kept.
    pub ended: u64,
    /// Bytes of their results that the registry holds itself.
    pub inline_bytes: u64,
    /// Operations that hold a slot although their statement has ended.
    pub cleanups: u64,
}

impl Registry {
    /// The newest log index applied; 0 before the first.
    #[must_use]
    pub fn applied_index(&self) -> u64 {
        self.records.applied_index
    }

    /// The term of the newest log entry applied; 0 before the first.
    #[must_use]
    pub fn applied_term(&self) -> u64 {
        self.records.applied_term
    }

    /// The registry's time: the latest that any command carried, milliseconds since the Unix epoch.
    #[must_use]
    pub fn clock_ms(&self) -> u64 {
        self.records.clock_ms
    }

    /// Whether there is room for a small result of so many bytes in the registry itself.
    #[must_use]
    pub fn has_room_inline(&self, bytes: u64) -> bool {
        self.index.inline_bytes.saturating_add(bytes) <= INLINE_KEPT
    }

    /// The form of commands and records in use.
    #[must_use]
    pub fn feature_level(&self) -> u32 {
        self.records.feature_level
    }

    /// The settings, once they are seeded.
    #[must_use]
    pub fn settings(&self) -> Option<&Settings> {
        self.records.settings.as_ref()
    }

    /// All pools, by name.
    pub fn pools(&self) -> impl Iterator<Item = &PoolRecord> {
        self.records.pools.values()
    }

    /// One pool.
    #[must_use]
    pub fn pool(&self, name: &str) -> Option<&PoolRecord> {
        self.records.pools.get(name)
    }

    /// One session, in whatever state, until it is retired.
    #[must_use]
    pub fn session(&self, id: &SessionId) -> Option<&SessionRecord> {
        self.records.sessions.get(id.as_str()).map(Arc::as_ref)
    }

    /// The sessions after that id, or all, by id.
    pub fn sessions_after(
        &self,
        after: Option<&SessionId>,
    ) -> impl Iterator<Item = &SessionRecord> + use<'_> {
        let from = after.map_or(Bound::Unbounded, |id| Bound::Excluded(id.as_str()));
        let sessions = self
            .records
            .sessions
            .range::<str, _>((from, Bound::Unbounded));
        sessions.map(|(_, session)| session.as_ref())
    }

    /// How many sessions are kept, ended ones included.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.records.sessions.len()
    }

    /// How many sessions are neither closed nor failed: what counts towards the limit.
    #[must_use]
    pub fn live_session_count(&self) -> usize {
        self.index.live_sessions.len()
    }

    /// The sessions that the node has work with, by id: those starting, open and closing, and ended
    /// ones that still hold clean-ups.
    pub fn sessions_owned_by(&self, node: NodeId) -> impl Iterator<Item = &SessionRecord> {
        let ids = self.index.owned.get(&node.0).into_iter().flatten();
        ids.filter_map(|id| self.records.sessions.get(id))
            .map(Arc::as_ref)
    }

    /// How many statements the session has; zeros for an unknown one.
    #[must_use]
    pub fn counts(&self, id: &SessionId) -> StatementCounts {
        let (active, running) = self.jobs_of(id).map_or((0, 0), |jobs| {
            (jobs.active.len() as u64, jobs.running.len() as u64)
        });
        StatementCounts {
            queued: active.saturating_sub(running),
            running,
            total: self
                .session(id)
                .map_or(0, |session| session.total_statements),
        }
    }

    /// The session's queued and running statements, in order of acceptance.
    pub fn active_of(
        &self,
        id: &SessionId,
    ) -> impl Iterator<Item = &Arc<StatementRecord>> + use<'_> {
        self.statements_of(self.jobs_of(id).map(|jobs| &jobs.active))
    }

    /// The session's running statements, in order of acceptance.
    pub fn running_of(
        &self,
        id: &SessionId,
    ) -> impl Iterator<Item = &Arc<StatementRecord>> + use<'_> {
        self.statements_of(self.jobs_of(id).map(|jobs| &jobs.running))
    }

    /// The session's operations that may still run although their statement has ended.
    pub fn cleanups_of(&self, id: &SessionId) -> impl Iterator<Item = &CleanupRecord> + use<'_> {
        let jobs = self.jobs_of(id).map(|jobs| &jobs.cleanups);
        jobs.into_iter()
            .flatten()
            .filter_map(|job| self.records.cleanups.get(job))
    }

    /// One statement, until it is retired.
    #[must_use]
    pub fn statement(&self, job: JobId) -> Option<&Arc<StatementRecord>> {
        self.records.statements.get(&job)
    }

    /// The statements accepted before that one (or all), of one session (or all), newest first.
    pub fn statements_before(
        &self,
        before: Option<JobId>,
        session: Option<&SessionId>,
    ) -> impl Iterator<Item = &Arc<StatementRecord>> + use<'_> {
        let until = before.map_or(Bound::Unbounded, Bound::Excluded);
        let range = (Bound::Unbounded, until);
        let all = session
            .is_none()
            .then(|| self.records.statements.range(range).rev());
        let own = session
            .and_then(|id| self.jobs_of(id))
            .map(|jobs| jobs.all.range(range).rev());
        let all = all.into_iter().flatten().map(|(_, statement)| statement);
        let own = own
            .into_iter()
            .flatten()
            .filter_map(|job| self.records.statements.get(job));
        all.chain(own)
    }

    /// How many statements the pool has; zeros for an unknown one.
    #[must_use]
    pub fn pool_load(&self, pool: &str) -> PoolLoad {
        let jobs = self.index.pools.get(pool).copied().unwrap_or_default();
        PoolLoad {
            running: jobs.running,
            queued: jobs.queued,
        }
    }

    /// The statement that the operation in Spark belongs to.
    #[must_use]
    pub fn by_operation(&self, operation_id: &str) -> Option<JobId> {
        self.index.operations.get(operation_id).copied()
    }

    /// What the whole registry holds.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            queued: self.index.queued,
            running: self.index.running,
            queued_bytes: self.index.queued_bytes,
            inline_bytes: self.index.inline_bytes,
            ended: self.index.ended.len() as u64,
            cleanups: self.records.cleanups.len() as u64,
        }
    }

    fn jobs_of(&self, id: &SessionId) -> Option<&SessionJobs> {
        self.index.sessions.get(id.as_str())
    }

    fn statements_of<'a>(
        &'a self,
        jobs: Option<&'a BTreeSet<JobId>>,
    ) -> impl Iterator<Item = &'a Arc<StatementRecord>> {
        jobs.into_iter()
            .flatten()
            .filter_map(|job| self.records.statements.get(job))
    }
}

//! Slots: how many are taken, who may have the next one, and what waits.

use libra_proto::registry::{PoolRecord, StatementRecord, StatementState};
use libra_proto::types::{EndpointDemand, JobId, Place, PoolDemand, SessionId, Stand, Standing};

use super::indexes::Lane;
use super::state::{Registry, is_open};

/// How far back [`Registry::backlog`] looks for who was served last.
const RECENT_ENDS: usize = 1_000;

impl Registry {
    /// The endpoints that have something queued or a slot taken, by name.
    pub fn endpoints_in_use(&self) -> impl Iterator<Item = &str> {
        self.index.endpoints.keys().map(String::as_str)
    }

    /// What waits for slots on one endpoint, and how many are taken.
    #[must_use]
    pub fn demand(&self, endpoint: &str) -> EndpointDemand {
        let order = self.records.settings.map(|s| s.scheduler_mode());
        let lanes = self.index.endpoints.get(endpoint);
        let pools = lanes.into_iter().flat_map(|endpoint| &endpoint.lanes);
        EndpointDemand {
            slots: self.slots(),
            taken: lanes.map_or(0, |endpoint| endpoint.taken),
            order: order.unwrap_or_default(),
            pools: pools
                .filter_map(|(pool, lane)| Some(pool_demand(self.records.pools.get(pool)?, lane)))
                .collect(),
        }
    }

    /// Where the statement queues, or queued; `None` once it is forgotten.
    #[must_use]
    pub fn place(&self, job: JobId) -> Option<Place> {
        self.statement(job).map(|statement| Place {
            endpoint: statement.endpoint.clone(),
            pool: statement.pool.clone(),
        })
    }

    /// How the statement stands with its pool; `None` once it is forgotten.
    #[must_use]
    pub fn standing(&self, job: JobId) -> Option<Standing> {
        let statement = self.statement(job)?;
        Some(Standing {
            job,
            user: statement.user.clone(),
            session: statement.session_id.parse().ok()?,
            stand: self.stand(job, statement),
            started_at_ms: statement.started_at_ms,
        })
    }

    fn stand(&self, job: JobId, statement: &StatementRecord) -> Stand {
        match statement.state() {
            StatementState::Queued => Stand::Waiting {
                open: self.lets_start(statement),
            },
            StatementState::Running => Stand::Holding,
            StatementState::Succeeded | StatementState::Failed | StatementState::Cancelled
                if self.records.cleanups.contains_key(&job) =>
            {
                Stand::Holding
            }
            StatementState::Succeeded
            | StatementState::Failed
            | StatementState::Cancelled
            | StatementState::Unspecified => Stand::Ended,
        }
    }

    /// All that a pool of one endpoint is made of: its statements that wait or hold a slot, and
    /// those among the newest `RECENT_ENDS` ends, which tell who was served last.
    #[must_use]
    pub fn backlog(&self, place: &Place) -> Vec<Standing> {
        let sessions = self.index.sessions.values();
        let active = sessions.flat_map(|jobs| jobs.active.iter().chain(&jobs.cleanups).copied());
        let ended = self.index.ended.iter().rev().take(RECENT_ENDS);
        let ended = ended
            .map(|(_, job)| *job)
            .filter(|job| !self.records.cleanups.contains_key(job));
        let ours = |job: &JobId| {
            self.statement(*job).is_some_and(|statement| {
                statement.endpoint == place.endpoint && statement.pool == place.pool
            })
        };
        let jobs = active.chain(ended).filter(ours);
        jobs.filter_map(|job| self.standing(job)).collect()
    }

    /// Whether statements of the session may run.
    #[must_use]
    pub fn is_session_open(&self, id: &SessionId) -> bool {
        self.session(id).is_some_and(is_open)
    }

    /// How many statements may run at once on one endpoint; 0 before the settings are seeded.
    pub(super) fn slots(&self) -> u32 {
        self.records.settings.map_or(0, |settings| settings.slots)
    }

    /// Whether a slot is free for a statement of that pool on that endpoint.
    pub(super) fn has_room(&self, endpoint: &str, pool: &str) -> bool {
        let Some(limits) = self.records.pools.get(pool) else {
            return false;
        };
        let Some(endpoint) = self.index.endpoints.get(endpoint) else {
            return self.slots() > 0 && room_in_pool(limits, 0) > 0;
        };
        let in_pool = endpoint.lanes.get(pool).map_or(0, |lane| lane.taken);
        endpoint.taken < self.slots() && room_in_pool(limits, in_pool) > 0
    }

    /// Whether a statement that is queued could start on that endpoint, if a slot is free: one that
    /// comes now must then queue behind it.
    pub(super) fn has_waiting(&self, endpoint: &str) -> bool {
        self.index.endpoints.get(endpoint).is_some_and(|endpoint| {
            endpoint.lanes.iter().any(|(pool, lane)| {
                let limits = self.records.pools.get(pool);
                !lane.eligible.is_empty()
                    && limits.is_some_and(|limits| room_in_pool(limits, lane.taken) > 0)
            })
        })
    }

    /// Whether the queued statement may start now (invariant I7): its session is open, a slot is
    /// free and its pool is below its limit.
    pub(super) fn may_start(&self, statement: &StatementRecord) -> bool {
        let eligible = self
            .index
            .endpoints
            .get(&statement.endpoint)
            .and_then(|endpoint| endpoint.lanes.get(&statement.pool))
            .is_some_and(|lane| lane.eligible.contains(&JobId(statement.job)));
        eligible && self.has_room(&statement.endpoint, &statement.pool)
    }
}

fn room_in_pool(pool: &PoolRecord, taken: u32) -> u32 {
    if pool.paused {
        0
    } else if pool.max_running == 0 {
        u32::MAX
    } else {
        pool.max_running.saturating_sub(taken)
    }
}

/// A pool that is paused has nothing that may start.
fn pool_demand(pool: &PoolRecord, lane: &Lane) -> PoolDemand {
    let eligible = if pool.paused { 0 } else { lane.eligible.len() };
    PoolDemand {
        name: pool.name.clone(),
        weight: pool.weight,
        min_share: pool.min_share,
        max_running: (pool.max_running != 0).then_some(pool.max_running),
        order: pool.scheduling_mode(),
        running: lane.taken,
        eligible: u32::try_from(eligible).unwrap_or(u32::MAX),
    }
}

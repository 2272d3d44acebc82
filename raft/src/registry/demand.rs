//! Slots: how many are taken, who may have the next one, and what waits.

use libra_proto::registry::{PoolRecord, StatementRecord};
use libra_proto::types::{EndpointDemand, JobId, PoolDemand};

use super::indexes::{Endpoint, Lane};
use super::state::Registry;

impl Registry {
    /// What waits for slots, by endpoint: only endpoints with a free slot and a queued statement
    /// that may take it. A pool's head is no longer than the free slots, nor than what the pool's
    /// own limit leaves.
    #[must_use]
    pub fn demand(&self) -> Vec<EndpointDemand> {
        let endpoints = self.index.endpoints.iter();
        endpoints
            .filter_map(|(name, endpoint)| self.endpoint_demand(name, endpoint))
            .collect()
    }

    fn endpoint_demand(&self, name: &str, endpoint: &Endpoint) -> Option<EndpointDemand> {
        let slots = self.slots();
        let free = slots.checked_sub(endpoint.taken).filter(|free| *free > 0)?;
        let pools: Vec<PoolDemand> = endpoint
            .lanes
            .iter()
            .filter_map(|(pool, lane)| Some(pool_demand(self.records.pools.get(pool)?, lane, free)))
            .collect();
        pools
            .iter()
            .any(|pool| !pool.head.is_empty())
            .then(|| EndpointDemand {
                endpoint: name.to_owned(),
                slots,
                taken: endpoint.taken,
                pools,
            })
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
            return self.slots() > 0;
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
    if pool.max_running == 0 {
        u32::MAX
    } else {
        pool.max_running.saturating_sub(taken)
    }
}

fn pool_demand(pool: &PoolRecord, lane: &Lane, free: u32) -> PoolDemand {
    let room = free.min(room_in_pool(pool, lane.taken));
    PoolDemand {
        name: pool.name.clone(),
        weight: pool.weight,
        min_share: pool.min_share,
        max_running: (pool.max_running != 0).then_some(pool.max_running),
        running: lane.taken,
        head: lane.eligible.iter().copied().take(room as usize).collect(),
    }
}

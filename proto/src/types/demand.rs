//! What waits for slots: what the registry tells the scheduler.

use super::JobId;

/// One pool of one endpoint, as the scheduler sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolDemand {
    /// The pool's name.
    pub name: String,
    /// Its weight, from 1.
    pub weight: u32,
    /// Its minimum share, in slots.
    pub min_share: u32,
    /// Its own limit of running statements, if it has one.
    pub max_running: Option<u32>,
    /// How many of its statements hold a slot on this endpoint.
    pub running: u32,
    /// The first of its queued statements that may start, in order of acceptance: as many as
    /// there are free slots, at most.
    pub head: Vec<JobId>,
}

/// One endpoint, as the scheduler sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointDemand {
    /// The endpoint's name.
    pub endpoint: String,
    /// How many statements may run there at once.
    pub slots: u32,
    /// How many slots are taken, clean-up records included.
    pub taken: u32,
    /// The pools that have statements there, by name.
    pub pools: Vec<PoolDemand>,
}

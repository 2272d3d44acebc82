//! What waits for slots: what the registry tells the scheduler.

use super::{JobId, SessionId};
use crate::registry::SchedulingMode;

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
    /// The order inside it.
    pub order: SchedulingMode,
    /// How many of its statements hold a slot on this endpoint.
    pub running: u32,
    /// How many of its queued statements may start as soon as a slot is theirs.
    pub eligible: u32,
}

/// One endpoint, as the scheduler sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndpointDemand {
    /// How many statements may run there at once.
    pub slots: u32,
    /// How many slots are taken, clean-up records included.
    pub taken: u32,
    /// The order between pools.
    pub order: SchedulingMode,
    /// The pools that have statements there, by name.
    pub pools: Vec<PoolDemand>,
}

/// Where a statement queues; that never changes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The endpoint's name.
    pub endpoint: String,
    /// The pool's name.
    pub pool: String,
}

/// What a statement is to the pool it was accepted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// Queued.
    Waiting {
        /// Its session lets it start.
        open: bool,
    },
    /// It holds a slot: it runs, or what it left behind in Spark may still run.
    Holding,
    /// It has ended and holds nothing.
    Ended,
}

/// How a statement stands with its pool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Which.
    pub job: JobId,
    /// Whose.
    pub user: String,
    /// Its session.
    pub session: SessionId,
    /// What it is.
    pub stand: Stand,
    /// When it began to run, milliseconds since the Unix epoch; 0 if it did not.
    pub started_at_ms: u64,
}

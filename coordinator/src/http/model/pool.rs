//! A pool, as the API shows it.

use libra_proto::registry::{PoolRecord, SchedulingMode};
use serde::Serialize;

/// A pool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Pool)]
pub struct PoolView {
    /// Its name.
    #[schema(example = "high-priority")]
    pub name: String,
    /// Its share beside the other pools.
    #[schema(example = 3)]
    pub weight: u32,
    /// The slots it gets before the others get more than theirs.
    #[schema(example = 4)]
    pub min_share: u32,
    /// Order inside the pool: `FIFO` or `FAIR`.
    #[schema(example = "FAIR")]
    pub scheduling_mode: &'static str,
    /// Its own limit of running statements.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_running: Option<u32>,
    /// Statements that wait in it.
    pub queued: u64,
    /// Statements of it that run.
    pub running: u64,
}

/// All pools, by name.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct PoolList {
    /// The pools.
    pub pools: Vec<PoolView>,
}

impl PoolView {
    /// The pool as the registry has it.
    #[must_use]
    pub fn of(record: &PoolRecord, queued: u64, running: u64) -> Self {
        Self {
            name: record.name.clone(),
            weight: record.weight,
            min_share: record.min_share,
            scheduling_mode: mode_label(record.scheduling_mode()),
            max_running: (record.max_running != 0).then_some(record.max_running),
            queued,
            running,
        }
    }
}

fn mode_label(mode: SchedulingMode) -> &'static str {
    match mode {
        SchedulingMode::Unspecified | SchedulingMode::Fair => "FAIR",
        SchedulingMode::Fifo => "FIFO",
    }
}

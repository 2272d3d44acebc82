//! The pools that a cluster starts with when no allocation file is set.

use libra_proto::registry::{PoolRecord, SchedulingMode};

/// Name, weight and minShare of the guide's pools, all FAIR and without a limit of their own.
const GUIDE_POOLS: [(&str, u32, u32); 4] = [
    ("default", 1, 2),
    ("high-priority", 3, 4),
    ("low-priority", 1, 1),
    ("interactive", 2, 2),
];

/// The guide's pools.
#[must_use]
pub fn guide_pools() -> Vec<PoolRecord> {
    GUIDE_POOLS
        .iter()
        .map(|(name, weight, min_share)| PoolRecord {
            name: (*name).to_owned(),
            weight: *weight,
            min_share: *min_share,
            scheduling_mode: SchedulingMode::Fair.into(),
            max_running: 0,
            paused: false,
        })
        .collect()
}

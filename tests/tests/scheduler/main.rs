//! The scheduler: slots are never lost or given twice, pools get their shares, and a restart
//! changes nothing. Over the real registry in memory; `stack` through real coordinators.

#![expect(clippy::unwrap_used, reason = "tests")]

mod dice;
mod model;
mod order;
mod random;
mod shares;
mod stack;
mod urgent;

use std::sync::Arc;
use std::time::{Duration, Instant};

use libra_actors::scheduler::Drill;
use libra_actors::supervisor::Policy;
use libra_proto::registry::{PoolRecord, SchedulingMode};
use libra_tests::sandbox::{MemoryRegistry, open_session, put_pool, settings};

const ENDPOINT: &str = "sc://spark-1:15002";

/// Crashes as often as it likes, and is back at once.
const UNTIRING: Policy = Policy {
    intensity: 1_000_000,
    period: Duration::from_secs(60),
    first_backoff: Duration::from_millis(1),
    max_backoff: Duration::from_millis(1),
};

/// A registry with those pools, and session `s` open on [`ENDPOINT`].
fn registry(slots: u32, pools: &[PoolRecord]) -> Arc<MemoryRegistry> {
    let registry = MemoryRegistry::new();
    registry.apply(settings(slots, SchedulingMode::Fair, 0));
    for pool in pools {
        registry.apply(put_pool(pool.clone()));
    }
    for command in open_session("s", ENDPOINT) {
        registry.apply(command);
    }
    registry
}

async fn scheduler(registry: &Arc<MemoryRegistry>) -> Drill {
    Drill::start(Arc::clone(registry) as _, UNTIRING)
        .await
        .unwrap()
}

/// Lets the actors work until that is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

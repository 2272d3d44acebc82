//! 10 000 queued statements start in the same order, whether the scheduler was restarted or not.

use std::sync::Arc;
use std::time::Duration;

use libra_proto::registry::command::Kind;
use libra_proto::registry::{PoolRecord, SchedulingMode, applied};
use libra_tests::sandbox::{MemoryRegistry, finish, open_session, pool, submit};

use crate::{ENDPOINT, registry, scheduler, until};

const QUEUED: usize = 10_000;
const STARTS: usize = 200;

fn backlog() -> Arc<MemoryRegistry> {
    let fifo = PoolRecord {
        scheduling_mode: SchedulingMode::Fifo.into(),
        ..pool("batch", 1, 0)
    };
    let registry = registry(4, &[fifo, pool("default", 2, 1)]);
    for command in open_session("t", ENDPOINT) {
        registry.apply(command);
    }
    for n in 0..QUEUED {
        let session = ["s", "t"][n / 3 % 2];
        let user = ["ann", "bob", "cem"][(n / 7).min(n % 5) % 3];
        registry.apply(submit(session, user, ["batch", "default"][n % 2]));
    }
    registry
}

/// Ends what runs one by one, and says what started then.
async fn starts(registry: &Arc<MemoryRegistry>, restart_every: usize) -> Vec<u64> {
    let mut drill = Some(scheduler(registry).await);
    let mut running: Vec<u64> = vec![1, 2, 3, 4];
    let mut started = Vec::new();
    drop(registry.journal());
    while started.len() < STARTS {
        if restart_every != 0 && started.len() % restart_every == 0 {
            drill.take().unwrap().stop(Duration::from_secs(5)).await;
            drill = Some(scheduler(registry).await);
        }
        registry.apply(finish(running.remove(0), true, false));
        let before = running.len();
        until("the next one starts", || {
            for committed in registry.journal() {
                if let (Kind::StartBatch(_), Some(applied::Result::Jobs(batch))) =
                    (committed.kind, committed.applied.result)
                {
                    running.extend(&batch.jobs);
                }
            }
            running.len() > before
        })
        .await;
        started.extend(&running[before..]);
    }
    started
}

#[tokio::test]
async fn ten_thousand_keep_their_order_over_restarts() {
    let straight = starts(&backlog(), 0).await;
    let restarted = starts(&backlog(), 10).await;
    assert_eq!(straight, restarted);
    let mut distinct = straight.clone();
    distinct.sort_unstable();
    distinct.dedup();
    assert_eq!(distinct.len(), straight.len(), "none twice");
}

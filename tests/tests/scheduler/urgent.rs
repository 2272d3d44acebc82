//! A pool below its minShare goes first, however many wait elsewhere.

use libra_proto::registry::applied;
use libra_proto::registry::command::Kind;
use libra_tests::sandbox::{MemoryRegistry, finish, pool, put_pool, submit};

use crate::{registry, scheduler, until};

/// The statements of each batch that started some, in order.
fn batches(registry: &MemoryRegistry) -> Vec<Vec<u64>> {
    let journal = registry.journal().into_iter();
    let started =
        journal.filter_map(
            |committed| match (committed.kind, committed.applied.result) {
                (Kind::StartBatch(_), Some(applied::Result::Jobs(started))) => Some(started.jobs),
                _ => None,
            },
        );
    started.filter(|jobs| !jobs.is_empty()).collect()
}

#[tokio::test]
async fn interactive_starts_with_the_next_free_slot_while_5000_wait() {
    // By weight alone the second urgent statement would wait for a hundred others.
    let pools = [pool("low-priority", 100, 1), pool("interactive", 1, 2)];
    let registry = registry(10, &pools);
    let _scheduler = scheduler(&registry).await;
    for _ in 0..5_010 {
        registry.apply(submit("s", "ann", "low-priority"));
    }
    let urgent = [5_011, 5_012];
    for _ in urgent {
        registry.apply(submit("s", "bob", "interactive"));
    }
    drop(registry.journal());
    for (n, urgent) in (1..).zip(urgent) {
        registry.apply(finish(n, true, false));
        let mut started = Vec::new();
        until("a slot is given away", || {
            started.extend(batches(&registry));
            !started.is_empty()
        })
        .await;
        assert_eq!(started, [vec![urgent]]);
    }
}

#[tokio::test]
async fn a_pool_set_anew_counts_for_the_next_grant() {
    let registry = registry(2, &[pool("a", 1, 0), pool("b", 1, 0)]);
    let _scheduler = scheduler(&registry).await;
    for n in 0..20 {
        registry.apply(submit("s", "ann", ["a", "b"][n % 2]));
    }
    registry.apply(put_pool(pool("b", 1, 2)));
    drop(registry.journal());
    // job-1 (a) and job-2 (b) run; b is below its minShare now.
    registry.apply(finish(1, true, false));
    let mut started = Vec::new();
    until("a slot is given away", || {
        started.extend(batches(&registry));
        !started.is_empty()
    })
    .await;
    assert_eq!(
        started,
        [vec![4]],
        "the oldest of b, though job-3 of a is older"
    );
}

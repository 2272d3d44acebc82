//! Paused pools, and cancels by the batch.

use libra_proto::registry::command::Kind;
use libra_proto::registry::*;

use super::bench::*;

pub(super) fn pause(pool: &str, paused: bool) -> Kind {
    Kind::PausePool(PausePool {
        name: pool.to_owned(),
        paused,
    })
}

fn put(name: &str, max_running: u32) -> Kind {
    Kind::PutPool(PutPool {
        pool: Some(pool(name, max_running)),
    })
}

fn is_paused(bench: &Bench, pool: &str) -> bool {
    bench.registry.pool(pool).unwrap().paused
}

#[test]
fn a_paused_pool_starts_nothing_and_goes_on_to_queue() {
    let mut bench = Bench::with_open_session(3);
    bench.run("op-1");
    assert!(bench.changed(pause("default", true)));
    assert!(!bench.changed(pause("default", true)));
    bench.run("op-2");
    assert_eq!(bench.state(1), StatementState::Running, "what runs goes on");
    assert_eq!(
        bench.state(2),
        StatementState::Queued,
        "although slots are free"
    );
    assert_eq!(bench.eligible("default"), 0);
    assert_eq!(bench.jobs(start(&[2])), [0_u64; 0], "the referee too");

    // Nobody queues behind what cannot start.
    bench.done(Kind::Submit(submit_to("a", "narrow", "op-3")));
    assert_eq!(bench.state(3), StatementState::Running);

    assert!(bench.changed(pause("default", false)));
    assert_eq!(bench.eligible("default"), 1);
    assert_eq!(bench.jobs(start(&[2])), [2]);
    assert_eq!(
        bench.code(pause("nowhere", true)),
        RejectionCode::UnknownPool
    );
}

#[test]
fn what_a_paused_pool_queues_counts_and_can_be_cancelled() {
    let mut bench = Bench::with_open_session(3);
    bench.done(pause("narrow", true));
    bench.done(Kind::Submit(submit_to("a", "narrow", "op-1")));
    assert_eq!(bench.registry.pool_load("narrow").queued, 1);
    bench.done(cancel(1));
    assert_eq!(bench.state(1), StatementState::Cancelled);
}

#[test]
fn setting_a_pool_anew_does_not_wake_it() {
    let mut bench = Bench::with_open_session(3);
    bench.done(pause("narrow", true));
    bench.done(put("narrow", 7));
    assert!(is_paused(&bench, "narrow"));
    assert_eq!(bench.registry.pool("narrow").unwrap().max_running, 7);
    bench.done(Kind::SeedPools(SeedPools {
        pools: vec![pool("narrow", 1)],
    }));
    assert!(is_paused(&bench, "narrow"));
    bench.done(put("new", 0));
    assert!(!is_paused(&bench, "new"));
    let sleeping = PoolRecord {
        paused: true,
        ..pool("new", 0)
    };
    bench.done(Kind::PutPool(PutPool {
        pool: Some(sleeping),
    }));
    assert!(!is_paused(&bench, "new"), "nor put it to sleep");
}

#[test]
fn a_batch_cancels_what_is_active_and_passes_over_the_rest() {
    let mut bench = Bench::with_open_session(2);
    for n in 1..=4 {
        bench.run(&format!("op-{n}"));
    }
    bench.done(ends(1, StatementState::Succeeded));
    let batch = Kind::CancelBatch(CancelBatch {
        jobs: vec![1, 2, 3, 99],
    });
    assert_eq!(bench.jobs(batch.clone()), [2, 3]);
    assert_eq!(bench.state(1), StatementState::Succeeded);
    assert_eq!(bench.state(2), StatementState::Running);
    assert_ne!(bench.statement(2).cancel_requested_at_ms, 0, "the intent");
    assert_eq!(bench.state(3), StatementState::Cancelled);
    assert_eq!(bench.state(4), StatementState::Queued);
    assert_eq!(bench.jobs(batch), [2], "still active, and asked for before");
}

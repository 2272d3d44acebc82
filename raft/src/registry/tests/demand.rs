//! What the scheduler is told.

use libra_proto::registry::command::Kind;
use libra_proto::registry::*;
use libra_proto::types::{EndpointDemand, JobId, PoolDemand};

use super::bench::*;

#[test]
fn demand_is_heads_of_queues_where_a_slot_is_free() {
    let mut bench = Bench::new(Mode::Isolated, 3);
    bench.done(create("a", "spark-a"));
    for n in 1..=5 {
        bench.done(submit("a", &format!("d-{n}")));
    }
    for n in 6..=7 {
        bench.done(Kind::Submit(submit_to("a", "narrow", &format!("n-{n}"))));
    }
    // A session that is not open adds nothing.
    bench.done(create("b", "spark-b"));
    bench.done(submit("b", "b-8"));
    assert_eq!(bench.registry.demand(), []);

    bench.done(open("a", 1, "spark-a"));
    bench.done(start(&[1]));
    let pool = |name: &str, running: u32, max: Option<u32>, head: &[u64]| PoolDemand {
        name: name.to_owned(),
        weight: 2,
        min_share: 1,
        max_running: max,
        running,
        head: head.iter().copied().map(JobId).collect(),
    };
    let endpoint = |taken: u32, pools: Vec<PoolDemand>| EndpointDemand {
        endpoint: ENDPOINT.to_owned(),
        slots: 3,
        taken,
        pools,
    };
    let pools = vec![
        pool("default", 1, None, &[2, 3]),
        pool("narrow", 0, Some(1), &[6]),
    ];
    assert_eq!(bench.registry.demand(), [endpoint(1, pools)]);

    bench.done(start(&[6]));
    bench.done(Kind::Finish(Finish {
        needs_cleanup: true,
        ..finish(6, 1, StatementState::Failed)
    }));
    let pools = vec![
        pool("default", 1, None, &[2]),
        pool("narrow", 1, Some(1), &[]),
    ];
    assert_eq!(
        bench.registry.demand(),
        [endpoint(2, pools)],
        "clean-ups hold their slots"
    );

    bench.done(start(&[2]));
    assert_eq!(bench.registry.demand(), [], "no slot is free");
    bench.done(ends(1, StatementState::Succeeded));
    for job in [3, 4, 5] {
        bench.done(cancel(job));
    }
    assert_eq!(bench.registry.demand(), [], "job-7 must wait for its pool");
}

#[test]
fn endpoints_have_slots_of_their_own() {
    let mut bench = Bench::with_open_session(1);
    let elsewhere = CreateSession {
        endpoint: "sc://b:1".to_owned(),
        ..create_session("b", "spark-b")
    };
    bench.done(Kind::CreateSession(elsewhere));
    bench.done(open("b", 1, "spark-b"));
    for (session, operation) in [("a", "1"), ("a", "2"), ("b", "3"), ("b", "4")] {
        bench.done(submit(session, operation));
    }
    let states: Vec<_> = (1..=4).map(|job| bench.state(job).label()).collect();
    assert_eq!(states, ["running", "queued", "running", "queued"]);
    bench.done(ends(3, StatementState::Succeeded));
    let demand = bench.registry.demand();
    assert_eq!(
        demand
            .iter()
            .map(|d| d.endpoint.as_str())
            .collect::<Vec<_>>(),
        ["sc://b:1"]
    );
}

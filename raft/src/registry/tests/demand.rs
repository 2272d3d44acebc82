//! What the scheduler is told.

use libra_proto::registry::command::Kind;
use libra_proto::registry::*;
use libra_proto::types::{Change, EndpointDemand, JobId, Place, PoolDemand, Stand, Standing};

use super::bench::*;

fn pool(name: &str, running: u32, eligible: u32, max_running: Option<u32>) -> PoolDemand {
    PoolDemand {
        name: name.to_owned(),
        weight: 2,
        min_share: 1,
        max_running,
        order: SchedulingMode::Fair,
        running,
        eligible,
    }
}

fn demand(taken: u32, pools: Vec<PoolDemand>) -> EndpointDemand {
    EndpointDemand {
        slots: 3,
        taken,
        order: SchedulingMode::Fair,
        pools,
    }
}

#[test]
fn demand_counts_what_may_start_and_what_holds_a_slot() {
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
    assert_eq!(bench.registry.demand(ENDPOINT), demand(0, vec![]));

    bench.done(open("a", 1, "spark-a"));
    bench.done(start(&[1]));
    let pools = vec![pool("default", 1, 4, None), pool("narrow", 0, 2, Some(1))];
    assert_eq!(bench.registry.demand(ENDPOINT), demand(1, pools));

    bench.done(start(&[6]));
    bench.done(Kind::Finish(Finish {
        needs_cleanup: true,
        ..finish(6, 1, StatementState::Failed)
    }));
    let pools = vec![pool("default", 1, 4, None), pool("narrow", 1, 1, Some(1))];
    let clean_ups_hold_slots = demand(2, pools);
    assert_eq!(bench.registry.demand(ENDPOINT), clean_ups_hold_slots);
    assert_eq!(
        bench.registry.endpoints_in_use().collect::<Vec<_>>(),
        [ENDPOINT]
    );
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
    assert_eq!(bench.registry.demand(ENDPOINT).taken, 1);
    assert_eq!(bench.registry.demand("sc://b:1").taken, 0);
}

#[test]
fn a_backlog_is_what_waits_what_holds_and_what_ended_last() {
    let mut bench = Bench::with_open_session(2);
    for operation in ["1", "2", "3"] {
        bench.done(submit("a", operation));
    }
    bench.done(Kind::Submit(submit_to("a", "narrow", "elsewhere")));
    bench.done(Kind::Finish(Finish {
        needs_cleanup: true,
        ..finish(1, 1, StatementState::Failed)
    }));
    bench.done(ends(2, StatementState::Succeeded));
    let place = bench.registry.place(JobId(1)).unwrap();
    assert_eq!(
        place,
        Place {
            endpoint: ENDPOINT.to_owned(),
            pool: "default".to_owned()
        }
    );
    let stands =
        |backlog: Vec<Standing>| -> Vec<_> { backlog.iter().map(|s| (s.job.0, s.stand)).collect() };
    let mut backlog = stands(bench.registry.backlog(&place));
    backlog.sort_unstable_by_key(|(job, _)| *job);
    assert_eq!(
        backlog,
        [
            (1, Stand::Holding),
            (2, Stand::Ended),
            (3, Stand::Waiting { open: true })
        ]
    );
    bench.done(cleanup_done(1, 1));
    let freed = Change::Statement(JobId(1), sid("a"));
    assert!(bench.changes.contains(&freed), "its pool has a slot more");
    assert_eq!(
        bench.registry.standing(JobId(1)).unwrap().stand,
        Stand::Ended
    );
}

//! Statements between acceptance and end.

use libra_proto::registry::command::Kind;
use libra_proto::registry::*;
use libra_proto::types::JobId;

use super::bench::*;

use StatementState::{Cancelled, Failed, Queued, Running, Succeeded};

#[test]
fn the_referee_starts_no_more_than_the_slots() {
    let mut bench = Bench::new(Mode::Isolated, 2);
    bench.done(create("a", "spark-a"));
    for n in 1..=4 {
        bench.done(submit("a", &format!("op-{n}")));
    }
    assert_eq!(
        bench.jobs(start(&[1, 2])),
        [0; 0],
        "the session is not open"
    );
    bench.done(open("a", 1, "spark-a"));
    bench.now = 1_234;
    assert_eq!(
        bench.jobs(start(&[3, 1, 99, 3, 2, 4])),
        [3, 1],
        "in the order of the grants"
    );
    assert_eq!(bench.statement(3).started_at_ms, 1_234);
    assert_eq!(bench.statement(3).spark_session_id, "spark-a");
    bench.done(ends_unknown(1));
    assert_eq!(bench.jobs(start(&[2])), [0; 0], "a clean-up holds the slot");
    bench.done(ends(3, Succeeded));
    assert_eq!(bench.jobs(start(&[2, 4])), [2]);
    bench.done(cleanup_done(1, 1));
    assert_eq!(bench.jobs(start(&[2, 4])), [4]);
}

#[test]
fn the_referee_keeps_to_a_pools_limit_and_to_lowered_slots() {
    let mut bench = Bench::new(Mode::Isolated, 3);
    bench.done(create("a", "spark-a"));
    for n in 1..=3 {
        bench.done(Kind::Submit(submit_to("a", "narrow", &format!("op-{n}"))));
    }
    bench.done(submit("a", "op-4"));
    bench.done(open("a", 1, "spark-a"));
    assert_eq!(bench.jobs(start(&[1, 2])), [1]);
    bench.done(put_settings(settings(Mode::Isolated, 1), 1));
    assert_eq!(bench.jobs(start(&[4])), [0; 0]);
    bench.done(ends(1, Succeeded));
    assert_eq!(bench.jobs(start(&[4, 2])), [4]);
}

#[test]
fn a_cancel_ends_what_is_queued_and_marks_what_runs_once() {
    let mut bench = Bench::with_open_session(1);
    bench.run("op-1");
    bench.run("op-2");
    assert_eq!(bench.code(cancel(9)), RejectionCode::UnknownJob);
    bench.now = 2_000;
    let applied::Result::Statement(queued) = bench.done(cancel(2)) else {
        panic!()
    };
    assert_eq!((queued.state(), queued.completed_at_ms), (Cancelled, 2_000));
    assert_eq!(
        bench.jobs(start(&[2])),
        [0; 0],
        "it never starts afterwards"
    );
    bench.done(cancel(1));
    bench.now = 3_000;
    let applied::Result::Statement(running) = bench.done(cancel(1)) else {
        panic!()
    };
    assert_eq!(
        (running.state(), running.cancel_requested_at_ms),
        (Running, 2_000)
    );
    bench.done(ends(1, Cancelled));
    assert_eq!(bench.state(1), Cancelled);
    bench.done(cancel(1));
    assert!(bench.changes.is_empty(), "ended already: unchanged");
}

#[test]
fn a_timeout_counts_by_the_registrys_clock_from_acceptance() {
    let mut bench = Bench::with_open_session(1);
    let timed = |op: &str| {
        Kind::Submit(Submit {
            timeout_ms: 500,
            ..submit_to("a", "default", op)
        })
    };
    bench.done(timed("op-1"));
    bench.done(timed("op-2"));
    bench.done(submit("a", "op-3"));
    assert_eq!(bench.registry.next_deadline_ms(), Some(1_500));
    assert_eq!(bench.registry.overdue(1_499, 10), []);
    assert_eq!(bench.registry.overdue(1_500, 10), [JobId(1), JobId(2)]);
    assert_eq!(bench.registry.overdue(1_500, 1), [JobId(1)]);
    bench.now = 1_499;
    assert_eq!(bench.jobs(time_out(&[1, 2, 3])), [0; 0]);
    bench.now = 1_500;
    assert_eq!(bench.jobs(time_out(&[1, 2, 3, 9])), [1, 2]);
    assert_eq!(
        bench.jobs(time_out(&[1, 2])),
        [0; 0],
        "one intent is enough"
    );
    assert_eq!(
        (bench.state(1), bench.statement(1).timed_out_at_ms),
        (Running, 1_500)
    );
    assert_eq!(
        (bench.state(2), bench.error_class(2)),
        (Failed, "LIBRA_TIMEOUT")
    );
    assert_eq!(bench.registry.next_deadline_ms(), None);
}

/// (intents before, what the owner says, the state and error class that come of it)
#[test]
fn an_end_is_read_in_the_light_of_the_intents() {
    let cases: [(bool, bool, StatementState, StatementState, &str); 9] = [
        (false, false, Succeeded, Succeeded, ""),
        (true, true, Succeeded, Succeeded, ""),
        (false, false, Failed, Failed, "TABLE_NOT_FOUND"),
        (true, false, Failed, Failed, "TABLE_NOT_FOUND"),
        (false, false, Cancelled, Failed, "LIBRA_INTERRUPTED"),
        (true, false, Cancelled, Cancelled, ""),
        (false, true, Cancelled, Failed, "LIBRA_TIMEOUT"),
        (true, true, Cancelled, Cancelled, ""),
        (false, true, Failed, Failed, "TABLE_NOT_FOUND"),
    ];
    for (cancelled, timed_out, said, state, class) in cases {
        let mut bench = Bench::with_open_session(1);
        let timed = Submit {
            timeout_ms: 1,
            ..submit_to("a", "default", "op-1")
        };
        bench.done(Kind::Submit(timed));
        bench.now += 10;
        if timed_out {
            assert_eq!(bench.jobs(time_out(&[1])), [1]);
        }
        if cancelled {
            bench.done(cancel(1));
        }
        assert!(bench.changed(ends(1, said)));
        assert!(!bench.changed(ends(1, said)), "the same end again");
        let case = format!("cancel {cancelled}, timeout {timed_out}, {said:?}");
        let statement = bench.statement(1);
        assert_eq!(statement.state(), state, "{case}");
        let found = statement
            .error
            .as_ref()
            .map_or("", |error| error.error_class.as_str());
        assert_eq!(found, class, "{case}");
        assert_eq!(
            (statement.completed_at_ms, statement.ended_on_node),
            (1_010, 1),
            "{case}"
        );
    }
}

#[test]
fn only_the_owner_of_the_epoch_ends_a_statement_and_only_once() {
    let mut bench = Bench::with_open_session(1);
    bench.run("op-1");
    bench.run("op-2");
    assert_eq!(bench.code(ends(9, Succeeded)), RejectionCode::UnknownJob);
    assert_eq!(
        bench.code(ends(2, Succeeded)),
        RejectionCode::IllegalTransition,
        "never started"
    );
    assert_eq!(bench.code(ends(1, Running)), RejectionCode::Malformed);
    let no_error = Finish {
        error: None,
        ..finish(1, 1, Failed)
    };
    assert_eq!(bench.code(Kind::Finish(no_error)), RejectionCode::Malformed);
    let stale = Kind::Finish(finish(1, 2, Succeeded));
    assert_eq!(bench.code(stale), RejectionCode::StaleEpoch);
    bench.done(ends(1, Succeeded));
    assert_eq!(bench.statement(1).result.as_ref().unwrap().rows, 3);
    assert_eq!(bench.code(ends(1, Failed)), RejectionCode::AlreadyEnded);
    let mut other = finish(1, 1, Succeeded);
    other.result.as_mut().unwrap().rows = 4;
    assert_eq!(bench.code(Kind::Finish(other)), RejectionCode::AlreadyEnded);
}

#[test]
fn a_session_lists_what_is_active_in_order_of_acceptance() {
    let mut bench = Bench::with_open_session(1);
    for n in 1..=4 {
        bench.done(submit("a", &format!("op-{n}")));
    }
    bench.done(ends(1, Succeeded));
    bench.done(start(&[3]));
    let jobs = |list: Vec<&std::sync::Arc<StatementRecord>>| -> Vec<u64> {
        list.iter().map(|statement| statement.job).collect()
    };
    let registry = &bench.registry;
    assert_eq!(jobs(registry.active_of(&sid("a")).collect()), [2, 3, 4]);
    assert_eq!(jobs(registry.running_of(&sid("a")).collect()), [3]);
    assert_eq!(
        jobs(registry.statements_before(None, None).collect()),
        [4, 3, 2, 1]
    );
    assert_eq!(
        jobs(
            registry
                .statements_before(Some(JobId(3)), Some(&sid("a")))
                .collect()
        ),
        [2, 1]
    );
    assert_eq!(
        jobs(registry.statements_before(None, Some(&sid("b"))).collect()),
        [0; 0]
    );
    assert_eq!(bench.state(2), Queued);
}

//! Acceptance of statements.

use libra_proto::registry::command::Kind;
use libra_proto::registry::*;
use libra_proto::types::{Change, JobId};

use super::bench::*;
use crate::registry::IdempotentTarget;

#[test]
fn it_starts_at_once_when_there_is_room() {
    let mut bench = Bench::with_open_session(1);
    bench.now = 1_500;
    let first = bench.submitted(submit("a", "op-1"));
    assert_eq!((first.replayed, first.session_reset_ms), (false, 0));
    let statement = first.statement.unwrap();
    assert_eq!(
        (statement.job, statement.state()),
        (1, StatementState::Running)
    );
    assert_eq!(
        (statement.submitted_at_ms, statement.started_at_ms),
        (1_500, 1_500)
    );
    assert_eq!(statement.spark_session_id, "spark-a");
    assert_eq!(statement.endpoint, ENDPOINT);
    assert_eq!(
        bench.changes,
        [
            Change::Statement(JobId(1), sid("a")),
            Change::Session(sid("a"))
        ]
    );
    let second = bench.run("op-2");
    assert_eq!(
        (second.job, second.state(), second.started_at_ms),
        (2, StatementState::Queued, 0)
    );
    let counts = bench.registry.counts(&sid("a"));
    assert_eq!((counts.running, counts.queued, counts.total), (1, 1, 2));
    assert_eq!(bench.session("a").last_activity_ms, 1_500);
}

#[test]
fn nobody_is_passed_over_who_could_start() {
    let mut bench = Bench::with_open_session(2);
    let narrow = |op: &str| Kind::Submit(submit_to("a", "narrow", op));
    bench.done(narrow("op-1"));
    let waits = bench.submitted(narrow("op-2")).statement.unwrap();
    assert_eq!(
        waits.state(),
        StatementState::Queued,
        "its pool is at its limit"
    );
    let other = bench.run("op-3");
    assert_eq!(
        other.state(),
        StatementState::Running,
        "job-2 could not have started"
    );
    bench.done(ends(1, StatementState::Succeeded));
    let later = bench.run("op-4");
    assert_eq!(
        later.state(),
        StatementState::Queued,
        "job-2 may start, and comes first"
    );
}

#[test]
fn the_same_operation_is_the_same_statement() {
    let mut bench = Bench::with_open_session(1);
    bench.done(submit("a", "op-1"));
    bench.done(ends(1, StatementState::Succeeded));
    let again = bench.submitted(submit("a", "op-1"));
    assert!(again.replayed);
    assert_eq!(again.statement.unwrap().state(), StatementState::Succeeded);
    assert_eq!(bench.registry.by_operation("op-1"), Some(JobId(1)));
    assert_eq!(bench.code(submit("a", "")), RejectionCode::Malformed);
}

#[test]
fn an_idempotency_key_makes_one_statement_with_one_body() {
    let mut bench = Bench::with_open_session(1);
    let keyed = |operation: &str, body: u8| {
        Kind::Submit(Submit {
            idempotency_key: "/sessions/a/statements\nk".to_owned(),
            idempotency_body_hash: vec![body],
            ..submit_to("a", "default", operation)
        })
    };
    bench.done(keyed("op-1", 1));
    let again = bench.submitted(keyed("op-2", 1));
    assert_eq!((again.replayed, again.statement.unwrap().job), (true, 1));
    assert_eq!(
        bench.code(keyed("op-3", 2)),
        RejectionCode::IdempotencyMismatch
    );
    let known = bench
        .registry
        .by_idempotency_key("/sessions/a/statements\nk")
        .unwrap();
    assert_eq!(
        (known.target, known.body_hash),
        (IdempotentTarget::Statement(JobId(1)), vec![1])
    );
}

#[test]
fn a_refused_submit_consumes_nothing() {
    let mut bench = Bench::with_open_session(1);
    let refused = Submit {
        idempotency_key: "k".to_owned(),
        ..submit_to("a", "nowhere", "op-1")
    };
    let refusal = bench.refused(Kind::Submit(refused));
    assert_eq!(refusal.code(), RejectionCode::UnknownPool);
    assert_eq!(
        (refusal.subject.as_str(), refusal.allowed.len()),
        ("nowhere", 2)
    );
    assert_eq!(bench.registry.by_idempotency_key("k"), None);
    assert_eq!(bench.run("op-1").job, 1, "no number was used up");
}

#[test]
fn queues_are_bounded_by_number_and_by_bytes() {
    let mut bench = Bench::with_open_session(1);
    for n in 0..11 {
        bench.done(submit("a", &format!("op-{n}")));
    }
    let refusal = bench.refused(submit("a", "op-x"));
    assert_eq!(
        (refusal.code(), refusal.limit),
        (RejectionCode::QueueFull, 10)
    );
    // Another pool has a queue of its own, but shares the bytes.
    let long = |bytes: usize| {
        let code = "x".repeat(bytes);
        Kind::Submit(Submit {
            code,
            ..submit_to("a", "narrow", "op-long")
        })
    };
    let left = 1_000 - 10 * "SELECT 1".len();
    let refusal = bench.refused(long(left + 1));
    assert_eq!(
        (refusal.code(), refusal.limit),
        (RejectionCode::QueuedBytes, 1_000)
    );
    bench.done(long(left));
    assert_eq!(bench.registry.totals().queued_bytes, 1_000);
}

#[test]
fn a_session_and_a_user_may_only_have_so_many_at_work() {
    let mut bench = Bench::with_open_session(1);
    let few = Settings {
        active_per_session: 3,
        active_per_user: 2,
        ..settings(Mode::Isolated, 1)
    };
    bench.done(put_settings(few, 1));
    let by = |user: &str, operation: &str| {
        let Kind::Submit(submit) = submit("a", operation) else {
            unreachable!("made by submit()")
        };
        let user = user.to_owned();
        Kind::Submit(Submit { user, ..submit })
    };
    bench.done(by("ann", "op-1"));
    bench.done(by("ann", "op-2"));
    let refusal = bench.refused(by("ann", "op-3"));
    assert_eq!(
        (refusal.code(), refusal.limit),
        (RejectionCode::ActivePerUser, 2)
    );
    bench.done(by("bob", "op-4"));
    let refusal = bench.refused(by("bob", "op-5"));
    assert_eq!(
        (refusal.code(), refusal.limit),
        (RejectionCode::ActivePerSession, 3)
    );
    bench.done(Kind::Cancel(Cancel { job: 2 }));
    bench.done(by("ann", "op-6"));
}

#[test]
fn what_starts_at_once_needs_no_place_in_the_queue() {
    let mut bench = Bench::with_open_session(1);
    let none = Settings {
        max_queued: 0,
        queued_bytes: 0,
        ..settings(Mode::Isolated, 1)
    };
    bench.done(put_settings(none, 1));
    assert_eq!(bench.run("op-1").state(), StatementState::Running);
    assert_eq!(bench.code(submit("a", "op-2")), RejectionCode::QueueFull);
}

fn submit_making(session: &str, operation: &str, spark: &str) -> Kind {
    Kind::Submit(Submit {
        create_if_missing: Some(create_session(session, spark)),
        ..submit_to(session, "default", operation)
    })
}

#[test]
fn a_submit_makes_its_session_in_the_same_step() {
    let mut bench = Bench::new(Mode::Isolated, 1);
    assert_eq!(
        bench.code(submit("a", "op-1")),
        RejectionCode::UnknownSession
    );
    let statement = bench
        .submitted(submit_making("a", "op-1", "spark-1"))
        .statement
        .unwrap();
    assert_eq!(statement.state(), StatementState::Queued);
    assert_eq!(bench.session("a").state(), SessionState::Starting);
    bench.done(submit_making("a", "op-2", "spark-2"));
    assert_eq!(
        bench.session("a").spark_session_id,
        "spark-1",
        "two at once make one"
    );
    bench.done(submit_making("b", "op-3", "spark-3"));
    bench.done(submit_making("c", "op-4", "spark-4"));
    let refusal = bench.refused(submit_making("d", "op-5", "spark-5"));
    assert_eq!(
        (refusal.code(), refusal.limit),
        (RejectionCode::TooManySessions, 3)
    );
    let elsewhere = Submit {
        create_if_missing: Some(create_session("e", "spark-6")),
        ..submit_to("d", "default", "op-6")
    };
    assert_eq!(
        bench.code(Kind::Submit(elsewhere)),
        RejectionCode::Malformed
    );
}

#[test]
fn a_place_in_a_trace_is_kept_if_it_has_w3cs_length() {
    let mut bench = Bench::with_open_session(1);
    let traced = |operation: &str, parent: usize, state: usize| {
        Kind::Submit(Submit {
            traceparent: "p".repeat(parent),
            tracestate: "s".repeat(state),
            ..submit_to("a", "default", operation)
        })
    };
    for (operation, given, kept) in [
        ("op-1", (55, 512), (55, 512)),
        ("op-2", (0, 0), (0, 0)),
        ("op-3", (56, 513), (0, 0)),
    ] {
        let statement = bench
            .submitted(traced(operation, given.0, given.1))
            .statement;
        let statement = statement.unwrap();
        let lengths = (statement.traceparent.len(), statement.tracestate.len());
        assert_eq!(lengths, kept, "{operation}");
    }
}

#[test]
fn a_refused_submit_makes_no_session() {
    let mut bench = Bench::new(Mode::Isolated, 1);
    let refused = Submit {
        create_if_missing: Some(create_session("a", "spark-1")),
        ..submit_to("a", "nowhere", "op-1")
    };
    assert_eq!(
        bench.code(Kind::Submit(refused)),
        RejectionCode::UnknownPool
    );
    assert_eq!(bench.registry.session_count(), 0);
}

#[test]
fn a_submit_reopens_what_is_closed_or_failed_but_not_what_is_closing() {
    let mut bench = Bench::with_open_session(1);
    bench.done(close("a"));
    assert_eq!(
        bench.code(submit_making("a", "op-1", "spark-2")),
        RejectionCode::SessionClosed
    );
    bench.done(closed("a", 1));
    assert_eq!(
        bench.code(submit("a", "op-1")),
        RejectionCode::SessionClosed
    );
    assert_eq!(
        bench.code(submit_making("a", "op-1", "spark-a")),
        RejectionCode::Malformed
    );
    bench.done(submit_making("a", "op-1", "spark-2"));
    assert_eq!(
        (bench.session("a").epoch, bench.state(1)),
        (2, StatementState::Queued)
    );
    bench.done(fail("a", 2, "X"));
    assert_eq!(
        bench.code(submit("a", "op-2")),
        RejectionCode::SessionFailed
    );
    bench.done(submit_making("a", "op-2", "spark-3"));
    assert_eq!(bench.session("a").epoch, 3);
}

#[test]
fn nothing_is_made_before_the_settings_are_seeded() {
    let mut bench = Bench {
        now: 1,
        ..Bench::default()
    };
    assert_eq!(
        bench.code(submit_making("a", "op", "s")),
        RejectionCode::SettingsVersion
    );
    assert_eq!(bench.code(create("a", "s")), RejectionCode::SettingsVersion);
}

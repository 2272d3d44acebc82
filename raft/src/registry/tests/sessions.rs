//! Sessions: made, opened, reset, failed.

use libra_proto::registry::command::Kind;
use libra_proto::registry::*;
use libra_proto::types::{Change, NodeId};

use super::bench::*;
use crate::registry::{IdempotentTarget, session_key};

#[test]
fn shared_mode_has_the_one_session() {
    let mut bench = Bench::new(Mode::Shared, 2);
    assert_eq!(bench.code(create("a", "s")), RejectionCode::ModeShared);
    bench.done(create("default", "s"));
    assert_eq!(
        bench.code(create("default", "other")),
        RejectionCode::SessionTaken
    );
    assert_eq!(bench.code(close("default")), RejectionCode::ModeShared);
    assert_eq!(bench.code(submit("a", "op")), RejectionCode::UnknownSession);
}

#[test]
fn creating_counts_checks_and_repeats() {
    let mut bench = Bench::new(Mode::Isolated, 2);
    bench.done(create("a", "spark-a"));
    assert_eq!(bench.changes, [Change::Session(sid("a"))]);
    let made = bench.session("a").clone();
    assert_eq!(
        (made.state(), made.epoch, made.created_at_ms),
        (SessionState::Starting, 1, 1_000)
    );
    let applied::Result::Session(again) = bench.done(create("a", "spark-a")) else {
        panic!("no session");
    };
    assert_eq!((again, bench.changes.len()), (made, 0));
    assert_eq!(
        bench.code(create("a", "spark-b")),
        RejectionCode::SessionTaken
    );
    assert_eq!(
        bench.code(reopen("a", "spark-b")),
        RejectionCode::SessionTaken
    );
    assert_eq!(bench.code(create("../etc", "s")), RejectionCode::Malformed);
    assert_eq!(bench.code(create("x", "")), RejectionCode::Malformed);
    bench.done(create("b", "spark-b"));
    bench.done(create("c", "spark-c"));
    let refusal = bench.refused(create("d", "spark-d"));
    assert_eq!(
        (refusal.code(), refusal.limit),
        (RejectionCode::TooManySessions, 3)
    );
    // Closed sessions do not count.
    bench.done(close("c"));
    bench.done(create("d", "spark-d"));
    assert_eq!(
        (
            bench.registry.session_count(),
            bench.registry.live_session_count()
        ),
        (4, 3)
    );
    let after_b: Vec<_> = bench.registry.sessions_after(Some(&sid("b"))).collect();
    assert_eq!(
        after_b
            .iter()
            .map(|s| s.session_id.as_str())
            .collect::<Vec<_>>(),
        ["c", "d"]
    );
}

#[test]
fn an_idempotency_key_makes_one_session() {
    let mut bench = Bench::new(Mode::Isolated, 2);
    let keyed = |id: &str, spark: &str, hash: &[u8]| {
        Kind::CreateSession(CreateSession {
            idempotency_key: session_key("/sessions\nk1", hash),
            ..create_session(id, spark)
        })
    };
    bench.done(keyed("s-1", "spark-1", &[0xab, 7]));
    let applied::Result::Session(again) = bench.done(keyed("s-2", "spark-2", &[0xab, 7])) else {
        panic!("no session");
    };
    assert_eq!(again.session_id, "s-1");
    assert_eq!(
        bench.code(keyed("s-1", "spark-1", &[9])),
        RejectionCode::IdempotencyMismatch
    );
    let known = bench.registry.by_idempotency_key("/sessions\nk1").unwrap();
    assert_eq!(known.target, IdempotentTarget::Session(sid("s-1")));
    assert_eq!(known.body_hash, [0xab, 7]);
}

#[test]
fn a_closed_session_opens_anew_in_the_next_epoch() {
    let mut bench = Bench::with_open_session(2);
    bench.done(close("a"));
    assert_eq!(
        bench.code(reopen("a", "spark-2")),
        RejectionCode::SessionTaken
    );
    bench.done(closed("a", 1));
    assert_eq!(
        bench.code(create("a", "spark-2")),
        RejectionCode::SessionTaken
    );
    bench.done(reopen("a", "spark-2"));
    let session = bench.session("a");
    assert_eq!(
        (session.state(), session.epoch),
        (SessionState::Starting, 2)
    );
    assert_eq!(
        (session.closed_at_ms, session.incarnation.is_none()),
        (0, true)
    );
    assert_eq!(
        bench.code(open("a", 1, "spark-2")),
        RejectionCode::StaleEpoch
    );
    bench.done(open("a", 2, "spark-2"));
}

#[test]
fn opening_needs_the_epoch_and_the_spark_session_of_the_record() {
    let mut bench = Bench::new(Mode::Isolated, 2);
    assert_eq!(
        bench.code(open("a", 1, "spark-a")),
        RejectionCode::UnknownSession
    );
    bench.done(create("a", "spark-a"));
    let queued = bench.run("op-1");
    assert_eq!(
        (queued.state(), queued.spark_session_id.as_str()),
        (StatementState::Queued, "")
    );
    assert_eq!(bench.eligible("default"), 0, "its session is not open yet");
    assert_eq!(bench.jobs(start(&[1])), [0; 0]);
    assert_eq!(
        bench.code(open("a", 2, "spark-a")),
        RejectionCode::StaleEpoch
    );
    assert_eq!(
        bench.code(open("a", 1, "spark-b")),
        RejectionCode::StaleEpoch
    );
    assert!(bench.changed(open("a", 1, "spark-a")));
    assert_eq!(
        bench
            .session("a")
            .incarnation
            .as_ref()
            .unwrap()
            .opened_at_ms,
        1_000
    );
    assert_eq!(bench.statement(1).spark_session_id, "spark-a");
    assert_eq!(bench.eligible("default"), 1);
    bench.now += 1;
    assert!(!bench.changed(open("a", 1, "spark-a")), "the same again");
    let other = OpenSession {
        session_id: "a".to_owned(),
        epoch: 1,
        incarnation: Some(Incarnation {
            server_side_session_id: "another".to_owned(),
            ..incarnation("spark-a")
        }),
    };
    assert_eq!(
        bench.code(Kind::OpenSession(other)),
        RejectionCode::IllegalTransition
    );
}

#[test]
fn a_reset_ends_what_relied_on_the_lost_spark_session() {
    let mut bench = Bench::with_open_session(2);
    let running = bench.run("op-1").job;
    let unknown = bench.run("op-2").job;
    bench.done(ends_unknown(unknown));
    let queued = bench.run("op-3").job;
    assert_eq!(bench.registry.totals().cleanups, 1);
    bench.now = 2_000;
    assert_eq!(
        bench.code(reset("a", 1, "spark-a", "spark-a")),
        RejectionCode::Malformed
    );
    assert_eq!(
        bench.code(reset("a", 2, "spark-a", "spark-b")),
        RejectionCode::StaleEpoch
    );
    assert_eq!(
        bench.code(reset("a", 1, "spark-z", "spark-b")),
        RejectionCode::StaleEpoch
    );
    assert!(bench.changed(reset("a", 1, "spark-a", "spark-b")));
    assert!(
        !bench.changed(reset("a", 1, "spark-a", "spark-b")),
        "the same again"
    );
    assert_eq!(
        bench.code(reset("a", 1, "spark-a", "spark-c")),
        RejectionCode::StaleEpoch
    );

    assert_eq!(bench.error_class(running), "LIBRA_OUTCOME_UNKNOWN");
    assert_eq!(bench.error_class(queued), "LIBRA_SESSION_RESET");
    assert_eq!(
        bench.registry.totals(),
        crate::registry::Totals {
            ended: 3,
            ..Default::default()
        }
    );
    let session = bench.session("a").clone();
    assert_eq!(
        (session.state(), session.epoch),
        (SessionState::Starting, 1)
    );
    assert_eq!(session.resets.len(), 1);
    assert_eq!(session.untold_reset_ms, 2_000);

    // Told of once, with the first submit; which waits for the new Spark session.
    let told = bench.submitted(submit("a", "op-4"));
    assert_eq!(told.session_reset_ms, 2_000);
    assert_eq!(bench.submitted(submit("a", "op-5")).session_reset_ms, 0);
    assert!(
        bench.changed(reset("a", 1, "spark-b", "spark-c")),
        "again, before it had opened"
    );
    assert_eq!(
        bench.state(4),
        StatementState::Queued,
        "it relied on no Spark session yet"
    );
    bench.done(open("a", 1, "spark-c"));
    assert_eq!(bench.jobs(start(&[4, 5])), [4, 5]);
    assert_eq!(bench.statement(4).spark_session_id, "spark-c");
}

/// Or a client that has seen the end of one could submit the next into the lost Spark session.
#[test]
fn a_reset_ends_what_never_reached_the_lost_spark_session_with_the_session() {
    let mut bench = Bench::with_open_session(2);
    let never_sent = bench.run("op-1").job;
    let sent = bench.run("op-2").job;
    let Kind::ResetSession(mut command) = reset("a", 1, "spark-a", "spark-b") else {
        unreachable!();
    };
    command.never_sent = vec![never_sent, 99];
    bench.done(Kind::ResetSession(command));
    assert_eq!(bench.error_class(never_sent), "LIBRA_SESSION_RESET");
    assert_eq!(bench.error_class(sent), "LIBRA_OUTCOME_UNKNOWN");
}

#[test]
fn only_the_newest_hundred_resets_are_kept() {
    let mut bench = Bench::with_open_session(2);
    for n in 0..150_u32 {
        let old = if n == 0 {
            "spark-a".to_owned()
        } else {
            format!("spark-{n}")
        };
        bench.done(reset("a", 1, &old, &format!("spark-{}", n + 1)));
    }
    let resets = &bench.session("a").resets;
    assert_eq!(resets.len(), 100);
    assert_eq!(resets.last().unwrap().old_spark_session_id, "spark-149");
}

#[test]
fn a_reset_of_a_closing_session_closes_it() {
    let mut bench = Bench::with_open_session(2);
    let running = bench.run("op-1").job;
    bench.done(close("a"));
    assert_eq!(bench.session("a").state(), SessionState::Closing);
    bench.done(reset("a", 1, "spark-a", "spark-b"));
    assert_eq!(bench.session("a").state(), SessionState::Closed);
    assert_eq!(bench.error_class(running), "LIBRA_OUTCOME_UNKNOWN");
    assert_eq!(bench.registry.totals().cleanups, 0);
}

#[test]
fn a_failed_session_takes_its_statements_along_and_keeps_their_slots() {
    let mut bench = Bench::with_open_session(1);
    let running = bench.run("op-1").job;
    let queued = bench.run("op-2").job;
    assert_eq!(bench.code(fail("a", 7, "X")), RejectionCode::StaleEpoch);
    assert!(bench.changed(fail("a", 1, "LIBRA_SPARK_UNREACHABLE")));
    assert!(!bench.changed(fail("a", 1, "LIBRA_SPARK_UNREACHABLE")));
    assert_eq!(
        bench.code(fail("a", 1, "OTHER")),
        RejectionCode::SessionFailed
    );
    assert_eq!(bench.error_class(running), "LIBRA_OUTCOME_UNKNOWN");
    assert_eq!(bench.error_class(queued), "LIBRA_SPARK_UNREACHABLE");
    assert_eq!(bench.registry.cleanups_of(&sid("a")).count(), 1);
    assert_eq!(
        bench.code(submit("a", "op-3")),
        RejectionCode::SessionFailed
    );

    // The slot stays taken, and the session with its node, until the owner has cleaned up.
    bench.open("b", "spark-b");
    assert_eq!(
        bench
            .submitted(submit("b", "op-4"))
            .statement
            .unwrap()
            .state(),
        StatementState::Queued
    );
    assert_eq!(bench.jobs(start(&[3])), [0; 0]);
    let owned = |bench: &Bench| bench.registry.sessions_owned_by(NodeId(1)).count();
    assert_eq!(owned(&bench), 2);
    assert_eq!(
        bench.code(cleanup_done(running, 2)),
        RejectionCode::StaleEpoch
    );
    assert!(bench.changed(cleanup_done(running, 1)));
    assert!(!bench.changed(cleanup_done(running, 1)));
    assert_eq!(owned(&bench), 1);
    assert_eq!(bench.jobs(start(&[3])), [3]);
}

#[test]
fn failing_before_opening_leaves_nothing_to_clean_up() {
    let mut bench = Bench::new(Mode::Isolated, 1);
    bench.done(create("a", "spark-a"));
    let queued = bench.run("op-1").job;
    bench.done(Kind::FailSession(FailSession {
        session_id: "a".to_owned(),
        epoch: 1,
        error: None,
    }));
    assert_eq!(bench.error_class(queued), "LIBRA_SESSION_CLOSED");
    assert_eq!(bench.registry.totals().cleanups, 0);
}

#[test]
fn clean_ups_of_an_earlier_life_outlive_a_reset_of_the_next() {
    let mut bench = Bench::with_open_session(2);
    bench.run("op-1");
    bench.done(fail("a", 1, "X"));
    bench.done(reopen("a", "spark-2"));
    bench.done(open("a", 2, "spark-2"));
    bench.done(reset("a", 2, "spark-2", "spark-3"));
    assert_eq!(bench.registry.cleanups_of(&sid("a")).count(), 1);
    bench.done(cleanup_done(1, 2));
    assert_eq!(bench.registry.cleanups_of(&sid("a")).count(), 0);
}

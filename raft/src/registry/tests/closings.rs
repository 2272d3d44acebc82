//! Sessions being closed.

use libra_proto::registry::command::Kind;
use libra_proto::registry::*;
use libra_proto::types::{Change, JobId};

use super::bench::*;

#[test]
fn closing_cancels_what_is_queued_and_asks_what_runs() {
    let mut bench = Bench::with_open_session(1);
    let running = bench.run("op-1").job;
    let queued = bench.run("op-2").job;
    bench.now = 3_000;
    assert!(bench.changed(close("a")));
    assert!(!bench.changed(close("a")), "closing again");
    assert_eq!(bench.session("a").state(), SessionState::Closing);
    assert_eq!(bench.session("a").close_reason, "asked");
    assert_eq!(bench.state(queued), StatementState::Cancelled);
    assert_eq!(bench.state(running), StatementState::Running);
    assert_eq!(bench.statement(running).cancel_requested_at_ms, 3_000);
    assert_eq!(
        bench.code(submit("a", "op-3")),
        RejectionCode::SessionClosed
    );
    assert_eq!(bench.code(closed("a", 1)), RejectionCode::IllegalTransition);
    bench.done(ends(running, StatementState::Cancelled));
    assert_eq!(bench.state(running), StatementState::Cancelled);
    assert_eq!(bench.code(closed("a", 2)), RejectionCode::StaleEpoch);
    assert!(bench.changed(closed("a", 1)));
    assert!(!bench.changed(closed("a", 1)));
    assert_eq!(bench.session("a").closed_at_ms, 3_000);
    assert!(!bench.changed(close("a")), "closed already");
    assert_eq!(bench.code(close("nobody")), RejectionCode::UnknownSession);
}

#[test]
fn the_owners_word_that_all_is_released_frees_kept_slots() {
    let mut bench = Bench::with_open_session(1);
    let job = bench.run("op-1").job;
    bench.done(ends_unknown(job));
    assert_eq!(
        bench.code(closed("a", 1)),
        RejectionCode::IllegalTransition,
        "nobody closed it"
    );
    bench.done(close("a"));
    bench.done(closed("a", 1));
    assert_eq!(bench.registry.totals().cleanups, 0);
}

#[test]
fn a_session_without_spark_session_closes_at_once() {
    let mut bench = Bench::new(Mode::Isolated, 1);
    bench.done(create("a", "spark-a"));
    let queued = bench.run("op-1").job;
    bench.done(close("a"));
    assert_eq!(bench.session("a").state(), SessionState::Closed);
    assert_eq!(bench.state(queued), StatementState::Cancelled);
    let session = Change::Session(sid("a"));
    assert_eq!(
        bench.changes,
        [Change::Statement(JobId(queued), sid("a")), session]
    );
}

#[test]
fn an_idle_close_is_refused_once_something_happened() {
    let mut bench = Bench::with_open_session(1);
    let idle_close = |since: u64| {
        Kind::CloseSession(CloseSession {
            session_id: "a".to_owned(),
            reason: "idle".to_owned(),
            if_idle_since_ms: since,
        })
    };
    assert_eq!(bench.code(idle_close(999)), RejectionCode::NotIdle);
    let job = bench.run("op-1").job;
    assert_eq!(
        bench.code(idle_close(1_000)),
        RejectionCode::NotIdle,
        "it is busy"
    );
    bench.now = 2_000;
    bench.done(ends(job, StatementState::Succeeded));
    assert_eq!(
        bench.code(idle_close(1_000)),
        RejectionCode::NotIdle,
        "the end was activity"
    );
    assert!(bench.changed(idle_close(2_000)));
}

//! Idle sessions and history.

use libra_proto::registry::command::Kind;
use libra_proto::registry::*;
use libra_proto::types::JobId;

use super::bench::*;

fn retire(jobs: &[u64], sessions: &[&str]) -> Kind {
    Kind::Retire(Retire {
        jobs: jobs.to_vec(),
        sessions: sessions.iter().map(|id| (*id).to_owned()).collect(),
    })
}

#[test]
fn sessions_idle_out_unless_busy_or_shared() {
    let mut bench = Bench::with_open_session(1);
    assert_eq!(bench.registry.idle_sessions(5_999), []);
    assert_eq!(bench.registry.idle_sessions(6_000), [(sid("a"), 1_000)]);
    let job = bench.run("op-1").job;
    assert_eq!(bench.registry.idle_sessions(99_999), [], "it is busy");
    bench.now = 4_000;
    bench.done(ends(job, StatementState::Succeeded));
    assert_eq!(bench.registry.idle_sessions(8_999), []);
    assert_eq!(bench.registry.idle_sessions(9_000), [(sid("a"), 4_000)]);
    bench.done(close("a"));
    assert_eq!(
        bench.registry.idle_sessions(99_999),
        [],
        "it is closing already"
    );

    let mut shared = Bench::new(Mode::Shared, 1);
    shared.done(create("default", "spark"));
    assert_eq!(shared.registry.idle_sessions(99_999), []);
}

#[test]
fn statements_go_by_time_and_by_number_the_oldest_end_first() {
    let mut bench = Bench::with_open_session(3);
    for n in 1..=3 {
        bench.done(submit("a", &format!("op-{n}")));
    }
    for (job, at) in [(2, 2_000), (1, 3_000), (3, 4_000)] {
        bench.now = at;
        bench.done(ends(job, StatementState::Succeeded));
    }
    let jobs = |bench: &Bench, now: u64, limit: usize| bench.registry.retirable(now, limit).0;
    assert_eq!(jobs(&bench, 11_999, 9), []);
    assert_eq!(jobs(&bench, 13_000, 9), [JobId(2), JobId(1)]);
    assert_eq!(jobs(&bench, 13_000, 1), [JobId(2)]);
    let few = Settings {
        retention_statements: 1,
        ..settings(Mode::Isolated, 3)
    };
    bench.done(put_settings(few, 1));
    assert_eq!(jobs(&bench, 4_000, 9), [JobId(2), JobId(1)]);
    let unbounded = Settings {
        retention_statements: 0,
        retention_ms: 0,
        ..few
    };
    bench.done(put_settings(unbounded, 2));
    assert_eq!(jobs(&bench, u64::MAX, 9), []);
}

#[test]
fn retiring_forgets_the_statement_its_operation_and_its_key() {
    let mut bench = Bench::with_open_session(2);
    let keyed = Submit {
        idempotency_key: "k".to_owned(),
        ..submit_to("a", "default", "op-1")
    };
    bench.done(Kind::Submit(keyed));
    assert!(
        !bench.changed(retire(&[1, 77], &["a", "nobody"])),
        "it runs, the session is open"
    );
    bench.done(ends_unknown(1));
    assert!(
        !bench.changed(retire(&[1], &[])),
        "a clean-up still needs it"
    );
    bench.done(cleanup_done(1, 1));
    assert!(bench.changed(retire(&[1], &["a"])));
    assert_eq!(bench.registry.statement(JobId(1)), None);
    assert_eq!(bench.registry.by_operation("op-1"), None);
    assert_eq!(bench.registry.by_idempotency_key("k"), None);
    assert_eq!(bench.session("a").total_statements, 1, "open, so it stays");
    assert_eq!(bench.run("op-1").job, 2, "numbers are never used again");
}

#[test]
fn ended_sessions_go_after_their_last_statement_and_keep_their_epochs_taken() {
    let mut bench = Bench::with_open_session(1);
    bench.run("op-1");
    bench.done(ends(1, StatementState::Succeeded));
    bench.done(close("a"));
    bench.done(closed("a", 1));
    assert_eq!(
        bench.registry.retirable(11_000, 9),
        (vec![JobId(1)], vec![])
    );
    assert!(!bench.changed(retire(&[], &["a"])), "a statement is left");
    assert!(bench.changed(retire(&[1], &[])));
    assert_eq!(bench.registry.retirable(10_999, 9), (vec![], vec![]));
    assert_eq!(
        bench.registry.retirable(11_000, 9),
        (vec![], vec![sid("a")])
    );
    assert!(bench.changed(retire(&[], &["a"])));
    assert_eq!(bench.registry.session(&sid("a")), None);
    bench.done(create("a", "spark-2"));
    assert_eq!(
        bench.session("a").epoch,
        2,
        "a late word of the first life must not fit"
    );
}

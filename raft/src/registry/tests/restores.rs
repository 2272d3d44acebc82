//! Backups: taken in part by part, and what becomes of them.

use std::collections::BTreeSet;

use libra_proto::registry::command::Kind;
use libra_proto::registry::*;
use proptest::prelude::*;

use super::bench::*;
use super::moves::moves;
use super::nodes_bench::*;
use super::random::Run;
use crate::registry::state::Records;

const ID: &str = "restore-1";

fn begin(restore_id: &str, feature_level: u32) -> Kind {
    Kind::RestoreBegin(RestoreBegin {
        restore_id: restore_id.to_owned(),
        feature_level,
    })
}

fn part(restore_id: &str, position: u64, records: &[SnapshotRecord]) -> Kind {
    Kind::RestorePart(RestorePart {
        restore_id: restore_id.to_owned(),
        position,
        records: records.to_vec(),
    })
}

fn end(parts: u64) -> RestoreEnd {
    RestoreEnd {
        restore_id: ID.to_owned(),
        parts,
        endpoints: vec![
            ENDPOINT.to_owned(),
            "sc://0".to_owned(),
            "sc://1".to_owned(),
        ],
        seed: vec![9; 16],
        cluster_name: "old".to_owned(),
        ..RestoreEnd::default()
    }
}

/// A new cluster of two nodes, in that mode.
fn fresh(mode: Mode) -> Bench {
    let mut bench = Bench::new(mode, 5);
    bench.register(&[1, 8]);
    bench.now = 500_000;
    bench
}

/// A cluster that has known everything: statements of all states, a session of each.
fn old() -> Bench {
    let mut bench = Bench::new(Mode::Isolated, 2);
    bench.register(&[1, 2, 3]);
    bench.open("failed", "spark-f");
    bench.done(fail("failed", 1, "LIBRA_SPARK_UNREACHABLE"));
    bench.open("a", "spark-a");
    bench.done(create("starting", "spark-s"));
    bench.open("closing", "spark-c");
    for n in 1..=4 {
        bench.run(&format!("op-{n}"));
    }
    let with_rows = Finish {
        result: Some(ResultManifest {
            rows: 3,
            holders: holders(&[1, 2]),
            ..ResultManifest::default()
        }),
        ..finish(1, bench.session("a").epoch, StatementState::Succeeded)
    };
    bench.done(Kind::Finish(with_rows));
    bench.done(start(&[3]));
    bench.done(close("closing"));
    bench
}

fn records(bench: &Bench) -> Vec<SnapshotRecord> {
    bench.registry.snapshot().collect()
}

/// Takes the records in, in parts of three.
fn restore(bench: &mut Bench, records: &[SnapshotRecord], end_with: RestoreEnd) -> Restored {
    assert!(bench.changed(begin(ID, 1)));
    let mut parts = 0;
    for chunk in records.chunks(3) {
        assert!(bench.changed(part(ID, parts, chunk)));
        parts += 1;
    }
    let last = RestoreEnd { parts, ..end_with };
    match bench.done(Kind::RestoreEnd(last)) {
        applied::Result::Restored(restored) => restored,
        other => panic!("not restored: {other:?}"),
    }
}

#[test]
fn small_results_come_along() {
    let mut old = old();
    let inline = Finish {
        result: Some(ResultManifest {
            rows: 1,
            inline: vec![1, 2].into(),
            ..ResultManifest::default()
        }),
        ..finish(2, old.session("a").epoch, StatementState::Succeeded)
    };
    old.done(Kind::Finish(inline));
    let mut new = fresh(Mode::Isolated);
    let restored = restore(&mut new, &records(&old), end(0));
    assert_eq!((restored.results_lost, restored.outcomes_unknown), (1, 2));
    let kept = |bench: &Bench| bench.statement(2).result.clone();
    assert_eq!(kept(&new), kept(&old));
}

#[test]
fn sessions_live_again_and_what_had_no_end_gets_one() {
    let old = old();
    let mut new = fresh(Mode::Isolated);
    let restored = restore(&mut new, &records(&old), end(0));
    assert_eq!(
        restored,
        Restored {
            sessions: 4,
            statements: 4,
            pools: 2,
            sessions_reopened: 2,
            outcomes_unknown: 3,
            results_lost: 1,
        }
    );
    let session = new.session("a");
    assert_eq!(session.state(), SessionState::Starting);
    assert_eq!(session.epoch, old.session("a").epoch + 1);
    assert_eq!(session.incarnation, None);
    assert_ne!(session.spark_session_id, "spark-a");
    assert_eq!(session.resets[0].old_spark_session_id, "spark-a");
    assert_eq!(session.resets[0].reason, "restored from a backup");
    assert_ne!(session.untold_reset_ms, 0);
    assert_ne!(
        session.spark_session_id,
        new.session("starting").spark_session_id
    );
    let owners: BTreeSet<u64> = ["a", "starting"]
        .iter()
        .map(|id| new.session(id).owner_node)
        .collect();
    assert_eq!(
        owners,
        BTreeSet::from([1, 8]),
        "evenly, to nodes of the new cluster"
    );
    assert_eq!(new.session("closing").state(), SessionState::Closed);
    assert_eq!(new.session("failed").state(), SessionState::Failed);

    assert_eq!(new.state(1), StatementState::Succeeded);
    let result = new.statement(1).result.as_ref().unwrap();
    assert_eq!((result.rows, result.holders.len()), (3, 0));
    for job in 2..=4 {
        assert_eq!(new.state(job), StatementState::Failed, "{job}");
        assert_eq!(new.error_class(job), "LIBRA_OUTCOME_UNKNOWN");
        assert_eq!(new.statement(job).completed_at_ms, 500_000);
    }
    // What ran may still run: it keeps its slot until it is wound up.
    let kept: Vec<u64> = new.registry.cleanups_of(&sid("a")).map(|c| c.job).collect();
    assert_eq!(kept, [2, 3]);
    assert_eq!(new.registry.demand(ENDPOINT).taken, 2);
    let owned = new.registry.settings().unwrap();
    assert_eq!((owned.version, owned.slots), (2, 2), "the file's settings");
    assert!(new.events.iter().any(|event| matches!(
        &event.kind,
        Some(libra_proto::admin::event::Kind::Restored(restored))
            if restored.cluster_name == "old" && restored.statements == 4
    )));

    // Life goes on, with numbers that the old cluster cannot have given out since.
    let spark = new.session("a").spark_session_id.clone();
    new.done(open("a", old.session("a").epoch + 1, &spark));
    assert_eq!(new.run("op-9").job, 1_000_005);
    new.done(cleanup_done(2, old.session("a").epoch + 1));
}

#[test]
fn sessions_of_an_endpoint_that_is_not_there_go_to_another() {
    let old = old();
    let mut new = fresh(Mode::Isolated);
    let elsewhere = RestoreEnd {
        endpoints: vec!["sc://new:1".to_owned()],
        unreachable: vec![Unreachable {
            node_id: 1,
            endpoint: "sc://new:1".to_owned(),
        }],
        ..end(0)
    };
    restore(&mut new, &records(&old), elsewhere);
    for id in ["a", "starting"] {
        assert_eq!(new.session(id).endpoint, "sc://new:1");
        assert_eq!(new.session(id).owner_node, 8, "the one that reaches it");
    }
    assert_eq!(new.statement(1).endpoint, ENDPOINT, "it ran there");
    assert_eq!(
        new.registry.cleanups_of(&sid("a")).count(),
        0,
        "out of reach"
    );

    let mut same = fresh(Mode::Isolated);
    let all_stay = RestoreEnd {
        endpoints: Vec::new(),
        ..end(0)
    };
    restore(&mut same, &records(&old), all_stay);
    assert_eq!(same.session("a").endpoint, ENDPOINT);
}

#[test]
fn the_shared_session_of_a_fresh_cluster_gives_way() {
    let mut old = Bench::new(Mode::Shared, 2);
    old.register(&[1]);
    old.open("default", "spark-old");
    for n in 0..5 {
        old.done(Kind::Submit(submit_to(
            "default",
            "default",
            &format!("op-{n}"),
        )));
    }
    let mut new = fresh(Mode::Shared);
    new.open("default", "spark-new");
    restore(&mut new, &records(&old), end(0));
    let session = new.session("default");
    assert_eq!(
        (session.state(), session.epoch),
        (SessionState::Starting, 2)
    );
    assert_eq!(session.total_statements, 5);

    // One of the wrong mode is closed, as by any change of the mode.
    let isolated = records(&self::old());
    let mut new = fresh(Mode::Shared);
    new.done(create("default", "spark-new"));
    restore(&mut new, &isolated, end(0));
    assert_eq!(new.session("default").state(), SessionState::Closed);
    assert_eq!(new.registry.settings().unwrap().mode(), Mode::Isolated);
}

#[test]
fn only_a_fresh_registry_takes_a_backup_and_says_so_at_the_end_too() {
    let mut bench = fresh(Mode::Isolated);
    bench.done(begin(ID, 1));
    bench.done(part(ID, 0, &records(&old())));
    bench.open("mine", "spark-m");
    let refusal = bench.refused(Kind::RestoreEnd(end(1)));
    assert_eq!(
        (refusal.code(), refusal.subject.as_str()),
        (RejectionCode::NotFresh, "mine")
    );
    assert_eq!(bench.code(begin("restore-2", 1)), RejectionCode::NotFresh);

    let mut bench = fresh(Mode::Shared);
    bench.open("default", "spark-d");
    assert!(
        bench.changed(begin(ID, 1)),
        "the shared session alone is fresh"
    );
    bench.done(Kind::Submit(submit_to("default", "default", "op-1")));
    let refusal = bench.refused(begin("restore-2", 1));
    assert_eq!(
        (refusal.code(), refusal.subject.as_str()),
        (RejectionCode::NotFresh, "job-1")
    );
}

#[test]
fn parts_come_in_order_and_may_come_again() {
    let all = records(&old());
    let mut bench = fresh(Mode::Isolated);
    assert_eq!(
        bench.code(part(ID, 0, &all)),
        RejectionCode::RestoreSuperseded
    );
    assert_eq!(bench.code(begin("", 1)), RejectionCode::Malformed);
    assert_eq!(bench.code(begin(ID, 9)), RejectionCode::FeatureLevel);
    assert!(bench.changed(begin(ID, 1)));
    assert!(bench.changed(part(ID, 0, &all[..2])));
    assert!(!bench.changed(begin(ID, 1)), "again: what is there stays");
    assert!(!bench.changed(part(ID, 0, &all[..2])));
    assert_eq!(bench.code(part(ID, 2, &all[2..])), RejectionCode::Malformed);
    assert_eq!(
        bench.code(Kind::RestoreEnd(end(2))),
        RejectionCode::Malformed
    );
    let no_seed = RestoreEnd {
        seed: vec![1],
        ..end(1)
    };
    assert_eq!(
        bench.code(Kind::RestoreEnd(no_seed)),
        RejectionCode::Malformed
    );
    // Another begins: the first has nothing to say any more.
    assert!(bench.changed(begin("restore-2", 1)));
    assert_eq!(
        bench.code(part(ID, 1, &all)),
        RejectionCode::RestoreSuperseded
    );
    let give_up = |restore_id: &str| {
        Kind::RestoreEnd(RestoreEnd {
            restore_id: restore_id.to_owned(),
            abandon: true,
            ..RestoreEnd::default()
        })
    };
    assert_eq!(bench.code(give_up(ID)), RejectionCode::RestoreSuperseded);
    assert!(bench.changed(give_up("restore-2")));
    assert_eq!(bench.registry.records.staged, None);
}

#[test]
fn records_that_are_no_registry_change_nothing() {
    let all = records(&old());
    let without_header = &all[1..];
    let no_sessions: Vec<_> = all
        .iter()
        .filter(|record| !matches!(record.entity, Some(snapshot_record::Entity::Session(_))))
        .cloned()
        .collect();
    for wrong in [without_header, no_sessions.as_slice(), &[]] {
        let mut bench = fresh(Mode::Isolated);
        bench.done(begin(ID, 1));
        bench.done(part(ID, 0, wrong));
        let refusal = bench.refused(Kind::RestoreEnd(end(1)));
        assert_eq!(refusal.code(), RejectionCode::BadBackup);
        assert!(!refusal.subject.is_empty());
    }
}

#[test]
fn a_restore_under_way_goes_through_a_snapshot() {
    let all = records(&old());
    let mut bench = fresh(Mode::Isolated);
    bench.done(begin(ID, 1));
    for (position, records) in [&[][..], &all[..3], &all[3..]].into_iter().enumerate() {
        if position > 0 {
            bench.done(part(ID, position as u64 - 1, records));
        }
        let again = crate::registry::Registry::restore(bench.registry.snapshot()).unwrap();
        assert_eq!(again.records, bench.registry.records, "{position} parts");
        bench.registry = again;
    }
    assert!(matches!(
        bench.done(Kind::RestoreEnd(end(2))),
        applied::Result::Restored(_)
    ));
}

/// What must hold whatever the backup is of.
fn check(before: &Records, after: &Records) {
    assert_eq!(before.pools, after.pools);
    assert_eq!(
        before.statements.keys().collect::<Vec<_>>(),
        after.statements.keys().collect::<Vec<_>>()
    );
    for (job, statement) in &after.statements {
        let old = &before.statements[job];
        assert!(statement.state().has_ended(), "{job}");
        assert_eq!(old.code, statement.code);
        if old.state().has_ended() {
            assert_eq!(
                (old.state(), &old.error),
                (statement.state(), &statement.error)
            );
        }
        let holders = statement.result.iter().flat_map(|result| &result.holders);
        assert_eq!(holders.count(), 0);
    }
    for (id, session) in &before.sessions {
        let new = &after.sessions[id];
        assert!(new.epoch > session.epoch, "{id}");
        let lives = |session: &SessionRecord| session.state().is_live();
        assert_eq!(lives(session), lives(new), "{id}");
        assert!(
            !lives(new) || after.nodes.contains_key(&new.owner_node),
            "{id}"
        );
    }
    assert!(after.last_job > before.last_job);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_registry_is_restored_whole(steps in moves(150)) {
        let mut run = Run::new();
        for (n, step) in steps.iter().enumerate() {
            run.step(step, n);
        }
        let mut new = fresh(Mode::Isolated);
        // A build that knows the level that the moves may have raised it to.
        let level = run.bench.registry.feature_level();
        prop_assume!(level == 1);
        let all: Vec<SnapshotRecord> = run.bench.registry.snapshot().collect();
        restore(&mut new, &all, end(0));
        new.registry.check_invariants().unwrap();
        check(&run.bench.registry.records, &new.registry.records);
    }
}

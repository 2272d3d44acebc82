//! Pools, settings, nodes, and the clock.

use libra_proto::registry::command::Kind;
use libra_proto::registry::*;
use libra_proto::types::{Change, NodeId};

use super::bench::*;

fn put(pool: PoolRecord) -> Kind {
    Kind::PutPool(PutPool { pool: Some(pool) })
}

fn delete(name: &str) -> Kind {
    Kind::DeletePool(DeletePool {
        name: name.to_owned(),
    })
}

#[test]
fn seeding_leaves_what_is_there() {
    let mut bench = Bench::new(Mode::Isolated, 1);
    let seeds = vec![
        PoolRecord {
            weight: 9,
            ..pool("default", 0)
        },
        pool("new", 0),
    ];
    assert!(bench.changed(Kind::SeedPools(SeedPools {
        pools: seeds.clone()
    })));
    assert_eq!(bench.changes, [Change::Settings]);
    assert_eq!(bench.registry.pool("default").unwrap().weight, 2);
    assert!(!bench.changed(Kind::SeedPools(SeedPools { pools: seeds })));
    let half = vec![pool("fine", 0), pool("", 0)];
    assert_eq!(
        bench.code(Kind::SeedPools(SeedPools { pools: half })),
        RejectionCode::Malformed
    );
    assert_eq!(bench.registry.pools().count(), 3);
}

#[test]
fn pools_are_replaced_and_deleted_when_unused() {
    let mut bench = Bench::with_open_session(1);
    bench.done(put(PoolRecord {
        weight: 7,
        ..pool("narrow", 0)
    }));
    assert_eq!(bench.registry.pool("narrow").unwrap().weight, 7);
    for bad in [
        PoolRecord {
            weight: 0,
            ..pool("x", 0)
        },
        PoolRecord {
            scheduling_mode: 77,
            ..pool("x", 0)
        },
        pool("", 0),
    ] {
        assert_eq!(bench.code(put(bad)), RejectionCode::Malformed);
    }
    assert_eq!(bench.code(delete("default")), RejectionCode::PoolProtected);
    assert_eq!(bench.refused(delete("x")).allowed, ["default", "narrow"]);
    bench.done(Kind::Submit(submit_to("a", "narrow", "op-1")));
    assert_eq!(bench.registry.pool_load("narrow").running, 1);
    assert_eq!(bench.code(delete("narrow")), RejectionCode::PoolInUse);
    bench.done(ends(1, StatementState::Succeeded));
    assert!(bench.changed(delete("narrow")));
    assert_eq!(bench.code(delete("narrow")), RejectionCode::UnknownPool);
}

#[test]
fn settings_are_seeded_once_and_replaced_by_version() {
    let mut bench = Bench {
        now: 1,
        ..Bench::default()
    };
    assert_eq!(bench.registry.settings(), None);
    assert_eq!(
        bench.code(put_settings(settings(Mode::Unspecified, 1), 0)),
        RejectionCode::Malformed
    );
    assert_eq!(
        bench.code(put_settings(settings(Mode::Shared, 0), 0)),
        RejectionCode::Malformed
    );
    bench.done(put_settings(settings(Mode::Shared, 4), 0));
    assert_eq!(bench.registry.settings().unwrap().version, 1);
    let refusal = bench.refused(put_settings(settings(Mode::Shared, 5), 0));
    assert_eq!(
        (refusal.code(), refusal.limit),
        (RejectionCode::SettingsVersion, 1)
    );
    let applied::Result::Settings(now) = bench.done(put_settings(settings(Mode::Shared, 5), 1))
    else {
        panic!("no settings");
    };
    assert_eq!((now.version, now.slots), (2, 5));
    assert_eq!(bench.changes, [Change::Settings]);
}

#[test]
fn another_mode_closes_the_sessions_of_the_one_before() {
    let mut bench = Bench::new(Mode::Isolated, 1);
    bench.open("a", "spark-a");
    bench.done(create("b", "spark-b"));
    bench.run("op-1");
    bench.run("op-2");
    bench.done(put_settings(settings(Mode::Shared, 1), 1));
    assert_eq!(bench.session("a").state(), SessionState::Closing);
    assert_eq!(
        bench.session("b").state(),
        SessionState::Closed,
        "it never had a Spark session"
    );
    assert_ne!(bench.statement(1).cancel_requested_at_ms, 0);
    assert_eq!(bench.state(2), StatementState::Cancelled);
    bench.done(create("default", "spark-d"));
    assert_eq!(bench.registry.live_session_count(), 2);
    // Back again: the shared session is an ordinary one of the wrong mode now.
    bench.done(put_settings(settings(Mode::Isolated, 1), 2));
    assert_eq!(bench.session("default").state(), SessionState::Closed);
}

#[test]
fn nodes_are_known_by_their_newest_word() {
    let mut bench = Bench {
        now: 5,
        ..Bench::default()
    };
    let node = |boot: &str| {
        Kind::RegisterNode(RegisterNode {
            node: Some(NodeRecord {
                node_id: 2,
                boot_id: boot.to_owned(),
                registered_at_ms: 77,
                ..NodeRecord::default()
            }),
        })
    };
    assert!(bench.changed(node("boot-1")));
    bench.now = 9;
    assert!(!bench.changed(node("boot-1")));
    assert_eq!(bench.registry.node(NodeId(2)).unwrap().registered_at_ms, 5);
    assert!(bench.changed(node("boot-2")));
    assert_eq!(bench.registry.node(NodeId(2)).unwrap().registered_at_ms, 9);
    let nobody = Kind::RegisterNode(RegisterNode {
        node: Some(NodeRecord::default()),
    });
    assert_eq!(bench.code(nobody), RejectionCode::Malformed);
}

#[test]
fn the_clock_never_goes_back_and_old_entries_change_nothing() {
    let mut bench = Bench::with_open_session(1);
    bench.now = 500;
    bench.run("op-1");
    assert_eq!(
        (
            bench.registry.clock_ms(),
            bench.statement(1).submitted_at_ms
        ),
        (1_000, 1_000)
    );
    let index = bench.registry.applied_index();
    let late = Command {
        proposed_at_ms: 9_000,
        kind: Some(submit("a", "op-2")),
        ..Command::default()
    };
    let hash = bench.registry.state_hash();
    for old in [0, 1, index] {
        let applied = bench.registry.apply(old, 1, &late, &mut bench.changes);
        assert_eq!(
            applied.result,
            Some(applied::Result::Done(Done { changed: false }))
        );
    }
    assert_eq!(bench.registry.state_hash(), hash);
    bench.registry.advance(index + 3, 2);
    assert_eq!(bench.registry.applied_index(), index + 3);
    bench.registry.advance(index, 2);
    assert_eq!(bench.registry.applied_index(), index + 3);
    let empty = Command::default();
    let applied = bench
        .registry
        .apply(index + 4, 2, &empty, &mut bench.changes);
    let Some(applied::Result::Rejected(refusal)) = applied.result else {
        panic!("not refused")
    };
    assert_eq!(refusal.code(), RejectionCode::Malformed);
}

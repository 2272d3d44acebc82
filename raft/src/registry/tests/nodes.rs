//! Nodes: registered, down, draining, removed; and whose the sessions are then.

use libra_proto::registry::command::Kind;
use libra_proto::registry::*;
use libra_proto::types::{Change, NodeId};

use super::bench::*;
use super::nodes_bench::*;

/// The nodes, and six sessions spread over them by the registry itself.
fn spread(nodes: &[u64]) -> Bench {
    let mut bench = Bench::new(Mode::Isolated, 10);
    bench.done(put_settings(
        Settings {
            max_sessions: 100,
            ..settings(Mode::Isolated, 10)
        },
        1,
    ));
    bench.register(nodes);
    for n in 1..=6 {
        bench.done(create_anywhere(&format!("s{n}"), ENDPOINT));
    }
    bench
}

fn create_anywhere(session: &str, endpoint: &str) -> Kind {
    Kind::CreateSession(CreateSession {
        owner_node: 0,
        endpoint: endpoint.to_owned(),
        ..create_session(session, &format!("spark-{session}"))
    })
}

fn owners(bench: &Bench) -> Vec<u64> {
    let sessions = (1..=6).map(|n| bench.session(&format!("s{n}")));
    sessions.map(|session| session.owner_node).collect()
}

fn epochs(bench: &Bench) -> Vec<u64> {
    let sessions = (1..=6).map(|n| bench.session(&format!("s{n}")));
    sessions.map(|session| session.epoch).collect()
}

fn node_state(bench: &Bench, id: u64) -> NodeState {
    bench.registry.node(NodeId(id)).unwrap().state()
}

fn told_of(bench: &Bench, session: &str) -> bool {
    bench.changes.contains(&Change::Session(sid(session)))
}

#[test]
fn new_sessions_go_to_the_emptiest_node_that_is_up() {
    let mut bench = spread(&[1, 2, 3]);
    assert_eq!(owners(&bench), [1, 2, 3, 1, 2, 3]);
    bench.done(drain(1, true));
    assert_eq!(owners(&bench), [2, 2, 3, 3, 2, 3]);
    assert_eq!(
        bench.registry.placement(ENDPOINT, &[]),
        Some(NodeId(2)),
        "three each, the lowest id"
    );
    let unreachable = [Unreachable {
        node_id: 2,
        endpoint: ENDPOINT.to_owned(),
    }];
    let placed = |endpoint| bench.registry.placement(endpoint, &unreachable);
    assert_eq!(placed(ENDPOINT), Some(NodeId(3)));
    assert_eq!(placed("sc://other"), Some(NodeId(2)));
    let up: Vec<u64> = bench.registry.up_nodes().map(|node| node.node_id).collect();
    assert_eq!(up, [2, 3]);
    assert_eq!(bench.registry.session_load(NodeId(3)), 3);
}

#[test]
fn submits_that_make_their_session_place_it_too() {
    let mut bench = spread(&[1, 2]);
    let submit = Submit {
        create_if_missing: Some(CreateSession {
            owner_node: 0,
            ..create_session("s7", "spark-s7")
        }),
        ..submit_to("s7", "default", "op")
    };
    bench.done(Kind::Submit(submit.clone()));
    assert_eq!(bench.session("s7").owner_node, 1);
    bench.done(drain(1, true));
    bench.done(drain(2, true));
    let nowhere = Submit {
        session_id: "s8".to_owned(),
        operation_id: "op-8".to_owned(),
        create_if_missing: Some(CreateSession {
            owner_node: 0,
            ..create_session("s8", "spark-s8")
        }),
        ..submit
    };
    assert_eq!(bench.code(Kind::Submit(nowhere)), RejectionCode::NoNode);
}

#[test]
fn an_owner_that_is_named_must_be_up() {
    let mut bench = Bench::new(Mode::Isolated, 3);
    assert_eq!(
        bench.code(create_anywhere("x", ENDPOINT)),
        RejectionCode::NoNode
    );
    // A registry that knows no node takes anybody's word.
    bench.done(create("a", "spark-a"));
    bench.register(&[1, 2]);
    assert_eq!(bench.session("a").owner_node, 1);
    assert_eq!(bench.session("a").epoch, 1);
    let owned_by = |owner_node| {
        Kind::CreateSession(CreateSession {
            owner_node,
            ..create_session("b", "spark-b")
        })
    };
    assert_eq!(bench.code(owned_by(3)), RejectionCode::UnknownNode);
    bench.done(drain(2, true));
    assert_eq!(bench.code(owned_by(2)), RejectionCode::NoNode);
    bench.done(owned_by(1));
    assert_eq!(bench.session("b").owner_node, 1);
}

#[test]
fn a_registry_of_one_node_behaves_as_before() {
    let mut bench = spread(&[1]);
    assert_eq!(owners(&bench), [1; 6]);
    // Restarted: another boot.
    bench.done(register(1, "boot-1b"));
    assert_eq!(owners(&bench), [1; 6]);
    assert_eq!(epochs(&bench), [1; 6]);
    bench.done(close("s1"));
    bench.done(Kind::CreateSession(CreateSession {
        reopen: true,
        ..create_session("s1", "spark-new")
    }));
    assert_eq!(
        (bench.session("s1").owner_node, bench.session("s1").epoch),
        (1, 2)
    );
}

#[test]
fn the_sessions_of_a_dead_node_spread_evenly_over_the_living() {
    let mut bench = spread(&[1, 2, 3]);
    bench.open("t1", "spark-t1");
    bench.now = 5_000;
    assert!(bench.changed(down(1, "boot-1")));
    assert_eq!(owners(&bench), [2, 2, 3, 3, 2, 3]);
    assert_eq!(epochs(&bench), [2, 1, 1, 2, 1, 1]);
    assert!(told_of(&bench, "s1") && told_of(&bench, "s4") && told_of(&bench, "t1"));
    assert!(!told_of(&bench, "s2"));
    assert!(bench.changes.contains(&Change::Settings));
    let moved = bench.session("t1").clone();
    assert_eq!((moved.state(), moved.epoch), (SessionState::Open, 2));
    assert!(moved.incarnation.is_some(), "its Spark session goes on");
    assert_eq!(bench.session("s1").state(), SessionState::Starting);
    assert_eq!(bench.session("s1").spark_session_id, "spark-s1");
    let node = bench.registry.node(NodeId(1)).unwrap();
    assert_eq!(
        (node.state(), node.state_since_ms),
        (NodeState::Down, 5_000)
    );
    assert!(!bench.changed(down(1, "boot-1")), "once is enough");
    // What the old owner still says is of an epoch that is over.
    assert_eq!(
        bench.code(open("s1", 1, "spark-s1")),
        RejectionCode::StaleEpoch
    );
    bench.done(open("s1", 2, "spark-s1"));
}

#[test]
fn sessions_go_only_where_their_spark_is_reached_if_anywhere() {
    let mut bench = spread(&[1, 2, 3]);
    bench.done(create_anywhere("z-far", "sc://far"));
    assert_eq!(bench.session("z-far").owner_node, 1);
    let pair = |node_id| Unreachable {
        node_id,
        endpoint: ENDPOINT.to_owned(),
    };
    let down = |node_id: u64, unreachable| {
        Kind::NodeDown(NodeDown {
            node_id,
            boot_id: format!("boot-{node_id}"),
            unreachable,
        })
    };
    bench.done(down(1, vec![pair(3)]));
    assert_eq!(owners(&bench), [2, 2, 3, 2, 2, 3]);
    assert_eq!(bench.session("z-far").owner_node, 3, "another endpoint");
    bench.done(down(2, vec![pair(3), pair(9)]));
    assert_eq!(owners(&bench), [3; 6], "nobody reaches it: as if all did");
}

#[test]
fn a_node_that_started_anew_is_not_given_up_for_its_earlier_life() {
    let mut bench = spread(&[1, 2]);
    bench.done(register(1, "boot-1b"));
    assert_eq!(bench.code(down(1, "boot-1")), RejectionCode::StaleBoot);
    let drain_at = |boot: &str| {
        Kind::DrainNode(DrainNode {
            node_id: 1,
            boot_id: boot.to_owned(),
            draining: true,
            unreachable: Vec::new(),
        })
    };
    assert_eq!(bench.code(drain_at("boot-1")), RejectionCode::StaleBoot);
    assert_eq!(owners(&bench), [1, 2, 1, 2, 1, 2]);
    assert!(bench.changed(drain_at("boot-1b")));
    assert_eq!(owners(&bench), [2; 6]);
    assert_eq!(bench.code(down(9, "boot-9")), RejectionCode::UnknownNode);
    assert_eq!(bench.code(drain(9, true)), RejectionCode::UnknownNode);
}

#[test]
fn a_node_that_comes_back_is_up_and_gets_nothing_back() {
    let mut bench = spread(&[1, 2]);
    bench.done(down(1, "boot-1"));
    bench.now = 7_000;
    bench.done(register(1, "boot-1b"));
    assert_eq!(node_state(&bench, 1), NodeState::Up);
    assert_eq!(
        bench.registry.node(NodeId(1)).unwrap().state_since_ms,
        7_000
    );
    assert_eq!(owners(&bench), [2; 6]);
    bench.done(create_anywhere("s7", ENDPOINT));
    assert_eq!(bench.session("s7").owner_node, 1, "it has room");
    // Paused, not killed: the same process says so.
    bench.done(down(1, "boot-1b"));
    assert_eq!(bench.session("s7").owner_node, 2);
    assert!(bench.changed(register(1, "boot-1b")));
    assert_eq!(node_state(&bench, 1), NodeState::Up);
    assert!(!bench.changed(register(1, "boot-1b")));
}

#[test]
fn while_nobody_is_up_sessions_stay_and_then_they_move() {
    let mut bench = spread(&[1, 2]);
    bench.done(down(1, "boot-1"));
    bench.done(down(2, "boot-2"));
    assert_eq!(owners(&bench), [2; 6]);
    assert_eq!(
        epochs(&bench),
        [2, 1, 2, 1, 2, 1],
        "the second fall moved none"
    );
    let refused = bench.code(create_anywhere("s7", ENDPOINT));
    assert_eq!(refused, RejectionCode::NoNode);
    assert_eq!(bench.code(move_to("s1", 2, 0)), RejectionCode::NoNode);

    let mut own = Bench {
        registry: bench.registry.clone(),
        ..Bench::default()
    };
    own.done(register(2, "boot-2b"));
    assert_eq!(
        owners(&own),
        [2; 6],
        "the owner itself: they are still its own"
    );
    assert_eq!(epochs(&own), [2, 1, 2, 1, 2, 1]);

    bench.done(register(3, "boot-3"));
    assert_eq!(owners(&bench), [3; 6]);
    assert_eq!(epochs(&bench), [3, 2, 3, 2, 3, 2]);
    assert!(told_of(&bench, "s6"));
    bench.done(register(2, "boot-2b"));
    assert_eq!(owners(&bench), [3; 6]);
}

#[test]
fn a_restart_of_all_nodes_moves_nothing() {
    let mut bench = spread(&[1, 2, 3]);
    let before = (owners(&bench), epochs(&bench));
    for node in [3, 1] {
        bench.done(register(node, "boot-anew"));
    }
    assert_eq!((owners(&bench), epochs(&bench)), before);
    // One did not come back.
    bench.done(down(2, "boot-2"));
    assert_eq!(owners(&bench), [1, 1, 3, 1, 3, 3]);
}

#[test]
fn a_draining_node_gives_everything_up_and_takes_nothing() {
    let mut bench = spread(&[1, 2, 3]);
    assert!(bench.changed(drain(1, true)));
    assert_eq!(owners(&bench), [2, 2, 3, 3, 2, 3]);
    assert!(!bench.changed(drain(1, true)));
    // It says where it is, as it does now and then: it still drains.
    assert!(!bench.changed(register(1, "boot-1")));
    assert_eq!(node_state(&bench, 1), NodeState::Draining);
    assert!(bench.changed(drain(1, false)));
    assert_eq!(node_state(&bench, 1), NodeState::Up);
    assert_eq!(
        owners(&bench),
        [2, 2, 3, 3, 2, 3],
        "nothing comes back by itself"
    );
    assert!(!bench.changed(drain(1, false)));
    bench.done(drain(1, true));
    bench.done(register(1, "boot-1b"));
    assert_eq!(node_state(&bench, 1), NodeState::Up, "restarted");
    bench.done(down(1, "boot-1b"));
    assert!(!bench.changed(drain(1, true)));
    assert!(!bench.changed(drain(1, false)));
    assert_eq!(
        node_state(&bench, 1),
        NodeState::Down,
        "only its own word brings it back"
    );
}

#[test]
fn the_last_node_to_drain_keeps_its_sessions_until_another_is_up() {
    let mut bench = spread(&[1, 2]);
    bench.done(drain(1, true));
    bench.done(drain(2, true));
    assert_eq!(owners(&bench), [2; 6]);
    bench.done(drain(1, false));
    assert_eq!(owners(&bench), [1; 6]);
}

#[test]
fn a_removed_node_is_forgotten_and_may_come_again() {
    let mut bench = spread(&[1, 2]);
    assert!(bench.changed(remove(1)));
    assert_eq!(bench.registry.node(NodeId(1)), None);
    assert_eq!(owners(&bench), [2; 6]);
    assert!(!bench.changed(remove(1)));
    assert_eq!(bench.changes, []);
    bench.now = 9_000;
    bench.done(register(1, "boot-1"));
    assert_eq!(
        bench.registry.node(NodeId(1)).unwrap().registered_at_ms,
        9_000
    );
    bench.done(remove(1));
    bench.done(remove(2));
    assert_eq!(owners(&bench), [2; 6], "there is nobody to take them");
    bench.done(register(4, "boot-4"));
    assert_eq!(owners(&bench), [4; 6]);
}

#[test]
fn what_a_node_says_of_its_own_state_does_not_count() {
    let mut bench = spread(&[1, 2]);
    let told = NodeRecord {
        state: NodeState::Down.into(),
        state_since_ms: 3,
        registered_at_ms: 3,
        ..node(3, "boot-3")
    };
    bench.now = 4_000;
    bench.done(Kind::RegisterNode(RegisterNode { node: Some(told) }));
    let known = bench.registry.node(NodeId(3)).unwrap();
    assert_eq!(known.state(), NodeState::Up);
    assert_eq!(
        (known.registered_at_ms, known.state_since_ms),
        (4_000, 4_000)
    );
}

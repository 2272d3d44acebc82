//! Every finding, made from a healthy cluster by one change.

use libra_proto::admin::{
    Build, ClusterStatusResponse, ComponentDiagnosis, DiagnoseResponse, DiskDiagnosis,
    EndpointDiagnosis, FsyncDiagnosis, LeaseDiagnosis, Node, NodeRole, NodeState, PluginState,
    RaftDiagnosis, Reachable, SettingDiagnosis, Totals,
};

use super::{Check, Facts, Severity, judge, listed};
use crate::cli::admin::doctor::facts::{Clock, NodeFacts, Said};

const GIB: u64 = 1 << 30;

fn diagnosis(node_id: u64) -> DiagnoseResponse {
    DiagnoseResponse {
        node_id,
        build: Some(Build {
            version: "0.1.0".to_owned(),
            feature_level: 3,
            ..Build::default()
        }),
        raft: Some(RaftDiagnosis {
            role: if node_id == 1 { "leader" } else { "follower" }.to_owned(),
            leader: 1,
            term: 7,
            formation: "member".to_owned(),
            ..RaftDiagnosis::default()
        }),
        disk: Some(DiskDiagnosis {
            data_dir: "/var/lib/libra".to_owned(),
            total_bytes: 100 * GIB,
            free_bytes: 50 * GIB,
            min_free_bytes: GIB,
            full: false,
        }),
        fsync: Some(FsyncDiagnosis {
            samples: 1_000,
            p50_us: 300,
            p99_us: 1_200,
            max_us: 9_000,
            total: 5_000,
        }),
        lease: Some(LeaseDiagnosis {
            needed: true,
            held: true,
            left_ms: 1_000,
            length_ms: 1_200,
        }),
        endpoints: vec![EndpointDiagnosis {
            name: "sc://spark:15002".to_owned(),
            reachable: Reachable::Yes.into(),
            spark_versions: vec!["4.3.0".to_owned()],
            pool_interceptor: PluginState::Loaded.into(),
            remembers_operations: Some(true),
            ..EndpointDiagnosis::default()
        }],
        settings: vec![SettingDiagnosis {
            key: "libra.session.mode".to_owned(),
            in_force: "SHARED".to_owned(),
            configured: "SHARED".to_owned(),
            differs: false,
        }],
        ready: true,
        ..DiagnoseResponse::default()
    }
}

fn node(node_id: u64) -> NodeFacts {
    let role = if node_id == 1 {
        NodeRole::Leader
    } else {
        NodeRole::Follower
    };
    let known = Node {
        node_id,
        role: role.into(),
        state: NodeState::Up.into(),
        grpc: format!("host-{node_id}:9090"),
        voter: true,
        lag: Some(0),
        ..Node::default()
    };
    let clock = Clock {
        ahead_ms: 20,
        unsure_ms: 2,
    };
    let diagnosis = Box::new(diagnosis(node_id));
    let said = Said::Direct { diagnosis, clock };
    NodeFacts { known, said }
}

fn healthy(nodes: u64) -> Facts {
    Facts {
        cluster: ClusterStatusResponse {
            cluster_name: "prod".to_owned(),
            node_id: 1,
            leader: 1,
            term: 7,
            feature_level: 3,
            totals: Some(Totals {
                live_sessions: 3,
                max_sessions: 10,
                ..Totals::default()
            }),
            from_leader: true,
            ..ClusterStatusResponse::default()
        },
        nodes: (1..=nodes).map(node).collect(),
    }
}

/// What the last node says, to be changed.
fn said(facts: &mut Facts) -> &mut DiagnoseResponse {
    match &mut facts.nodes.last_mut().unwrap().said {
        Said::Direct { diagnosis, .. } | Said::Relayed { diagnosis, .. } => diagnosis,
        Said::Nothing { .. } => panic!("it says something"),
    }
}

fn known(facts: &mut Facts) -> &mut Node {
    &mut facts.nodes.last_mut().unwrap().known
}

fn silent(facts: &mut Facts, node: usize) {
    let why = "Connection refused".to_owned();
    facts.nodes[node].said = Said::Nothing { why };
}

fn endpoint(facts: &mut Facts) -> &mut EndpointDiagnosis {
    &mut said(facts).endpoints[0]
}

fn of_all(facts: &mut Facts, mut change: impl FnMut(&mut DiagnoseResponse)) {
    for node in &mut facts.nodes {
        if let Said::Direct { diagnosis, .. } = &mut node.said {
            change(diagnosis);
        }
    }
}

/// What is found of three nodes, the last of which was changed: check, severity, node, and a part
/// of what is said.
type Expected = &'static [(Check, Severity, Option<u64>, &'static str)];

#[track_caller]
fn assert_found(what: &str, facts: &Facts, expected: Expected) {
    let found = judge(facts);
    let short: Vec<_> = found
        .iter()
        .map(|it| (it.check, it.severity, it.node))
        .collect();
    let wanted: Vec<_> = expected.iter().map(|it| (it.0, it.1, it.2)).collect();
    assert_eq!(short, wanted, "{what}: {found:#?}");
    for (found, (_, _, _, part)) in found.iter().zip(expected) {
        assert!(found.what.contains(part), "{what}: {}", found.what);
        assert!(!found.next.is_empty(), "{what}: no next step");
        assert!(
            !found.what.ends_with('.') && !found.next.ends_with('.'),
            "{what}"
        );
    }
}

#[test]
fn a_healthy_cluster_has_no_findings() {
    for nodes in [3, 5] {
        assert_found("healthy", &healthy(nodes), &[]);
    }
}

type Change = fn(&mut Facts);

use Check::*;
use Severity::{Note, Problem, Warning};

/// One row: what is changed in a healthy cluster of three, and all that is found then.
const ROWS: &[(&str, Change, Expected)] = &[
    (
        "a node is dead",
        |facts| {
            silent(facts, 2);
            known(facts).set_state(NodeState::Down);
        },
        &[
            (
                Nodes,
                Problem,
                Some(3),
                "it does not answer, neither from here",
            ),
            (
                Quorum,
                Problem,
                None,
                "2 of 3 voters work: one more that fails",
            ),
        ],
    ),
    (
        "most nodes are dead",
        |facts| {
            silent(facts, 2);
            silent(facts, 1);
        },
        &[
            (Nodes, Problem, Some(2), "does not answer"),
            (Nodes, Problem, Some(3), "does not answer"),
            (
                Quorum,
                Problem,
                None,
                "only 1 of 3 voters work, 2 are needed",
            ),
        ],
    ),
    (
        "a node is reached by the others only",
        |facts| {
            facts.nodes[2].said = Said::Relayed {
                diagnosis: Box::new(diagnosis(3)),
                why: "Connection refused".to_owned(),
            };
        },
        &[(
            Nodes,
            Note,
            Some(3),
            "cannot be asked from here at host-3:9090",
        )],
    ),
    (
        "a node was added and never started",
        |facts| {
            silent(facts, 2);
            let node = known(facts);
            node.set_state(NodeState::Unregistered);
            node.voter = false;
        },
        &[
            (Nodes, Warning, Some(3), "added, and never heard of"),
            (Quorum, Warning, None, "there are 2 voters"),
        ],
    ),
    (
        "a node that was removed is remembered",
        |facts| {
            facts.nodes.push(node(4));
            silent(facts, 3);
            let node = known(facts);
            node.set_role(NodeRole::None);
            node.voter = false;
        },
        &[(Nodes, Note, Some(4), "is in no group")],
    ),
    (
        "a node answers and is down",
        |facts| known(facts).set_state(NodeState::Down),
        &[(Nodes, Problem, Some(3), "it answers, and its lease is over")],
    ),
    (
        "a node is suspect",
        |facts| known(facts).set_state(NodeState::Suspect),
        &[(Nodes, Warning, Some(3), "has not heard of it")],
    ),
    (
        "a node is draining, which is why it is not ready",
        |facts| {
            known(facts).set_state(NodeState::Draining);
            said(facts).ready = false;
        },
        &[(Nodes, Note, Some(3), "it is draining")],
    ),
    (
        "a learner could vote",
        |facts| {
            facts.nodes.push(node(4));
            let node = known(facts);
            node.set_role(NodeRole::Learner);
            node.voter = false;
        },
        &[(Nodes, Note, Some(4), "has caught up, and has no vote")],
    ),
    (
        "a node is not ready and says why",
        |facts| {
            said(facts).ready = false;
            said(facts).not_ready_reason = "no read index".to_owned();
        },
        &[(Nodes, Problem, Some(3), "it is not ready: no read index")],
    ),
    (
        "a node is not ready and a component of it is down",
        |facts| {
            said(facts).ready = false;
            said(facts).components = vec![ComponentDiagnosis {
                name: "disk".to_owned(),
                ..ComponentDiagnosis::default()
            }];
        },
        &[(Nodes, Problem, Some(3), "it is not ready: down is disk")],
    ),
    (
        "a node's log has stopped",
        |facts| said(facts).raft.as_mut().unwrap().failure = "fsync failed".to_owned(),
        &[
            (Nodes, Problem, Some(3), "has stopped: fsync failed"),
            (Quorum, Problem, None, "2 of 3 voters work"),
        ],
    ),
    (
        "a node is refused by the group",
        |facts| said(facts).raft.as_mut().unwrap().formation = "removed from its group".to_owned(),
        &[(
            Nodes,
            Problem,
            Some(3),
            "no member of the group: removed from its group",
        )],
    ),
    (
        "two of five are dead",
        |facts| {
            *facts = healthy(5);
            silent(facts, 4);
            silent(facts, 3);
        },
        &[
            (Nodes, Problem, Some(4), "does not answer"),
            (Nodes, Problem, Some(5), "does not answer"),
            (Quorum, Problem, None, "3 of 5 voters work: one more"),
        ],
    ),
    (
        "one of five is dead",
        |facts| {
            *facts = healthy(5);
            silent(facts, 4);
        },
        &[
            (Nodes, Problem, Some(5), "does not answer"),
            (Quorum, Warning, None, "4 of 5 voters work; missing: node 5"),
        ],
    ),
    (
        "four voters",
        |facts| *facts = healthy(4),
        &[(Quorum, Warning, None, "there are 4 voters")],
    ),
    (
        "one node",
        |facts| *facts = healthy(1),
        &[(Quorum, Note, None, "the cluster has one voter")],
    ),
    (
        "nobody leads",
        |facts| {
            facts.cluster.leader = 0;
            of_all(facts, |said| said.raft.as_mut().unwrap().leader = 0);
        },
        &[(Leader, Problem, None, "no node leads")],
    ),
    (
        "a node names another leader",
        |facts| said(facts).raft.as_mut().unwrap().leader = 2,
        &[(Leader, Warning, None, "node 1 and 2 node 1, node 3 node 2")],
    ),
    (
        "a node names none",
        |facts| said(facts).raft.as_mut().unwrap().leader = 0,
        &[(Leader, Warning, None, "node 3 none, node 1 and 2 node 1")],
    ),
    (
        "a node lags",
        |facts| known(facts).lag = Some(1_001),
        &[(Lag, Warning, Some(3), "it lacks 1001 log entries")],
    ),
    (
        "a node lags far",
        |facts| known(facts).lag = Some(10_001),
        &[(Lag, Problem, Some(3), "it lacks 10001 log entries")],
    ),
    (
        "a node has no lease",
        |facts| said(facts).lease.as_mut().unwrap().held = false,
        &[(Leases, Problem, Some(3), "it holds no lease")],
    ),
    (
        "a disk is full",
        |facts| said(facts).disk.as_mut().unwrap().full = true,
        &[(
            Disk,
            Problem,
            Some(3),
            "its disk is full: 51200 MiB of 102400 MiB",
        )],
    ),
    (
        "a disk has less than it must",
        |facts| said(facts).disk.as_mut().unwrap().free_bytes = GIB - 1,
        &[(Disk, Problem, Some(3), "its disk is full")],
    ),
    (
        "a disk is nearly full",
        |facts| said(facts).disk.as_mut().unwrap().free_bytes = 9 * GIB,
        &[(
            Disk,
            Warning,
            Some(3),
            "nearly full: 9216 MiB of 102400 MiB",
        )],
    ),
    (
        "a disk is near what it must have",
        |facts| {
            let disk = said(facts).disk.as_mut().unwrap();
            (disk.free_bytes, disk.min_free_bytes) = (50 * GIB, 26 * GIB);
        },
        &[(
            Disk,
            Warning,
            Some(3),
            "below 26624 MiB nothing is accepted",
        )],
    ),
    (
        "a disk is slow",
        |facts| said(facts).fsync.as_mut().unwrap().p99_us = 120_000,
        &[(
            Fsync,
            Warning,
            Some(3),
            "took longer than 120 ms, the longest 9 ms",
        )],
    ),
    (
        "a disk is very slow",
        |facts| said(facts).fsync.as_mut().unwrap().p99_us = 400_000,
        &[(Fsync, Problem, Some(3), "took longer than 400 ms")],
    ),
    (
        "a disk that nothing was measured of",
        |facts| said(facts).fsync.as_mut().unwrap().samples = 0,
        &[],
    ),
    (
        "a clock is ahead",
        |facts| clock_of_last(facts, 1_020, 2),
        &[(
            Clocks,
            Warning,
            None,
            "the clock of node 3 is 1000 ms ahead of that of node 1",
        )],
    ),
    (
        "a clock is far behind",
        |facts| clock_of_last(facts, -6_000, 2),
        &[(
            Clocks,
            Problem,
            None,
            "of node 2 is 6020 ms ahead of that of node 3",
        )],
    ),
    (
        "a slow call proves nothing",
        |facts| clock_of_last(facts, 1_020, 700),
        &[],
    ),
    (
        "a node has another version",
        |facts| said(facts).build.as_mut().unwrap().version = "0.2.0".to_owned(),
        &[(
            Versions,
            Warning,
            None,
            "0.1.0 (feature level 3) on node 1 and 2 and 0.2.0 (feature level 3) on node 3",
        )],
    ),
    (
        "a node is too old",
        |facts| said(facts).build.as_mut().unwrap().feature_level = 2,
        &[
            (
                Versions,
                Problem,
                Some(3),
                "does not understand feature level 3",
            ),
            (Versions, Warning, None, "nodes run different versions"),
        ],
    ),
    (
        "a node runs a build for tests",
        |facts| said(facts).build.as_mut().unwrap().for_tests = true,
        &[(Versions, Warning, Some(3), "a build for tests")],
    ),
    (
        "one node does not reach Spark",
        |facts| endpoint(facts).set_reachable(Reachable::No),
        &[(
            Spark,
            Warning,
            None,
            "node 3 does not reach sc://spark:15002, others do",
        )],
    ),
    (
        "no node reaches Spark",
        |facts| of_all(facts, |said| said.endpoints[0].set_reachable(Reachable::No)),
        &[(Spark, Problem, None, "no node reaches sc://spark:15002")],
    ),
    (
        "nobody has tried Spark yet",
        |facts| {
            of_all(facts, |said| {
                said.endpoints[0].set_reachable(Reachable::Unknown)
            })
        },
        &[],
    ),
    (
        "Spark was updated",
        |facts| endpoint(facts).spark_versions.push("4.4.0".to_owned()),
        &[(Spark, Note, None, "were opened in Spark 4.3.0 and 4.4.0")],
    ),
    (
        "an engine without memory",
        |facts| endpoint(facts).remembers_operations = Some(false),
        &[(Spark, Note, None, "at most once")],
    ),
    (
        "a node has other endpoints",
        |facts| endpoint(facts).name = "sc://other:15002".to_owned(),
        &[
            (
                Settings,
                Warning,
                None,
                "sc://other:15002 is not among the endpoints of node 1 and 2",
            ),
            (
                Settings,
                Warning,
                None,
                "sc://spark:15002 is not among the endpoints of node 3",
            ),
        ],
    ),
    (
        "the plugin is missing",
        |facts| endpoint(facts).set_pool_interceptor(PluginState::Missing),
        &[(
            Plugin,
            Warning,
            None,
            "the pool plugin is not loaded in sc://spark:15002",
        )],
    ),
    (
        "nobody knows of the plugin",
        |facts| {
            of_all(facts, |said| {
                said.endpoints[0].set_pool_interceptor(PluginState::Unknown);
            });
        },
        &[(Plugin, Note, None, "nobody knows yet")],
    ),
    (
        "a node knows of the plugin, others do not",
        |facts| endpoint(facts).set_pool_interceptor(PluginState::Unknown),
        &[],
    ),
    (
        "a setting differs",
        |facts| {
            let setting = &mut said(facts).settings[0];
            (setting.configured, setting.differs) = ("ISOLATED".to_owned(), true);
        },
        &[(
            Settings,
            Warning,
            Some(3),
            "libra.session.mode is ISOLATED there, and SHARED",
        )],
    ),
    (
        "sessions are nearly used up",
        |facts| facts.cluster.totals.as_mut().unwrap().live_sessions = 9,
        &[(
            Limits,
            Warning,
            None,
            "9 of 10 sessions are in use: beyond it",
        )],
    ),
    (
        "sessions are used up",
        |facts| facts.cluster.totals.as_mut().unwrap().live_sessions = 10,
        &[(
            Limits,
            Problem,
            None,
            "10 of 10 sessions are in use: a new one is refused",
        )],
    ),
    (
        "the one shared session is no limit",
        |facts| {
            let totals = facts.cluster.totals.as_mut().unwrap();
            (totals.live_sessions, totals.max_sessions) = (1, 1);
        },
        &[],
    ),
    (
        "slots are held",
        |facts| facts.cluster.totals.as_mut().unwrap().cleanups = 2,
        &[(Limits, Warning, None, "2 slots are held")],
    ),
];

fn clock_of_last(facts: &mut Facts, ahead_ms: i64, unsure_ms: i64) {
    if let Said::Direct { clock, .. } = &mut facts.nodes[2].said {
        *clock = Clock {
            ahead_ms,
            unsure_ms,
        };
    }
}

#[test]
fn each_trouble_is_found_and_nothing_else() {
    for (what, change, expected) in ROWS {
        let mut facts = healthy(3);
        change(&mut facts);
        assert_found(what, &facts, expected);
    }
}

#[test]
fn no_check_is_without_a_row() {
    for check in Check::ALL {
        let named = ROWS.iter().flat_map(|(_, _, expected)| *expected);
        assert!(named.map(|row| row.0).any(|it| it == check), "{check:?}");
    }
}

#[test]
fn the_worst_is_said_first() {
    let mut facts = healthy(4);
    silent(&mut facts, 3);
    let severities: Vec<_> = judge(&facts).iter().map(|it| it.severity).collect();
    assert!(severities.is_sorted_by(|a, b| a >= b), "{severities:?}");
}

#[test]
fn lists_read_as_sentences() {
    assert_eq!(listed([1]), "1");
    assert_eq!(listed([1, 2]), "1 and 2");
    assert_eq!(listed([1, 2, 3]), "1, 2 and 3");
}

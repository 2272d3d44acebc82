//! Every finding, made from a healthy cluster by one change.

mod cluster;
mod nodes;
mod spark;

use libra_proto::admin::{
    Build, ClusterStatusResponse, DiagnoseResponse, DiskDiagnosis, EndpointDiagnosis,
    FsyncDiagnosis, LeaseDiagnosis, Node, NodeRole, NodeState, PluginState, RaftDiagnosis,
    Reachable, SettingDiagnosis, Totals,
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

/// What is changed in a healthy cluster of three, and all that is found then.
type Row = (&'static str, fn(&mut Facts), Expected);

fn clock_of_last(facts: &mut Facts, ahead_ms: i64, unsure_ms: i64) {
    if let Said::Direct { clock, .. } = &mut facts.nodes[2].said {
        *clock = Clock {
            ahead_ms,
            unsure_ms,
        };
    }
}

fn rows() -> impl Iterator<Item = &'static Row> {
    [cluster::ROWS, nodes::ROWS, spark::ROWS]
        .into_iter()
        .flatten()
}

#[test]
fn each_trouble_is_found_and_nothing_else() {
    for (what, change, expected) in rows() {
        let mut facts = healthy(3);
        change(&mut facts);
        assert_found(what, &facts, expected);
    }
}

#[test]
fn no_check_is_without_a_row() {
    for check in Check::ALL {
        let named = rows().flat_map(|(_, _, expected)| *expected);
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

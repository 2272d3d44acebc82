//! Samples of the on-disk form that came with the cluster: nodes with states, moves, replicas,
//! request ids, leader terms, and places in traces.

use libra_proto::registry::command::Kind;
use libra_proto::registry::snapshot_record::Entity;
use libra_proto::registry::*;

use super::bench::*;
use super::form::{command, full_manifest, full_node, full_settings, full_statement, full_submit};
use super::nodes_bench::*;

const TRACEPARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn node_with_state() -> NodeRecord {
    NodeRecord {
        feature_level: 1,
        state: NodeState::Draining.into(),
        state_since_ms: 9,
        ..full_node()
    }
}

fn settings_with_replicas() -> Settings {
    Settings {
        result_replicas: 2,
        ..full_settings()
    }
}

fn traced_submit() -> Submit {
    Submit {
        traceparent: TRACEPARENT.to_owned(),
        tracestate: "vendor=1".to_owned(),
        ..full_submit()
    }
}

fn unreachable() -> Vec<Unreachable> {
    vec![Unreachable {
        node_id: 3,
        endpoint: ENDPOINT.to_owned(),
    }]
}

fn kinds() -> Vec<(&'static str, Kind)> {
    let node_down = NodeDown {
        node_id: 2,
        boot_id: "boot".to_owned(),
        unreachable: unreachable(),
    };
    let drain = DrainNode {
        node_id: 2,
        boot_id: "boot".to_owned(),
        draining: true,
        unreachable: unreachable(),
    };
    let register = RegisterNode {
        node: Some(node_with_state()),
    };
    let holders = PutHolders {
        job: 1,
        file_hash: u64::MAX,
        holders: full_manifest().holders,
    };
    let not_stored = MoveSession {
        session_id: "a".to_owned(),
        epoch: 2,
        to_node: 3,
        not_stored: 300,
        ..MoveSession::default()
    };
    vec![
        ("register-node-with-state", Kind::RegisterNode(register)),
        (
            "put-settings-with-replicas",
            put_settings(settings_with_replicas(), 3),
        ),
        ("node-down", Kind::NodeDown(node_down)),
        ("drain-node", Kind::DrainNode(drain)),
        ("remove-node", remove(2)),
        ("raise-feature-level", raise(2)),
        ("move-session", move_to("a", 2, 3)),
        ("move-session-not-stored", Kind::MoveSession(not_stored)),
        ("put-replicas", put_replicas(1, 2, &[3, 300])),
        ("put-holders", Kind::PutHolders(holders)),
        ("submit-of-a-trace", Kind::Submit(traced_submit())),
    ]
}

pub(super) fn commands() -> Vec<(&'static str, Command)> {
    let by_the_leader = Command {
        leader_term: 7,
        request_id: (1..=16).collect(),
        ..command(start(&[1, 300]))
    };
    let kinds = kinds().into_iter();
    kinds
        .map(|(name, kind)| (name, command(kind)))
        .chain([("start-batch-of-a-term", by_the_leader)])
        .collect()
}

pub(super) fn entities() -> Vec<(&'static str, Entity)> {
    let header = SnapshotHeader {
        applied_index: 1,
        applied_term: 2,
        clock_ms: 3,
        next_job: 4,
        feature_level: 1,
        settings: Some(settings_with_replicas()),
        epoch_floor: 6,
    };
    let statement = StatementRecord {
        replicas: vec![3, 300],
        ..full_statement()
    };
    let traced_statement = StatementRecord {
        traceparent: TRACEPARENT.to_owned(),
        tracestate: "vendor=1".to_owned(),
        ..full_statement()
    };
    let not_stored = StatementRecord {
        not_stored_on: vec![3, 300],
        ..full_statement()
    };
    let request = RequestRecord {
        request_id: (1..=16).collect(),
        index: 1,
        applied: Some(Applied {
            result: Some(applied::Result::Pool(pool("p", 3))),
        }),
    };
    vec![
        ("snapshot-header-with-replicas", Entity::Header(header)),
        ("snapshot-node-with-state", Entity::Node(node_with_state())),
        (
            "snapshot-statement-with-replicas",
            Entity::Statement(statement),
        ),
        (
            "snapshot-statement-not-stored",
            Entity::Statement(not_stored),
        ),
        ("snapshot-request", Entity::Request(request)),
        (
            "snapshot-statement-of-a-trace",
            Entity::Statement(traced_statement),
        ),
    ]
}

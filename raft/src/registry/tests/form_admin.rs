//! Samples of the on-disk form that came with the operator's service: paused pools, batches of
//! cancels, the leader's note, and backups that are taken in.

use libra_proto::registry::command::Kind;
use libra_proto::registry::snapshot_record::Entity;
use libra_proto::registry::*;

use super::bench::*;
use super::form::{command, full_node};

fn paused() -> PoolRecord {
    PoolRecord {
        paused: true,
        ..pool("p", 3)
    }
}

fn node_with_version() -> NodeRecord {
    NodeRecord {
        version: "0.1.0".to_owned(),
        ..full_node()
    }
}

fn unreachable() -> Vec<Unreachable> {
    vec![Unreachable {
        node_id: 3,
        endpoint: ENDPOINT.to_owned(),
    }]
}

fn some_records() -> Vec<SnapshotRecord> {
    vec![SnapshotRecord {
        entity: Some(Entity::Pool(paused())),
    }]
}

pub(super) fn commands() -> Vec<(&'static str, Command)> {
    let restore_id = || "r".to_owned();
    let kinds = [
        (
            "register-node-with-version",
            Kind::RegisterNode(RegisterNode {
                node: Some(node_with_version()),
            }),
        ),
        (
            "pause-pool",
            Kind::PausePool(PausePool {
                name: "p".to_owned(),
                paused: true,
            }),
        ),
        (
            "move-session-with-unreachable",
            Kind::MoveSession(MoveSession {
                session_id: "a".to_owned(),
                epoch: 2,
                to_node: 3,
                unreachable: unreachable(),
                not_stored: 0,
            }),
        ),
        (
            "cancel-batch",
            Kind::CancelBatch(CancelBatch { jobs: vec![1, 300] }),
        ),
        ("note-leader", Kind::NoteLeader(NoteLeader {})),
        (
            "restore-begin",
            Kind::RestoreBegin(RestoreBegin {
                restore_id: restore_id(),
                feature_level: 1,
            }),
        ),
        (
            "restore-part",
            Kind::RestorePart(RestorePart {
                restore_id: restore_id(),
                position: 2,
                records: some_records(),
            }),
        ),
        (
            "restore-end",
            Kind::RestoreEnd(RestoreEnd {
                restore_id: restore_id(),
                parts: 3,
                abandon: true,
                endpoints: vec![ENDPOINT.to_owned()],
                unreachable: unreachable(),
                seed: (1..=16).collect(),
                cluster_name: "c".to_owned(),
            }),
        ),
    ];
    kinds
        .into_iter()
        .map(|(name, kind)| (name, command(kind)))
        .collect()
}

pub(super) fn entities() -> Vec<(&'static str, Entity)> {
    let staged = StagedPart {
        restore_id: "r".to_owned(),
        position: 1,
        parts: 2,
        records: some_records(),
    };
    vec![
        ("snapshot-pool-paused", Entity::Pool(paused())),
        (
            "snapshot-node-with-version",
            Entity::Node(node_with_version()),
        ),
        ("snapshot-staged", Entity::Staged(staged)),
    ]
}

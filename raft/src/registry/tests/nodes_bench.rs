//! Commands about nodes, moves and copies, for tests.

use libra_proto::registry::command::Kind;
use libra_proto::registry::*;

pub(super) fn node(id: u64, boot: &str) -> NodeRecord {
    NodeRecord {
        node_id: id,
        http: format!("h:{id}"),
        grpc: format!("g:{id}"),
        store_uuid: format!("store-{id}"),
        boot_id: boot.to_owned(),
        feature_level: 1,
        ..NodeRecord::default()
    }
}

pub(super) fn register(id: u64, boot: &str) -> Kind {
    Kind::RegisterNode(RegisterNode {
        node: Some(node(id, boot)),
    })
}

pub(super) fn down(id: u64, boot: &str) -> Kind {
    Kind::NodeDown(NodeDown {
        node_id: id,
        boot_id: boot.to_owned(),
        unreachable: Vec::new(),
    })
}

pub(super) fn drain(id: u64, draining: bool) -> Kind {
    Kind::DrainNode(DrainNode {
        node_id: id,
        draining,
        ..DrainNode::default()
    })
}

pub(super) fn remove(id: u64) -> Kind {
    Kind::RemoveNode(RemoveNode { node_id: id })
}

pub(super) fn raise(level: u32) -> Kind {
    Kind::RaiseFeatureLevel(RaiseFeatureLevel { level })
}

pub(super) fn move_to(session: &str, epoch: u64, to_node: u64) -> Kind {
    Kind::MoveSession(MoveSession {
        session_id: session.to_owned(),
        epoch,
        to_node,
        ..MoveSession::default()
    })
}

pub(super) fn put_replicas(job: u64, epoch: u64, replicas: &[u64]) -> Kind {
    Kind::PutReplicas(PutReplicas {
        job,
        epoch,
        replicas: replicas.to_vec(),
    })
}

/// Holders with store `store-<id>`.
pub(super) fn holders(nodes: &[u64]) -> Vec<Holder> {
    let holder = |node: &u64| Holder {
        node_id: *node,
        store_uuid: format!("store-{node}"),
    };
    nodes.iter().map(holder).collect()
}

pub(super) fn put_holders(job: u64, file_hash: u64, nodes: &[u64]) -> Kind {
    Kind::PutHolders(PutHolders {
        job,
        file_hash,
        holders: holders(nodes),
    })
}

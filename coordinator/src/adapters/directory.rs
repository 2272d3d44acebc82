//! Who is in the cluster, by the registry as it is applied here.

use libra_proto::registry::{NodeRecord, NodeState};
use libra_proto::types::NodeId;
use libra_raft::Handle;

use crate::peer::{PeerDirectory, PeerNode};

/// The registered nodes.
#[derive(Debug)]
pub struct RegisteredNodes(Handle);

impl RegisteredNodes {
    /// Those of this registry.
    #[must_use]
    pub fn new(handle: Handle) -> Self {
        Self(handle)
    }
}

impl PeerDirectory for RegisteredNodes {
    fn node(&self, id: NodeId) -> Option<PeerNode> {
        self.0.view(|registry| registry.node(id).map(peer))
    }

    fn nodes(&self) -> Vec<PeerNode> {
        let alive = |node: &&NodeRecord| node.state() != NodeState::Down;
        self.0
            .view(|registry| registry.nodes().filter(alive).map(peer).collect())
    }
}

fn peer(node: &NodeRecord) -> PeerNode {
    PeerNode {
        node_id: NodeId(node.node_id),
        address: node.grpc.clone(),
        store_uuid: node.store_uuid.clone(),
    }
}

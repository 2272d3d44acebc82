//! Who is in the cluster, by the registry's records of nodes.
//!
//! **Invariant:** read from what is applied here, never waited for.

use std::fmt::{self, Debug, Formatter};

use libra_proto::registry::{NodeRecord, NodeState};
use libra_proto::types::NodeId;

use super::{PeerDirectory, PeerNode};

/// The nodes that a closure reads from the registry.
pub struct Records<F>(pub F);

impl<F> Debug for Records<F> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Records").finish_non_exhaustive()
    }
}

impl<F: Fn() -> Vec<NodeRecord> + Send + Sync + 'static> PeerDirectory for Records<F> {
    fn node(&self, id: NodeId) -> Option<PeerNode> {
        let record = (self.0)().into_iter().find(|node| node.node_id == id.0)?;
        Some(peer(record))
    }

    fn nodes(&self) -> Vec<PeerNode> {
        let up = |node: &NodeRecord| match node.state() {
            NodeState::Unspecified | NodeState::Up | NodeState::Draining => true,
            NodeState::Down => false,
        };
        (self.0)().into_iter().filter(up).map(peer).collect()
    }
}

fn peer(record: NodeRecord) -> PeerNode {
    PeerNode {
        node_id: NodeId(record.node_id),
        address: record.grpc,
        store_uuid: record.store_uuid,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_down_is_known_but_not_among_the_others() {
        let record = |node_id, state: NodeState| NodeRecord {
            node_id,
            grpc: format!("10.0.0.{node_id}:7000"),
            store_uuid: format!("uuid-{node_id}"),
            state: state.into(),
            ..NodeRecord::default()
        };
        let states = [
            (1, NodeState::Unspecified),
            (2, NodeState::Up),
            (3, NodeState::Down),
            (4, NodeState::Draining),
        ];
        let directory = Records(move || states.map(|(id, state)| record(id, state)).to_vec());
        let nodes = directory.nodes().into_iter().map(|node| node.node_id.0);
        assert_eq!(nodes.collect::<Vec<_>>(), [1, 2, 4]);
        assert_eq!(directory.node(NodeId(3)).unwrap().address, "10.0.0.3:7000");
        assert_eq!(directory.node(NodeId(5)), None);
    }
}

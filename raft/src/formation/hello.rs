//! Who a node says it is, and with whom it will have nothing to do.

use libra_proto::raft as wire;
use openraft::async_runtime::WatchReceiver;
use xxhash_rust::xxh3::Xxh3;

use crate::handle::Inner;
use crate::network::peers::Identity;
use crate::options::Options;
use crate::store::codec::stored_membership_to_disk;
use crate::type_config::StoredMembership;

/// Equal for nodes that are configured with the same peers.
pub(crate) fn peers_hash(options: &Options) -> u64 {
    let mut hasher = Xxh3::new();
    for (id, address) in &options.peers {
        hasher.update(&id.0.to_le_bytes());
        hasher.update(&(address.len() as u64).to_le_bytes());
        hasher.update(address.as_bytes());
    }
    hasher.digest()
}

/// Why a node will have nothing to do with the one that asks; empty if it will.
fn refusal(me: &Identity, asker: &wire::HelloRequest) -> String {
    if asker.cluster_name != me.cluster_name {
        return format!(
            "it is in cluster `{}`, not in `{}`: correct the cluster's name or the peers",
            me.cluster_name, asker.cluster_name
        );
    }
    if asker.to_node != 0 && asker.to_node != me.node_id.0 {
        return format!(
            "at `{}` is node {}, not node {}: correct the peers",
            me.address, me.node_id, asker.to_node
        );
    }
    if asker.store_uuid == me.store_uuid {
        return String::new();
    }
    if asker.node_id == me.node_id.0 {
        return format!(
            "id {} is that of the node at `{}`: give this node an id of its own",
            me.node_id, me.address
        );
    }
    if asker.address == me.address {
        return format!(
            "node {} has the address `{}` of node {}",
            asker.node_id, me.address, me.node_id
        );
    }
    String::new()
}

/// Whether a node may tell this one how its group is: only a member of it, with its very store, may.
/// Whoever else is found at a member's address may be of any other group.
pub(super) fn is_of_group(
    me: &Identity,
    group: &StoredMembership,
    told: &wire::HelloResponse,
) -> bool {
    let known = group.get_node(&told.node_id);
    let is_member =
        known.is_some_and(|peer| peer.store_uuid.is_empty() || peer.store_uuid == told.store_uuid);
    is_member && told.refused.is_empty() && told.cluster_name == me.cluster_name
}

impl Inner {
    /// What this node says when it asks another who it is.
    pub(crate) fn hello_request(&self, to_node: u64) -> wire::HelloRequest {
        let me = &self.peers.me;
        wire::HelloRequest {
            cluster_name: me.cluster_name.clone(),
            node_id: me.node_id.0,
            store_uuid: me.store_uuid.clone(),
            address: me.address.clone(),
            peers_hash: self.peers_hash,
            to_node,
        }
    }

    /// What this node answers when it is asked.
    pub(crate) fn answer_hello(&self, asker: &wire::HelloRequest) -> wire::HelloResponse {
        let me = &self.peers.me;
        let metrics = self.raft.metrics();
        let membership =
            stored_membership_to_disk(&metrics.borrow_watched().committed_membership_config);
        wire::HelloResponse {
            cluster_name: me.cluster_name.clone(),
            node_id: me.node_id.0,
            store_uuid: me.store_uuid.clone(),
            peers_hash: self.peers_hash,
            initialised: self.is_initialised(),
            leader: Some(self.leader_to_wire()),
            membership: Some(membership),
            refused: refusal(me, asker),
        }
    }

    /// Whom this node takes for the leader, and where that one is.
    pub(crate) fn leader_to_wire(&self) -> wire::NotLeader {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let found = metrics.current_leader.map(|leader| {
            let peer = metrics.membership_config.get_node(&leader);
            (leader, peer.map(|peer| peer.address.clone()))
        });
        let (leader, address) = found.unwrap_or_default();
        wire::NotLeader {
            leader,
            address: address.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use libra_proto::types::NodeId;
    use openraft::Membership;

    use super::*;
    use crate::type_config::{Peer, log_id};

    fn myself() -> Identity {
        Identity {
            cluster_name: "c".to_owned(),
            node_id: NodeId(2),
            store_uuid: "s2".to_owned(),
            address: "a:2".to_owned(),
        }
    }

    #[test]
    fn strangers_are_told_why() {
        let me = myself();
        let good = wire::HelloRequest {
            cluster_name: "c".to_owned(),
            node_id: 3,
            store_uuid: "s3".to_owned(),
            address: "a:3".to_owned(),
            peers_hash: 1,
            to_node: 2,
        };
        assert_eq!(refusal(&me, &good), "");
        type Spoil = fn(&mut wire::HelloRequest);
        let cases: [(Spoil, &str); 4] = [
            (
                |r| r.cluster_name = "d".to_owned(),
                "in cluster `c`, not in `d`",
            ),
            (|r| r.to_node = 1, "is node 2, not node 1"),
            (|r| r.node_id = 2, "id 2 is that of the node at `a:2`"),
            (|r| r.address = "a:2".to_owned(), "address `a:2` of node 2"),
        ];
        for (spoil, expected) in cases {
            let mut request = good.clone();
            spoil(&mut request);
            let reason = refusal(&me, &request);
            assert!(reason.contains(expected), "{reason}");
        }
    }

    #[test]
    fn only_a_member_tells_how_the_group_is() {
        let peer = |id: u64, store: &str| {
            let peer = Peer {
                address: format!("a:{id}"),
                store_uuid: store.to_owned(),
            };
            (id, peer)
        };
        let nodes = BTreeMap::from([peer(1, "s1"), peer(2, "s2"), peer(3, "")]);
        let voters = vec![BTreeSet::from([1, 2, 3])];
        let group = Membership::new(voters, nodes).unwrap();
        let group = StoredMembership::new(Some(log_id(1, 1)), group);
        let answer = |node_id, store: &str| wire::HelloResponse {
            cluster_name: "c".to_owned(),
            node_id,
            store_uuid: store.to_owned(),
            initialised: true,
            ..wire::HelloResponse::default()
        };
        type Spoil = fn(&mut wire::HelloResponse);
        let cases: [(u64, &str, Spoil, bool); 7] = [
            (1, "s1", |_| {}, true),
            // Of a group that was formed before stores were kept.
            (3, "s3", |_| {}, true),
            (1, "s9", |_| {}, false),
            (4, "s4", |_| {}, false),
            (0, "", |_| {}, false),
            (1, "s1", |r| r.cluster_name = "d".to_owned(), false),
            (1, "s1", |r| r.refused = "another".to_owned(), false),
        ];
        for (number, (id, store, spoil, expected)) in cases.into_iter().enumerate() {
            let mut told = answer(id, store);
            spoil(&mut told);
            let believed = is_of_group(&myself(), &group, &told);
            assert_eq!(believed, expected, "case {number}");
        }
    }

    #[test]
    fn other_peers_have_another_hash() {
        let hash = |peers: &[(u64, &str)]| {
            let mut options = Options::new("c", NodeId(1), "d");
            let peer = |(id, address): &(u64, &str)| (NodeId(*id), (*address).to_owned());
            options.peers = peers.iter().map(peer).collect();
            peers_hash(&options)
        };
        let one = hash(&[(1, "a:1"), (2, "a:2")]);
        assert_eq!(one, hash(&[(2, "a:2"), (1, "a:1")]));
        assert_ne!(one, hash(&[(1, "a:1"), (2, "a:3")]));
        assert_ne!(one, hash(&[(1, "a:1"), (3, "a:2")]));
        assert_ne!(one, hash(&[(1, "a:1")]));
    }
}

//! Who is let into the group: by id, address and store.

use std::time::Duration;

use libra_proto::raft as wire;
use libra_proto::types::NodeId;
use tokio::time::Instant;

use crate::handle::Inner;
use crate::network::forward::{self, Asked};
use crate::type_config::{Membership, Peer};

/// How long letting a node in may take the leader.
const ADMIT_LIMIT: Duration = Duration::from_secs(5);

/// A node that wants to be in the group.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Applicant {
    node_id: u64,
    peer: Peer,
    /// Its log is empty.
    is_empty: bool,
}

/// What is to be done about an applicant.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Verdict {
    /// It is in the group as it says.
    Known,
    /// It is in the group, and has another address now.
    Moved,
    /// It is new.
    Add,
    /// It is at the address of the member with its id, with another store: that node, wiped.
    Replace,
    Refuse {
        reason: String,
    },
}

/// Judges an applicant by the membership alone.
fn judge(membership: &Membership, applicant: &Applicant) -> Verdict {
    let Applicant {
        node_id,
        peer,
        is_empty,
    } = applicant;
    let refuse = |reason| Verdict::Refuse { reason };
    if *node_id == 0 || peer.address.is_empty() || peer.store_uuid.is_empty() {
        return refuse("a node needs an id, an address and a store".to_owned());
    }
    let clash = membership
        .nodes()
        .find(|(id, other)| *id != node_id && other.address == peer.address);
    if let Some((other, _)) = clash {
        return refuse(format!(
            "node {node_id} has the address `{}` of node {other}",
            peer.address
        ));
    }
    match membership.get_node(node_id) {
        None if *is_empty => Verdict::Add,
        None => refuse(format!(
            "node {node_id} is not in the group, and its store is not empty: it has been removed, \
             or was in another group; to let it in, start it with an empty data directory"
        )),
        Some(known) if known == peer => Verdict::Known,
        Some(known) if known.store_uuid == peer.store_uuid => Verdict::Moved,
        Some(known) if known.store_uuid.is_empty() && !is_empty => Verdict::Moved,
        Some(known) if *is_empty && known.address == peer.address => Verdict::Replace,
        // That node may only be down, and would be shut out for good.
        Some(known) => refuse(format!(
            "id {node_id} is that of the node at `{}`: give this node an id of its own, or have \
             that one removed from the group first",
            known.address
        )),
    }
}

impl Inner {
    /// Lets a node in, or says why not; on the leader, under the lock of changes.
    async fn admit(&self, applicant: Applicant, deadline: Instant) -> Asked {
        let metrics = self.metrics();
        if metrics.current_leader != Some(metrics.id) {
            return Asked::NotLeading;
        }
        let verdict = judge(metrics.membership_config.membership(), &applicant);
        let Applicant { node_id, peer, .. } = applicant;
        tracing::info!(node_id, address = peer.address, verdict = ?verdict, "node wants to be in the group");
        match verdict {
            Verdict::Known => Asked::Done {
                index: metrics.membership_config.log_id().map_or(0, |id| id.index),
            },
            Verdict::Moved => self.readdress(node_id, peer, deadline).await,
            Verdict::Add => self.add(node_id, peer, deadline).await,
            Verdict::Replace => self.replace(node_id, peer, deadline).await,
            Verdict::Refuse { reason } => Asked::Refused { reason },
        }
    }

    /// Looks at the node that is to be added before it is.
    pub(crate) async fn add_learner_here(&self, node_id: NodeId, address: &str) -> Asked {
        let there = forward::hello(
            &self.peers,
            address,
            self.hello_request(node_id.0),
            self.lease,
        );
        let there = match there.await {
            Ok(there) => there,
            Err(reason) => {
                let reason = format!("node {node_id} at `{address}`: {reason}");
                return Asked::Later { reason };
            }
        };
        if !there.refused.is_empty() {
            let reason = there.refused;
            return Asked::Refused { reason };
        }
        let applicant = Applicant {
            node_id: node_id.0,
            peer: Peer {
                address: address.to_owned(),
                store_uuid: there.store_uuid,
            },
            is_empty: !there.initialised,
        };
        self.admit(applicant, Instant::now() + ADMIT_LIMIT).await
    }

    /// Answers a node that asks to be let in.
    pub(crate) async fn join_here(&self, request: wire::JoinRequest) -> Asked {
        let deadline = Instant::now() + ADMIT_LIMIT;
        let Ok(_changing) = tokio::time::timeout_at(deadline, self.changing.lock()).await else {
            let reason = "another change is under way".to_owned();
            return Asked::Later { reason };
        };
        let peer = Peer {
            address: request.address,
            store_uuid: request.store_uuid,
        };
        // Others will have to reach it there too.
        let hello = self.hello_request(request.node_id);
        match forward::hello(&self.peers, &peer.address, hello, self.lease).await {
            Ok(there) if there.store_uuid == peer.store_uuid => {}
            Ok(there) if there.refused.is_empty() => {
                return Asked::Refused {
                    reason: format!("another node {} is at `{}`", there.node_id, peer.address),
                };
            }
            Ok(there) => {
                return Asked::Refused {
                    reason: there.refused,
                };
            }
            Err(reason) => {
                let reason = format!("`{}` cannot be reached: {reason}", peer.address);
                return Asked::Later { reason };
            }
        }
        let applicant = Applicant {
            node_id: request.node_id,
            peer,
            is_empty: request.is_empty,
        };
        self.admit(applicant, deadline).await
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    fn peer(address: &str, store_uuid: &str) -> Peer {
        Peer {
            address: address.to_owned(),
            store_uuid: store_uuid.to_owned(),
        }
    }

    #[test]
    fn everybody_is_let_in_once() {
        let members = BTreeMap::from([
            (1, peer("a:1", "s1")),
            (2, peer("a:2", "s2")),
            (3, peer("a:3", "")),
        ]);
        let membership = Membership::new(vec![BTreeSet::from([1, 2])], members).unwrap();
        let cases = [
            (2, peer("a:2", "s2"), false, Ok(Verdict::Known)),
            (2, peer("a:2", "s2"), true, Ok(Verdict::Known)),
            (2, peer("b:2", "s2"), false, Ok(Verdict::Moved)),
            (3, peer("a:3", "s3"), false, Ok(Verdict::Moved)),
            (3, peer("a:3", "s3"), true, Ok(Verdict::Replace)),
            (2, peer("a:2", "new"), true, Ok(Verdict::Replace)),
            (2, peer("b:2", "new"), true, Err("id 2")),
            (4, peer("a:4", "s4"), true, Ok(Verdict::Add)),
            (4, peer("a:4", "s4"), false, Err("not empty")),
            (4, peer("a:1", "s4"), true, Err("address `a:1` of node 1")),
            (2, peer("a:3", "s2"), false, Err("address `a:3` of node 3")),
            (2, peer("a:2", "new"), false, Err("id 2")),
            (0, peer("a:0", "s0"), true, Err("needs an id")),
            (4, peer("", "s4"), true, Err("needs an id")),
            (4, peer("a:4", ""), true, Err("needs an id")),
        ];
        for (node_id, peer, is_empty, expected) in cases {
            let applicant = Applicant {
                node_id,
                peer,
                is_empty,
            };
            match (judge(&membership, &applicant), expected) {
                (Verdict::Refuse { reason }, Err(part)) => {
                    assert!(reason.contains(part), "{applicant:?}: {reason}");
                }
                (verdict, expected) => assert_eq!(Ok(verdict), expected, "{applicant:?}"),
            }
        }
    }
}

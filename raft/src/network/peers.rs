//! Who is where, and the channels that are kept to them.
//!
//! **Invariant:** one channel per address and [`Lane`], kept until nobody is at that address.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libra_proto::raft as wire;
use libra_proto::raft::raft_client::RaftClient;
use libra_proto::types::NodeId;
use tonic::transport::Channel;

use super::connector::{Connector, InvalidAddress};
use crate::options::Options;
use crate::type_config::{Peer, StoredMembership};

/// What shares a connection; nothing of one lane waits for anything of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Lane {
    /// Log entries.
    Log,
    /// Heartbeats, votes, transfers of leadership.
    Control,
    /// Snapshots.
    Snapshot,
    /// What is asked of the leader, and the forming of groups.
    Requests,
}

/// This node, as it presents itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) cluster_name: String,
    pub(crate) node_id: NodeId,
    pub(crate) store_uuid: String,
    pub(crate) address: String,
}

#[derive(Debug)]
pub(crate) struct Peers {
    pub(crate) me: Identity,
    connector: Arc<dyn Connector>,
    max_message_bytes: usize,
    configured: BTreeSet<String>,
    book: Mutex<BTreeMap<u64, Peer>>,
    channels: Mutex<BTreeMap<(String, Lane), Channel>>,
}

/// Why a peer cannot even be tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoRoute {
    #[error("node {node_id} is not in the membership")]
    Unknown { node_id: u64 },
    #[error(transparent)]
    Address(#[from] InvalidAddress),
}

impl Peers {
    pub(crate) fn new(options: &Options, store_uuid: &str, connector: Arc<dyn Connector>) -> Self {
        Self {
            me: Identity {
                cluster_name: options.cluster_name.clone(),
                node_id: options.node_id,
                store_uuid: store_uuid.to_owned(),
                address: options.address().to_owned(),
            },
            connector,
            max_message_bytes: options.max_message_bytes(),
            configured: options.peers.values().cloned().collect(),
            book: Mutex::default(),
            channels: Mutex::default(),
        }
    }

    /// This node as a member.
    pub(crate) fn myself(&self) -> Peer {
        Peer {
            address: self.me.address.clone(),
            store_uuid: self.me.store_uuid.clone(),
        }
    }

    /// Notes where a member is.
    pub(crate) fn note(&self, node_id: u64, peer: &Peer) {
        self.book().insert(node_id, peer.clone());
    }

    /// Takes over where all members are, and lets go of channels to where none is any more.
    pub(crate) fn follow(&self, membership: &StoredMembership) {
        let book: BTreeMap<_, _> = membership
            .nodes()
            .map(|(id, peer)| (*id, peer.clone()))
            .collect();
        let addresses: BTreeSet<_> = book.values().map(|peer| peer.address.clone()).collect();
        *self.book() = book;
        let is_used =
            |address: &String| addresses.contains(address) || self.configured.contains(address);
        self.channels().retain(|(address, _), _| is_used(address));
    }

    pub(crate) fn find(&self, node_id: u64) -> Option<Peer> {
        self.book().get(&node_id).cloned()
    }

    /// A client of a member, and the envelope for what it is sent.
    pub(crate) fn member(
        &self,
        node_id: u64,
        lane: Lane,
    ) -> Result<(RaftClient<Channel>, wire::Envelope), NoRoute> {
        let peer = self.find(node_id).ok_or(NoRoute::Unknown { node_id })?;
        let client = self.at(&peer.address, lane)?;
        Ok((client, self.envelope(node_id, peer.store_uuid)))
    }

    /// A client of whoever is at an address.
    pub(crate) fn at(
        &self,
        address: &str,
        lane: Lane,
    ) -> Result<RaftClient<Channel>, InvalidAddress> {
        let mut channels = self.channels();
        let key = (address.to_owned(), lane);
        let channel = match channels.get(&key) {
            Some(channel) => channel.clone(),
            None => {
                let channel = self.connector.connect(address)?;
                channels.insert(key, channel.clone());
                channel
            }
        };
        let limit = self.max_message_bytes;
        Ok(RaftClient::new(channel)
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit))
    }

    pub(crate) fn envelope(&self, to_node: u64, to_store_uuid: String) -> wire::Envelope {
        wire::Envelope {
            cluster_name: self.me.cluster_name.clone(),
            from_node: self.me.node_id.0,
            to_node,
            to_store_uuid,
        }
    }

    /// Why a message is not for this node, if it is not.
    pub(crate) fn misdirected(&self, envelope: Option<&wire::Envelope>) -> Option<String> {
        let Some(envelope) = envelope else {
            return Some("a message without an envelope".to_owned());
        };
        let me = &self.me;
        if envelope.cluster_name != me.cluster_name {
            return Some(format!(
                "a message of cluster `{}`, this node is in `{}`",
                envelope.cluster_name, me.cluster_name
            ));
        }
        if envelope.to_node != me.node_id.0 {
            return Some(format!(
                "a message for node {}, this is node {}",
                envelope.to_node, me.node_id
            ));
        }
        if !envelope.to_store_uuid.is_empty() && envelope.to_store_uuid != me.store_uuid {
            return Some(format!(
                "a message for store {} of node {}, its store is {} now",
                envelope.to_store_uuid, me.node_id, me.store_uuid
            ));
        }
        None
    }

    fn book(&self) -> MutexGuard<'_, BTreeMap<u64, Peer>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn channels(&self) -> MutexGuard<'_, BTreeMap<(String, Lane), Channel>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::connector::TcpConnector;
    use super::*;

    fn peers() -> Peers {
        let mut options = Options::new("c", NodeId(2), "d");
        options.advertise = "127.0.0.1:2".to_owned();
        let connector = Arc::new(TcpConnector::new(Duration::from_secs(1)));
        Peers::new(&options, "store-2", connector)
    }

    #[test]
    fn only_what_is_for_this_very_node_is_taken() {
        let peers = peers();
        let right = peers.envelope(2, "store-2".to_owned());
        assert_eq!(peers.misdirected(Some(&right)), None);
        let any_store = peers.envelope(2, String::new());
        assert_eq!(peers.misdirected(Some(&any_store)), None);
        let wrong = [
            (None, "without"),
            (Some(peers.envelope(3, "store-2".to_owned())), "node 3"),
            (Some(peers.envelope(2, "old".to_owned())), "store old"),
            (
                Some(wire::Envelope {
                    cluster_name: "other".to_owned(),
                    ..right
                }),
                "`other`",
            ),
        ];
        for (envelope, expected) in wrong {
            let reason = peers.misdirected(envelope.as_ref()).unwrap();
            assert!(reason.contains(expected), "{reason}");
        }
    }

    #[tokio::test]
    async fn channels_are_kept_while_somebody_is_there() {
        let peers = peers();
        let member = Peer {
            address: "127.0.0.1:3".to_owned(),
            store_uuid: String::new(),
        };
        peers.note(3, &member);
        peers.member(3, Lane::Log).unwrap();
        peers.member(3, Lane::Log).unwrap();
        peers.member(3, Lane::Control).unwrap();
        assert_eq!(peers.channels().len(), 2);
        peers.follow(&StoredMembership::default());
        assert_eq!(peers.channels().len(), 0);
        let error = peers.member(3, Lane::Log).unwrap_err();
        assert_eq!(error, NoRoute::Unknown { node_id: 3 });
    }
}

//! How a node comes into its group: it forms one with its peers, or joins the one that is there;
//! and how it learns that it is not in it any more.
//!
//! - [`mod@decide`]: what to do, by what the peers say. Pure.
//! - [`hello`]: what nodes say of themselves.
//! - [`wait`]: waiting for the end of it.
//!
//! A group that was formed by one node alone grows by the others joining it, so a node may be given
//! peers later; two nodes that have each formed a group alone are refused.
//!
//! **Invariant:** one group is formed, by one node, once; a node with a log never forms one.

mod decide;
mod hello;
mod wait;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use libra_proto::raft as wire;
use libra_proto::types::NodeId;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{InitializeError, RaftError};

use self::decide::{Answer, Asker, Step, decide};
use self::hello::is_of_group;
use crate::error::FatalError;
use crate::handle::Inner;
use crate::metrics::Formation;
use crate::network::forward;
use crate::options::{FatalHook, Options};
use crate::store::codec::stored_membership_from_disk;
use crate::type_config::{Peer, RaftMetrics, StoredMembership};

pub(crate) use hello::peers_hash;

/// Between two rounds of asking.
const ROUND: Duration = Duration::from_millis(100);
/// How long one peer may take to answer.
const HELLO_LIMIT: Duration = Duration::from_millis(500);
/// A log that is there names its members at once.
const MEMBERS_LIMIT: Duration = Duration::from_secs(5);
/// Letting a node in takes a few commits.
const JOIN_LIMIT: Duration = Duration::from_secs(8);

/// Brings a node into its group, then watches that it stays there.
#[derive(Debug)]
pub(crate) struct Former {
    inner: Arc<Inner>,
    others: BTreeMap<u64, String>,
    /// The disk is simulated: nothing is done on threads.
    is_simulated: bool,
}

impl Former {
    pub(crate) fn new(inner: Arc<Inner>, options: &Options) -> Self {
        let others = options
            .peers
            .iter()
            .filter(|(id, _)| **id != options.node_id);
        Self {
            others: others.map(|(id, at)| (id.0, at.clone())).collect(),
            is_simulated: options.simulated_disk.is_some(),
            inner,
        }
    }

    pub(crate) async fn run(self, on_fatal: FatalHook) {
        if !self.enter().await {
            return;
        }
        let marker = Arc::clone(&self.inner.marker);
        if !marker.content().initialised {
            let mark = move || marker.set_initialised();
            let marked = if self.is_simulated {
                Ok(mark())
            } else {
                tokio::task::spawn_blocking(mark).await
            };
            if let Ok(Err(source)) = marked {
                on_fatal.call(&FatalError::Marker { source });
                return;
            }
        }
        self.know_members().await;
        if !self.others.is_empty() && self.is_alone() && !self.meet().await {
            return;
        }
        self.tell(Formation::Member);
        self.stay().await;
    }

    /// Waits until this node has a log; false when it never will.
    async fn enter(&self) -> bool {
        let mut metrics = self.inner.raft.metrics();
        while !self.inner.is_initialised() {
            let answers = self.ask_all().await;
            if self.inner.is_initialised() {
                break;
            }
            let asker = Asker {
                node_id: self.inner.me().0,
                myself: self.inner.peers.myself(),
                peers_hash: self.inner.peers_hash,
                others: self.others.clone(),
            };
            let reason = match decide(&asker, &answers) {
                Step::Wait { reason } => Ok(reason),
                Step::Initialise { members } => self.initialise(members).await,
                Step::Join { address } => self.join(&address, true).await,
                Step::Refuse { reason } => Err(reason),
            };
            match reason {
                Ok(reason) => self.tell(Formation::Waiting { reason }),
                Err(reason) => {
                    self.refuse(reason);
                    return false;
                }
            }
            // A log that comes is noticed at once.
            match tokio::time::timeout(ROUND, metrics.changed()).await {
                Ok(Ok(())) | Err(_) => {}
                Ok(Err(_)) => return false,
            }
        }
        true
    }

    async fn initialise(&self, members: BTreeMap<u64, Peer>) -> Result<String, String> {
        tracing::info!(members = ?members, "forming the group");
        match Box::pin(self.inner.raft.initialize(members)).await {
            // Not allowed: it has a log, or a vote, by now.
            Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {
                Ok("the group is being formed".to_owned())
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// Asks to be let in, or to be known under another address.
    async fn join(&self, address: &str, is_empty: bool) -> Result<String, String> {
        use wire::join_response::Result as Verdict;
        let me = &self.inner.peers.me;
        let request = wire::JoinRequest {
            // Whoever is there: the cluster's name is what has to be right.
            envelope: Some(self.inner.peers.envelope(0, String::new())),
            node_id: me.node_id.0,
            address: me.address.clone(),
            store_uuid: me.store_uuid.clone(),
            is_empty,
        };
        match forward::join(&self.inner.peers, address, request, JOIN_LIMIT).await {
            Ok(Verdict::Joined(_)) => Ok("let in, the leader will send the log".to_owned()),
            Ok(Verdict::NotLeader(_)) => Ok(format!("the node at `{address}` does not lead")),
            Ok(Verdict::Refused(reason)) => Err(reason),
            Ok(Verdict::Later(reason)) | Err(reason) => Ok(reason),
        }
    }

    /// Asks all other peers who they are; those that do not answer in time are missing.
    async fn ask_all(&self) -> BTreeMap<u64, Answer> {
        let asked = self.others.iter().map(|(id, address)| async move {
            let response = self.ask(*id, address).await?;
            Some((*id, self.understand(&response)))
        });
        let answers = futures::future::join_all(asked).await;
        answers.into_iter().flatten().collect()
    }

    async fn ask(&self, id: u64, address: &str) -> Option<wire::HelloResponse> {
        let request = self.inner.hello_request(id);
        let asked = forward::hello(&self.inner.peers, address, request, HELLO_LIMIT);
        asked.await.ok()
    }

    fn understand(&self, response: &wire::HelloResponse) -> Answer {
        let leader = response
            .leader
            .as_ref()
            .map(|leader| leader.address.clone());
        Answer {
            store_uuid: response.store_uuid.clone(),
            peers_hash: response.peers_hash,
            initialised: response.initialised,
            leader: leader.filter(|address| !address.is_empty()),
            knows_me: self.is_in(&membership_of(response)),
            refused: response.refused.clone(),
        }
    }

    fn is_in(&self, membership: &StoredMembership) -> bool {
        let me = &self.inner.peers.me;
        let known = membership.get_node(&me.node_id.0);
        known.is_some_and(|peer| peer.store_uuid.is_empty() || peer.store_uuid == me.store_uuid)
    }

    fn membership(&self) -> Arc<StoredMembership> {
        let metrics = self.inner.raft.metrics();
        Arc::clone(&metrics.borrow_watched().membership_config)
    }

    /// Whether this node is the group's only member.
    fn is_alone(&self) -> bool {
        self.membership()
            .nodes()
            .map(|(id, _)| *id)
            .eq([self.inner.me().0])
    }

    /// Waits until the membership is known: just after a start it is not, which must not be taken
    /// for a group without others.
    async fn know_members(&self) {
        let mut metrics = self.inner.raft.metrics();
        let known = async {
            while self.membership().nodes().next().is_none() {
                if metrics.changed().await.is_err() {
                    return;
                }
            }
        };
        // Without it nobody is alone, and whoever leads alone looks again later.
        let _ = tokio::time::timeout(MEMBERS_LIMIT, known).await;
    }

    /// A node that is alone in its group looks whether its peers are in another; false when so.
    async fn meet(&self) -> bool {
        let others = self.ask_all().await;
        let stranger = others
            .iter()
            .find(|(_, answer)| answer.initialised && !answer.knows_me);
        match stranger {
            Some((id, _)) => {
                self.refuse(format!(
                    "node {id} is in another group, and this node has formed one of its own: start \
                     one of them with an empty data directory so that it joins the other"
                ));
                false
            }
            None => true,
        }
    }

    /// Notices that the node was removed, has another address, or is alone where others are not.
    async fn stay(&self) {
        let mut turn = 0;
        while !self.inner.is_stopped() {
            tokio::time::sleep(self.inner.lease * 2).await;
            let metrics = self.inner.metrics();
            if metrics.current_leader == Some(metrics.id) {
                if !self.others.is_empty() && self.is_alone() && !self.meet().await {
                    return;
                }
                self.tell(Formation::Member);
                continue;
            }
            let places = self.places(&metrics);
            turn += 1;
            let Some(place) = places.get(turn % places.len().max(1)) else {
                continue;
            };
            let request = self.inner.hello_request(0);
            let asked = forward::hello(&self.inner.peers, place, request, HELLO_LIMIT).await;
            if let Ok(response) = asked {
                self.compare(&metrics, &response).await;
            }
        }
    }

    /// Where others of the group are, and the configured peers.
    fn places(&self, metrics: &RaftMetrics) -> Vec<String> {
        let me = self.inner.me().0;
        let members = metrics.membership_config.nodes();
        let members = members.filter(|(id, _)| **id != me);
        let mut places: Vec<String> = members.map(|(_, peer)| peer.address.clone()).collect();
        places.extend(self.others.values().cloned());
        places.sort();
        places.dedup();
        places
    }

    async fn compare(&self, metrics: &RaftMetrics, response: &wire::HelloResponse) {
        let theirs = membership_of(response);
        let ours = &metrics.membership_config;
        let is_believed = is_of_group(&self.inner.peers.me, ours, response);
        if !is_believed || !response.initialised || theirs.log_id() < ours.log_id() {
            return;
        }
        if !self.is_in(&theirs) {
            // What is committed there is not yet here: the node has been taken out.
            self.tell(Formation::Removed);
            return;
        }
        self.tell(Formation::Member);
        let known = theirs.get_node(&self.inner.me().0);
        let leader = response.leader.as_ref().map(|leader| &leader.address);
        if let Some(leader) = leader.filter(|address| !address.is_empty())
            && known.is_some_and(|peer| *peer != self.inner.peers.myself())
            && !self.others.is_empty()
        {
            match self.join(leader, false).await {
                Ok(_) => {}
                Err(reason) => {
                    tracing::error!(
                        reason,
                        "the group does not take note of this node's address"
                    );
                }
            }
        }
    }

    fn refuse(&self, reason: String) {
        tracing::error!(
            node_id = self.inner.me().0,
            reason,
            "not admitted to the cluster"
        );
        self.tell(Formation::Refused { reason });
    }

    fn tell(&self, formation: Formation) {
        self.inner.formation.send_if_modified(|told| {
            let changed = *told != formation;
            if changed {
                tracing::info!(node_id = self.inner.me().0, formation = ?formation, "formation");
                *told = formation;
            }
            changed
        });
    }
}

fn membership_of(response: &wire::HelloResponse) -> StoredMembership {
    let stored = response.membership.as_ref();
    let stored = stored.and_then(|stored| stored_membership_from_disk(stored).ok());
    stored.unwrap_or_default()
}

/// Where a node without peers begins: in its group of one.
pub(crate) fn beginning(options: &Options, is_initialised: bool) -> Formation {
    if options.peers.is_empty() && is_initialised {
        return Formation::Member;
    }
    Formation::Waiting {
        reason: format!("node {} looks for its peers", NodeId(options.node_id.0)),
    }
}

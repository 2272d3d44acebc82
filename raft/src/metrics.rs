//! What a node says about itself.

use std::collections::BTreeSet;

use libra_proto::types::NodeId;
use openraft::ServerState;

use crate::type_config::{Peer, RaftMetrics};

/// What a node is in its Raft group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Replicates, and has no vote.
    Learner,
    /// Replicates what the leader sends.
    Follower,
    /// Asks for votes.
    Candidate,
    /// Leads.
    Leader,
    /// Has stopped.
    Stopped,
}

impl From<ServerState> for Role {
    fn from(state: ServerState) -> Self {
        match state {
            ServerState::Learner => Self::Learner,
            ServerState::Follower => Self::Follower,
            ServerState::Candidate => Self::Candidate,
            ServerState::Leader => Self::Leader,
            ServerState::Shutdown => Self::Stopped,
        }
    }
}

/// A node of the group, as another node knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its id.
    pub node_id: NodeId,
    /// `host:port` of its gRPC listener.
    pub address: String,
    /// Its store; empty in a group that was formed before this was kept.
    pub store_uuid: String,
    /// Whether it has a vote; else it is a learner.
    pub voter: bool,
    /// On the leader: how many entries of its log the member is not known to have.
    pub lag: Option<u64>,
}

/// How far a node is on its way into a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Formation {
    /// Not in one yet.
    Waiting {
        /// What for.
        reason: String,
    },
    /// In one.
    Member,
    /// It will never be as it is configured.
    Refused {
        /// Why.
        reason: String,
    },
    /// It was a member, and the group has removed it.
    Removed,
}

/// A node of the registry, as it sees itself at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// This node.
    pub node_id: NodeId,
    /// Who leads, as far as this node knows.
    pub leader: Option<NodeId>,
    /// The newest term it knows of.
    pub term: u64,
    /// What it is in the group.
    pub role: Role,
    /// Index of its last log entry; 0 before the first command.
    pub last_log_index: u64,
    /// Index up to which its registry is applied.
    pub applied_index: u64,
    /// Index up to which its log is known to be durable.
    pub durable_index: u64,
    /// Index up to which its newest snapshot reaches; 0 without one.
    pub snapshot_index: u64,
    /// Index up to which the log has been purged; 0 if it never was.
    pub purged_index: u64,
    /// Bytes of the log entries that are kept.
    pub log_bytes: u64,
    /// Syncs of the log since the start.
    pub syncs: u64,
    /// Leaders that have become known since the start, the same one in another term included.
    pub leader_changes: u64,
    /// Free bytes on the disk when last looked at.
    pub disk_free_bytes: u64,
    /// Whether proposals are refused because the disk is full.
    pub disk_full: bool,
    /// Made once with the data directory: a wiped node comes back with another.
    pub store_uuid: String,
    /// Why Raft has stopped by itself, if it has.
    pub failure: Option<String>,
    /// How far it is on its way into its group.
    pub formation: Formation,
    /// The members of the group as far as it knows, itself among them; by id.
    pub members: Vec<Member>,
}

pub(crate) fn members(metrics: &RaftMetrics) -> Vec<Member> {
    let membership = metrics.membership_config.membership();
    let voters: BTreeSet<u64> = membership.voter_ids().collect();
    let last = metrics.last_log_index.map_or(0, |index| index + 1);
    let lag = |id: &u64| {
        let matched = metrics.replication.as_ref()?.get(id)?;
        Some(last.saturating_sub(matched.map_or(0, |id| id.index + 1)))
    };
    let member = |(id, peer): (&u64, &Peer)| Member {
        node_id: NodeId(*id),
        address: peer.address.clone(),
        store_uuid: peer.store_uuid.clone(),
        voter: voters.contains(id),
        lag: lag(id),
    };
    membership.nodes().map(member).collect()
}

pub(crate) fn failure(metrics: &RaftMetrics) -> Option<String> {
    use openraft::errors::Fatal;
    match &metrics.running_state {
        Ok(()) | Err(Fatal::Stopped) => None,
        Err(error @ (Fatal::StorageError(_) | Fatal::Panicked)) => Some(error.to_string()),
    }
}

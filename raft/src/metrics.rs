//! What a node says about itself.

use libra_proto::types::NodeId;
use openraft::ServerState;

use crate::type_config::RaftMetrics;

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
    /// Free bytes on the disk when last looked at.
    pub disk_free_bytes: u64,
    /// Whether proposals are refused because the disk is full.
    pub disk_full: bool,
    /// Made once with the data directory: a wiped node comes back with another.
    pub store_uuid: String,
    /// Why Raft has stopped by itself, if it has.
    pub failure: Option<String>,
}

pub(crate) fn failure(metrics: &RaftMetrics) -> Option<String> {
    use openraft::errors::Fatal;
    match &metrics.running_state {
        Ok(()) | Err(Fatal::Stopped) => None,
        Err(error @ (Fatal::StorageError(_) | Fatal::Panicked)) => Some(error.to_string()),
    }
}

//! openraft's types, aliased once: no other file spells them with a type parameter.
//!
//! A leader id is `(term, node)` with one leader per term, as in the Raft paper: terms fence
//! commands of the leader role, so two leaders may never share one.

use std::fmt;
use std::sync::Arc;

use libra_proto::registry::{Applied, Command};
use openraft::impls::leader_id_std::LeaderId as StdLeaderId;
use openraft::vote::RaftLeaderId;
use openraft::{EntryPayload, RaftTypeConfig};

use crate::store::snapshot_file::SnapshotFile;
use crate::store::state_machine::StateMachine;

openraft::declare_raft_types!(
    /// The types of the registry's Raft group.
    pub(crate) TypeConfig:
        D = Proposal,
        R = Option<Box<Applied>>,
        NodeId = u64,
        Node = Peer,
        Term = u64,
        LeaderId = StdLeaderId<u64, u64>,
);

/// What the registry's Raft group is made of, on whatever runtime: the store is written against this,
/// so that the simulation runs the very same store.
pub(crate) trait GroupTypes:
    RaftTypeConfig<
        D = Proposal,
        R = Option<Box<Applied>>,
        NodeId = u64,
        Node = Peer,
        Term = u64,
        LeaderId = LeaderId,
        Vote = Vote,
        Payload = EntryPayload<Proposal, u64, Peer>,
        Entry = Entry,
    >
{
}

impl<C> GroupTypes for C where
    C: RaftTypeConfig<
            D = Proposal,
            R = Option<Box<Applied>>,
            NodeId = u64,
            Node = Peer,
            Term = u64,
            LeaderId = LeaderId,
            Vote = Vote,
            Payload = EntryPayload<Proposal, u64, Peer>,
            Entry = Entry,
        >
{
}

pub(crate) type Raft = openraft::Raft<TypeConfig, StateMachine>;
pub(crate) type LeaderId = StdLeaderId<u64, u64>;
pub(crate) type CommittedLeaderId = openraft::alias::CommittedLeaderIdOf<TypeConfig>;
pub(crate) type LogId = openraft::alias::LogIdOf<TypeConfig>;
pub(crate) type Vote = openraft::alias::VoteOf<TypeConfig>;
pub(crate) type Entry = openraft::alias::EntryOf<TypeConfig>;
pub(crate) type EntryResponder<C> = openraft::storage::EntryResponder<C>;
pub(crate) type Membership = openraft::Membership<u64, Peer>;
pub(crate) type StoredMembership = openraft::alias::StoredMembershipOf<TypeConfig>;
pub(crate) type SnapshotMeta = openraft::alias::SnapshotMetaOf<TypeConfig>;
pub(crate) type LogState<C> = openraft::LogState<C>;
pub(crate) type IoFlushed<C> = openraft::storage::IOFlushed<C>;
pub(crate) type RaftMetrics = openraft::RaftMetrics<TypeConfig>;
pub(crate) type MetricsReceiver = openraft::alias::WatchReceiverOf<TypeConfig, RaftMetrics>;
pub(crate) type Snapshot = openraft::alias::SnapshotOf<TypeConfig, SnapshotFile>;
pub(crate) type AppendRequest = openraft::raft::AppendEntriesRequest<TypeConfig>;
pub(crate) type AppendResponse = openraft::raft::AppendEntriesResponse<TypeConfig>;
pub(crate) type StreamAppendResult = openraft::raft::StreamAppendResult<TypeConfig>;
pub(crate) type VoteRequest = openraft::raft::VoteRequest<TypeConfig>;
pub(crate) type VoteResponse = openraft::raft::VoteResponse<TypeConfig>;
pub(crate) type SnapshotResponse = openraft::raft::SnapshotResponse<TypeConfig>;
pub(crate) type TransferLeaderRequest = openraft::raft::TransferLeaderRequest<TypeConfig>;
pub(crate) type TransferLeaderResponse = openraft::raft::TransferLeaderResponse<TypeConfig>;
pub(crate) type RpcError = openraft::errors::RPCError<TypeConfig>;
pub(crate) type StreamingError = openraft::errors::StreamingError<TypeConfig>;
pub(crate) type Unreachable = openraft::errors::Unreachable<TypeConfig>;
pub(crate) type NetworkError = openraft::errors::NetworkError<TypeConfig>;
pub(crate) type Timeout = openraft::errors::Timeout<TypeConfig>;
pub(crate) type ChangeMembers = openraft::ChangeMembers<u64, Peer>;
pub(crate) type ForwardToLeader = openraft::errors::ForwardToLeader<TypeConfig>;
pub(crate) type ClientWriteError = openraft::errors::ClientWriteError<TypeConfig>;

/// A node as its group's membership knows it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Peer {
    /// `host:port` of its gRPC listener.
    pub(crate) address: String,
    /// Its store; a wiped node comes back with another and is another member. Empty in a group that
    /// was formed before this was kept: then any store will do.
    pub(crate) store_uuid: String,
}

/// A command on its way through the log; cheap to clone.
#[derive(Clone, PartialEq)]
pub(crate) struct Proposal(pub(crate) Arc<Command>);

impl fmt::Display for Proposal {
    /// Never shows what the command carries: SQL text does not belong in logs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command of node {}", self.0.proposer_node)
    }
}

impl fmt::Debug for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

pub(crate) fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(CommittedLeaderId::new(term), index)
}

pub(crate) fn vote(term: u64, node_id: u64, committed: bool) -> Vote {
    Vote {
        leader_id: LeaderId::new(term, node_id),
        committed,
    }
}

//! What can go wrong: one type for each boundary.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libra_proto::types::NodeId;
use thiserror::Error;

const REJOIN: &str = "stop the node, move the directory away, and start it with an empty one so that it rejoins \
     its cluster as a new learner; a cluster of one has to be restored from a copy";

/// Why a node did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// An option has a value that is not allowed.
    #[error("option `{field}` is `{value}`, allowed is {allowed}")]
    Option {
        /// Its name.
        field: &'static str,
        /// What it was set to.
        value: String,
        /// What it may be set to.
        allowed: &'static str,
    },
    /// A file or directory could not be read or written.
    #[error("{action} {path}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// Another process works in the data directory.
    #[error(
        "data directory {path} is in use by {holder}, expected it to be free: stop that process, \
         or give this node a directory of its own"
    )]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// Who holds the lock, as far as its file says.
        holder: String,
    },
    /// The data directory belongs to another cluster.
    #[error(
        "data directory {path} belongs to cluster `{found}`, expected `{expected}`: correct the \
         cluster's name or the data directory"
    )]
    OtherCluster {
        /// The data directory.
        path: PathBuf,
        /// The cluster in its marker.
        found: String,
        /// The cluster this node is to be in.
        expected: String,
    },
    /// The data directory belongs to another node.
    #[error(
        "data directory {path} belongs to node {found}, expected node {expected}: correct the \
         node's id or the data directory"
    )]
    OtherNode {
        /// The data directory.
        path: PathBuf,
        /// The node in its marker.
        found: NodeId,
        /// This node.
        expected: NodeId,
    },
    /// Something was written by a newer Libra.
    #[error(
        "{path} has on-disk format {found}, expected at most {supported}: start the newer Libra \
         that wrote it"
    )]
    NewerFormat {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format this program knows.
        supported: u32,
    },
    /// A file that the other guards rest on is missing or damaged.
    #[error("{path} is {found}, expected {expected}: {REJOIN}")]
    Guard {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
        /// What should be there.
        expected: &'static str,
    },
    /// The store was emptied behind the node's back: it would have forgotten its vote.
    #[error(
        "log store {path} is empty, expected the log of node {node} (at least {floor} entries) by \
         its marker: {REJOIN}"
    )]
    Emptied {
        /// The store.
        path: PathBuf,
        /// This node.
        node: NodeId,
        /// How many entries were known to be durable.
        floor: u64,
    },
    /// The store is older than the marker beside it.
    #[error("log store {path} has {found}, expected {expected} by its marker: {REJOIN}")]
    Older {
        /// The store.
        path: PathBuf,
        /// How far it reaches.
        found: String,
        /// How far it was known to reach, durably.
        expected: String,
    },
    /// The store cannot be opened, or does not fit together.
    #[error("log store {path} is damaged: found {found}, expected a whole log: {REJOIN}")]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What is wrong with it.
        found: String,
    },
    /// The newest snapshot cannot be used, and log and older snapshot do not cover for it.
    #[error("snapshots in {path}: found {found}, expected {expected}: {REJOIN}")]
    Snapshot {
        /// The directory.
        path: PathBuf,
        /// What is wrong.
        found: String,
        /// What would have been needed.
        expected: String,
    },
    /// The node is not one of those that it is configured with.
    #[error(
        "node {node} is not among its peers {peers:?}: add its own entry, or correct the node's id"
    )]
    NotAmongPeers {
        /// This node.
        node: NodeId,
        /// Those it was given.
        peers: Vec<NodeId>,
    },
    /// The node is to be reached at one address by its peers' list and says another.
    #[error(
        "node {node} advertises `{advertised}`, but its entry among the peers is `{configured}`: \
         make them the same"
    )]
    OtherAddress {
        /// This node.
        node: NodeId,
        /// What it would tell others.
        advertised: String,
        /// What its peers are configured with.
        configured: String,
    },
    /// Two nodes are configured with one address.
    #[error("nodes {first} and {second} have the same address `{address}` among the peers")]
    AddressClash {
        /// The address.
        address: String,
        /// One of them.
        first: NodeId,
        /// The other.
        second: NodeId,
    },
    /// Raft itself did not start.
    #[error("start raft on {path}: {reason}")]
    Raft {
        /// The data directory.
        path: PathBuf,
        /// What it said.
        reason: String,
    },
}

impl StartError {
    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io {
            action,
            path: path.to_owned(),
            source,
        }
    }
}

/// A failure of the store that must not be retried: the process has to go.
#[derive(Debug, Error)]
pub enum FatalError {
    /// What was written may not be on disk, and a second fsync would not tell (the kernel may have
    /// dropped the pages).
    #[error("sync of the registry's log")]
    Sync {
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// The marker beside the store could not be written.
    #[error("write of the marker")]
    Marker {
        /// What the operating system said.
        #[source]
        source: io::Error,
    },
    /// A thread of the store panicked: those who wait for it would wait for ever.
    #[error("panic in thread {thread}")]
    Panic {
        /// Its name.
        thread: &'static str,
    },
    /// Raft has stopped by itself.
    #[error("raft has stopped: {reason}")]
    Raft {
        /// What it said.
        reason: String,
    },
}

/// What is known of a command that was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was not applied and never will be; the same again would be refused again.
    Rejected,
    /// It was not applied and never will be; it may be proposed again, perhaps elsewhere.
    Retryable,
    /// It may have been applied, or may be yet: read before going on.
    Unknown,
}

/// Why a proposal has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ProposeError {
    /// Another node leads, or none that is known of: nothing was appended.
    #[error("this node does not lead, {}", leader_text(*.leader))]
    NotLeader {
        /// Who leads, if known.
        leader: Option<NodeId>,
    },
    /// The entry was appended, or may have been, and what became of it was not learnt.
    #[error("outcome of the proposal is unknown: {reason}")]
    Unknown {
        /// Why.
        reason: String,
    },
    /// The node is stopped or stopping: nothing was appended.
    #[error("the registry is stopped")]
    Stopped,
    /// The command is too large: nothing was appended.
    #[error("command of {bytes} bytes, allowed are {limit}")]
    TooLarge {
        /// Its encoded size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The disk is full: nothing was appended.
    #[error("disk of {path} has {free_bytes} bytes free, needed are {needed_bytes}")]
    DiskFull {
        /// The data directory.
        path: PathBuf,
        /// Free space when last looked at.
        free_bytes: u64,
        /// What has to be free.
        needed_bytes: u64,
    },
}

impl ProposeError {
    /// What is known of the command.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::TooLarge { .. } => Outcome::Rejected,
            Self::NotLeader { .. } | Self::Stopped | Self::DiskFull { .. } => Outcome::Retryable,
            Self::Unknown { .. } => Outcome::Unknown,
        }
    }
}

/// Why a linearizable read was not possible.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// Another node leads, or none that is known of.
    #[error("this node does not lead, {}", leader_text(*.leader))]
    NotLeader {
        /// Who leads, if known.
        leader: Option<NodeId>,
    },
    /// No quorum confirmed the leader, or the registry did not catch up, in time.
    #[error("read index not reached within {limit:?}")]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The node is stopped or stopping.
    #[error("the registry is stopped")]
    Stopped,
}

/// Why there is no snapshot that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SnapshotError {
    /// Not written in time; it may come yet.
    #[error("no snapshot within {limit:?}")]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The node is stopped or stopping.
    #[error("the registry is stopped")]
    Stopped,
}

/// Why the membership is not as it was asked to be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ChangeError {
    /// It cannot be done as asked.
    #[error("membership not changed: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// It did not come about in time; it may do yet. To ask again is harmless.
    #[error("membership not changed within {limit:?}: {reason}")]
    TimedOut {
        /// The limit.
        limit: Duration,
        /// What last stood in the way.
        reason: String,
    },
    /// The node is stopped or stopping.
    #[error("the registry is stopped")]
    Stopped,
}

impl ChangeError {
    /// What is known of the change.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        match self {
            Self::Refused { .. } => Outcome::Rejected,
            Self::TimedOut { .. } => Outcome::Unknown,
            Self::Stopped => Outcome::Retryable,
        }
    }
}

/// Why a node is not in a group.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FormError {
    /// It will never be as it is configured: the process should end and say so.
    #[error("not admitted to cluster `{cluster}`: {reason}")]
    Refused {
        /// The cluster.
        cluster: String,
        /// Why.
        reason: String,
    },
    /// It is not yet.
    #[error("not in a group within {limit:?}: {reason}")]
    TimedOut {
        /// The limit.
        limit: Duration,
        /// What is being waited for.
        reason: String,
    },
    /// It was a member and has been removed.
    #[error("node {node} has been removed from its group")]
    Removed {
        /// This node.
        node: NodeId,
    },
    /// The node is stopped or stopping.
    #[error("the registry is stopped")]
    Stopped,
}

fn leader_text(leader: Option<NodeId>) -> String {
    leader.map_or_else(
        || "and no leader is known".to_owned(),
        |id| format!("node {id} does"),
    )
}

//! What coordinators of one cluster say to each other beside Raft: results, and live signs.
//!
//! - [`Peers`]: the calls to others, over channels that are kept.
//! - [`PeerService`]: what others call here.
//! - [`PeerDirectory`]: who the others are; [`Records`] reads it from the registry.
//! - [`relay()`]: the live signs of all others, shown on this node's board.
//!
//! **Invariant:** nothing said here decides anything: what counts is in the registry. Every call
//! names its cluster, its caller and the node it means, and every wait for an answer is bounded.

mod calls;
mod channels;
mod directory;
mod error;
mod leases;
mod live;
mod relay;
mod service;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use libra_proto::types::NodeId;

pub use calls::{Caller, WrongCall};
pub(crate) use channels::next_within;
pub use channels::{PeerOptions, Peers};
pub use directory::Records;
pub use error::PeerError;
pub(crate) use leases::{LeaseService, LeaseTerms};
pub use relay::relay;
pub use service::{PeerService, listening};

/// A coordinator of the cluster, as the registry knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerNode {
    /// Its id.
    pub node_id: NodeId,
    /// Where it answers gRPC: `host:port`.
    pub address: String,
    /// The id of its disk state: a wiped node is another one.
    pub store_uuid: String,
}

/// Who is in the cluster; asked anew for every call, never waited for.
pub trait PeerDirectory: Send + Sync + 'static {
    /// One node; `None` for one that is not known.
    fn node(&self, id: NodeId) -> Option<PeerNode>;

    /// All nodes that are not known to be down, this one too.
    fn nodes(&self) -> Vec<PeerNode>;
}

//! Results on several nodes, while they are written and afterwards.
//!
//! - `set`, `pump`: on the owner, the copies of one result, and what brings one of them on.
//! - `receive`, `copy_file`, `frames`: on the other side, a copy as it comes in.
//! - `fence`: who may still write.
//! - `search`, `fetch`: a new owner's way to the longest copy; a sealed file's to one more holder.
//!
//! **Invariant:** a copy is taken byte for byte behind the very bytes it has, never past a gap and
//! never from a writer of an older epoch; a node counts as a holder only if what it has durably is
//! the whole file. A copy that does not come on within the peers' patience is done without.

mod copy_file;
mod fence;
mod fetch;
mod frames;
mod pump;
mod receive;
mod search;
mod set;

#[cfg(test)]
mod tests;

use async_trait::async_trait;
use libra_proto::types::{Epoch, JobId, NodeId};

pub(crate) use copy_file::CopyPlace;
pub(crate) use fence::Fence;
pub use fetch::CopyError;
pub(crate) use receive::{ReceiveError, Receiving};
pub(crate) use search::Earlier;
pub(crate) use set::Copies;

/// What the registry is told of the nodes that hold a result, or holds itself.
#[async_trait]
pub trait ReplicaBook: Send + Sync + 'static {
    /// Notes the nodes that hold the result while it is written, the owner first. Best effort: it is
    /// not waited for, and what is noted matters only if the owner dies.
    async fn note(&self, job: JobId, epoch: Epoch, nodes: Vec<NodeId>);

    /// Whether the end of a statement may bring a result of so many bytes along, for the registry
    /// to hold instead of files.
    fn has_room(&self, bytes: u64) -> bool;
}

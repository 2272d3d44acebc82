//! The registry's Raft group on simulated time: openraft, the store and the state machine that
//! production runs, on one thread, under a clock that jumps from event to event.
//!
//! - [`Runtime`]: openraft's simulation runtime, with a [`Life`] around all that one process runs,
//!   so that a process can be paused or killed between two polls.
//! - [`Member`]: one node of the group. What production does over gRPC and tokio's clock it does by
//!   a [`Carrier`] and this one's: the thin part of [`crate::Handle`] that the simulation has anew.
//! - [`Witness`]: sees the registry after every single entry.
//!
//! **Invariant:** with equal seeds everything happens in the same order. Nothing here is in a build
//! that users get (feature `simulation`).

mod bell;
mod carrier;
mod member;
mod runtime;
mod witness;

pub use bell::{Bell, Listener};
pub use carrier::{Answer, Carried, Carrier, Message};
pub use member::{Member, Setup, Status, Write};
pub use runtime::{Life, Runtime};
pub use witness::Witness;

use crate::type_config::{Peer, Proposal};
use libra_proto::registry::Applied;

openraft::declare_raft_types!(
    /// The group's types, on simulated time.
    pub(crate) SimTypes:
        D = Proposal,
        R = Option<Box<Applied>>,
        NodeId = u64,
        Node = Peer,
        Term = u64,
        LeaderId = crate::type_config::LeaderId,
        AsyncRuntime = Runtime,
);

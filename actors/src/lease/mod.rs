//! Leases: which node may act for its sessions, and which is given up.
//!
//! - On every node the `keeper` renews the node's [`Lease`] at the leader; [`owner`] says when it
//!   is over, and the `fence` of each session actor lets nothing through while it is.
//! - On the leader the `detector` counts the renewals; [`clocks`] says who is down.
//!
//! **Invariant:** the lease of a node is over by its own clock before the leader gives its sessions
//! away, whatever is lost, late or doubled between them, as long as their monotonic clocks differ
//! in rate by less than the margin. No wall clock is read.

mod clocks;
mod detector;
mod fence;
mod held;
mod keeper;
mod options;
mod owner;

pub use clocks::{Liveness, Observed, Refusal, Renewal};
pub use detector::DetectorHandle;
pub(crate) use detector::{Detector, DetectorArguments};
pub(crate) use fence::{Fence, Owner};
pub use held::{Lease, LeaseView};
pub(crate) use keeper::{Keeper, KeeperArguments};
pub use options::{Options, Setup};
pub use owner::Spell;

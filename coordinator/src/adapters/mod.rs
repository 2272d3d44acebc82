//! The joints between the actors' ports and the real things.
//!
//! **Invariant:** nothing is decided here: a call is handed on, and its answer translated.

mod directory;
mod lease;
mod registry;
mod replicas;

pub use directory::RegisteredNodes;
pub(crate) use lease::{RaftLease, Renewing};
pub use registry::RaftRegistry;

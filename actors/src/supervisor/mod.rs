//! Who starts the actors and starts them again.
//!
//! The root supervisor holds the node's own actors; under it the session supervisor holds one
//! session actor for each session that this node owns.
//!
//! **Invariant:** a crashed session actor is followed by another only when nothing that it had
//! started runs any more, and no crash touches another session.

mod handler;
mod restart;
mod root;
mod sessions;

pub use restart::{History, Policy, Verdict};
pub use root::{Node, NodeOptions, StartError, Stopped};

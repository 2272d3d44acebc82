//! Who starts the actors and starts them again.
//!
//! The root supervisor holds the node's own actors: the session supervisor, and while this node
//! leads the registry the actors of the leader's role. The session supervisor holds one session
//! actor for each session that this node owns.
//!
//! **Invariant:** an actor that has ended is followed by another only when nothing that it had
//! started runs any more, and no crash touches another session.

mod handler;
mod node;
mod restart;
mod root;
mod roster;
mod sessions;
mod stray;

pub use node::{Drained, Node, NodeOptions, StartError, Stopped};
pub use restart::{History, Policy, Verdict};

//! The joints between the actors' ports and the real things.
//!
//! **Invariant:** nothing is decided here: a call is handed on, and its answer translated.

mod directory;
mod registry;

pub use directory::RegisteredNodes;
pub use registry::RaftRegistry;

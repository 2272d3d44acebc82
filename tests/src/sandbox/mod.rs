//! A registry in memory, without Raft and disk, for suites of the actors: the real state machine
//! behind the real port.
//!
//! **Invariant:** what a command does here is what it does in a cluster; only consensus is left out.

mod feed;
mod figures;
mod registry;
mod requests;
mod spark;

pub use figures::{QueueFigures, queue_figures};
pub use registry::{Committed, MemoryRegistry};
pub use requests::{cancel, cleanup_done, finish, open_session, pool, put_pool, settings, submit};
pub use spark::PretendSpark;

//! Sessions, their statements, the scheduler and the Spark Connect client.
//!
//! - [`supervisor`]: who starts the actors of a node; [`supervisor::Node`] is the way in.
//! - [`session`]: one actor per session; [`statement`]: one running statement.
//! - [`lease`]: which node may act for its sessions, and which is given up.
//! - [`scheduler`] grants slots by the rules of [`fair`] to what waits in its pools; [`reaper`]
//!   commits what time brings.
//! - [`spark`]: the Spark Connect client.
//! - [`ports`]: what all of them need from outside.
//!
//! **Invariant:** this crate knows no consensus, no disk and no HTTP server: the registry, the
//! result store and the board of live signs are traits of [`ports`].

mod dial;
pub mod failpoint;
pub mod fair;
pub mod lease;
mod mandate;
pub(crate) mod pool;
pub mod ports;
mod pump;
pub mod reaper;
mod registry_clock;
pub mod scheduler;
pub mod session;
pub mod spark;
pub mod statement;
pub mod supervisor;

pub use dial::Dial;
pub use registry_clock::Estimate;

//! The replicated registry: what every node holds alike, and the one function that changes it.
//!
//! [`Registry::apply`] takes log entries in order and nothing else decides anything; everything
//! else here reads. The records ([`libra_proto::registry`]) are the truth and what a snapshot
//! holds; the indexes beside them are derived and rebuilt on restore.
//!
//! **Invariant:** PURE. No runtime, no consensus library, no disk, no clock, no randomness and no
//! hash map: equal entries in equal order give equal state, byte for byte, on every node.

mod apply;
mod cluster;
mod copies;
mod demand;
mod error;
mod idempotency;
mod indexes;
mod invariants;
mod placement;
mod queries;
mod retention;
mod revive;
mod snapshot;
mod state;
mod update;

#[cfg(test)]
mod tests;

pub use cluster::{Shortages, UnderCopied};
pub use error::RestoreError;
pub use idempotency::{Idempotent, IdempotentTarget, session_key};
pub use invariants::Violation;
pub use queries::{PoolLoad, StatementCounts, Totals};
pub use state::{FEATURE_LEVEL, Registry, SHARED_SESSION};

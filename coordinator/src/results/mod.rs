//! Results of statements: stored as Spark sent them, rendered when they are read.
//!
//! - [`store`]: one append-only file per (job, epoch), durable before a statement's end is committed.
//! - [`read`]: pages, CSV and one Arrow stream out of such a file, one batch in memory at a time.
//! - [`replicate`]: copies on other nodes, while a result is written and afterwards.
//! - [`render`]: Spark's types as DDL text, their values as JSON and CSV.
//!
//! **Invariant:** a sealed file is never written again, and a file that does not match its manifest
//! is never served; rows pass through no mailbox and through no Raft log.

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod metrics;
pub mod read;
pub mod render;
pub mod replicate;
pub mod store;

#[cfg(test)]
pub(crate) mod testing;

pub use metrics::ResultMetrics;
pub(crate) use read::Serving;
pub use read::{Page, ReadError, ResultReader};
pub use render::{Column, RenderOptions};
pub use replicate::{CopyError, ReplicaBook};
pub(crate) use replicate::{CopyPlace, ReceiveError, Receiving};
pub(crate) use store::Threads;
pub use store::{Limits, ResultStore, StoreOptions, StoredResult};

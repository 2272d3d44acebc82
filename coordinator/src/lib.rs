//! The coordinator: everything of the binary `libra` but its `main`.
//!
//! - [`config`]: what can be set, and from where.
//! - [`http`]: REST; over [`service`], which knows no HTTP.
//! - [`results`]: the result store and how results are rendered.
//! - [`adapters`]: the actors' ports over the registry; [`live`]: live signs of statements.
//! - `admin`: the operator's service, with health and reflection; [`backup`] is its file.
//! - [`peer`]: what coordinators say to each other beside Raft.
//! - [`run()`]: a coordinator from start to stop; what it does first is `bootstrap`, what it looks
//!   after beside requests is `upkeep`; `pool_metrics` counts what happens in pools.
//! - [`cli`], [`dev`], [`telemetry`]: the command, `libra dev`, logs.
//!
//! **Invariant:** only this crate reads configuration files, environment and arguments, binds
//! sockets, and names axum.

pub mod adapters;
mod admin;
pub mod bootstrap;
pub mod cli;
mod clock;
pub mod config;
pub mod dev;
#[cfg(feature = "fuzzing")]
pub mod fuzz;
mod grpc;
pub mod http;
pub mod live;
pub mod peer;
mod pool_metrics;
pub mod results;
mod run;
pub mod service;
pub mod telemetry;
mod upkeep;

/// The form of backup files: for whoever reads one without a cluster.
pub mod backup {
    pub use crate::admin::{BackupReader, BackupSummary, MalformedBackup};
}

pub use run::{RunError, run};

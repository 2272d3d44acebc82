//! What a node measures of itself beside requests, pools and results: Raft and its disk, what it
//! knows of the cluster, its lease, Spark, the process.
//!
//! The table of all metrics is `deploy/METRICS.md`; a test holds it against what a node shows.
//!
//! **Invariant:** names say their unit; labels are bounded by the configuration (nodes, endpoints,
//! calls), never by what clients send. What is read when somebody asks waits for nothing but the
//! registry's lock.

mod cluster;
mod gauges;
mod process;
mod raft;
mod spark;

use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use libra_actors::lease::Lease;
use libra_raft::Handle;
use prometheus::Registry;

use crate::service::Reachability;

pub(crate) use spark::SparkMetrics;

/// Where the metrics of a node are read.
pub(crate) struct Sources {
    pub(crate) handle: Handle,
    pub(crate) reachability: Reachability,
    pub(crate) data_dir: PathBuf,
    pub(crate) spark: Arc<SparkMetrics>,
    pub(crate) results: crate::results::ResultMetrics,
    pub(crate) lease: LeaseSlot,
}

/// The node's lease, from when its actors are started.
pub(crate) type LeaseSlot = Arc<OnceLock<Lease>>;

/// Registers everything.
///
/// # Errors
/// When one of the names is taken.
pub(crate) fn register(metrics: &Registry, sources: Sources) -> Result<(), prometheus::Error> {
    let handle = sources.handle;
    metrics.register(Box::new(raft::RaftMetrics::new(handle.clone())?))?;
    let cluster = cluster::ClusterMetrics::new(handle, sources.reachability, sources.lease)?;
    metrics.register(Box::new(cluster))?;
    metrics.register(Box::new(process::ProcessMetrics::new(sources.data_dir)?))?;
    sources.spark.register(metrics)?;
    sources.results.register(metrics)
}

//! `libra-bench cluster`: what a cluster of three costs and what it gives, beside one node, on the
//! disk and the cores of one machine.
//!
//! - [`latency`]: one statement at a time, alone and with three nodes, in turns.
//! - [`throughput`]: many clients over all nodes.
//! - [`growth`]: what lies on disk after many statements, and that it does not grow with them.
//!
//! **Invariant:** both sides run before the same stub at the same time, and are measured in turns.

mod growth;
mod latency;
mod throughput;

use std::time::Duration;

use anyhow::Result;

use super::clients::seconds;
use super::report::Report;

pub(super) const ONE: &str = "1 node";
pub(super) const THREE: &str = "3 nodes";
pub(super) const SMALL: &str = "SELECT 1";

/// How much is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Turns of latency and throughput; 0 leaves these parts out.
    #[arg(long, default_value_t = 5)]
    pub turns: usize,
    /// Statements whose latency is taken in one turn, on each side.
    #[arg(long, default_value_t = 200)]
    pub samples: usize,
    /// Seconds of one turn of throughput.
    #[arg(long = "seconds", default_value = "5", value_parser = seconds)]
    pub span: Duration,
    /// Numbers of clients; the goal is held against the best of them.
    #[arg(long, value_delimiter = ',', default_values_t = [64, 256])]
    pub clients: Vec<usize>,
    /// Statements after which sizes are looked at; 0 leaves that part out.
    #[arg(long, default_value_t = 100_000)]
    pub statements: usize,
}

/// Runs the benchmark.
///
/// # Errors
/// When a process does not start, or a statement fails.
pub async fn run(options: &Options) -> Result<Report> {
    let mut report = Report::begin("cluster")?;
    if options.turns > 0 && options.samples > 0 {
        latency::measure(options, &mut report).await?;
    }
    if options.turns > 0 && !options.clients.is_empty() {
        throughput::measure(options, &mut report).await?;
    }
    if options.statements > 0 {
        growth::measure(options, &mut report).await?;
    }
    report.end()
}

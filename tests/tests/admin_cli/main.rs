//! `libra admin` against real coordinators: what each command does, and what it says when it
//! cannot.
//!
//! **Invariant:** commands are run as processes, and judged by exit code and output alone.

mod cluster;
mod errors;
mod files;
mod shown;

use anyhow::{Context, Result};
use libra_tests::harness::{Cluster, Ended, libra};
use serde_json::Value;

/// `libra admin` with these words at one node of a cluster.
async fn at(cluster: &Cluster, node: u64, line: &str) -> Result<Ended> {
    at_endpoint(&endpoint(cluster, node)?, line).await
}

/// The same with `--output json`; what it said.
async fn json(cluster: &Cluster, node: u64, line: &str) -> Result<Value> {
    let ended = at(cluster, node, &format!("{line} --output json")).await?;
    ended.json().with_context(|| line.to_owned())
}

async fn at_endpoint(endpoint: &str, line: &str) -> Result<Ended> {
    let words = ["admin", "--endpoint", endpoint].into_iter();
    let words: Vec<&str> = words.chain(line.split(' ')).collect();
    libra(&words).await
}

fn endpoint(cluster: &Cluster, node: u64) -> Result<String> {
    Ok(format!("127.0.0.1:{}", cluster.node(node)?.grpc()))
}

//! Failover on three processes and a real Spark: what Spark ran is counted by Spark.
//!
//! Needs what `tests/run real` provides. Tests named `long_*` run only by `tests/run long`.
//!
//! **Invariant:** one Spark, no stub: executions are told apart by markers in their plans.
#![expect(
    clippy::print_stdout,
    reason = "shown by the test runner when a test fails, or when it is asked for"
)]

mod all;
mod bytes;
mod kills;
mod many;
mod paused;
mod rolling;

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use libra_tests::harness::{Cluster, ClusterBuilder, SharedSpark, State, Statement, Submit};

/// Long enough for a statement of twenty seconds on a machine that is busy with other things.
const SOON: Duration = Duration::from_secs(90);

/// Three nodes in ISOLATED mode that are to be.
fn three(spark: &SharedSpark) -> ClusterBuilder {
    Cluster::on(&spark.endpoint).isolated(40)
}

fn succeeded(statement: &Statement) -> Result<()> {
    let (job, state, error) = (&statement.job_id, statement.state, &statement.error);
    ensure!(state == State::Succeeded, "{job} {state}: {error:?}");
    Ok(())
}

/// A session that node `wanted` owns, made by trying ids; that it works is seen.
async fn session_of(cluster: &Cluster, wanted: u64) -> Result<String> {
    for n in 0..12 {
        let session = format!("of-{wanted}-{n}");
        let first = Submit::sql("SELECT 1");
        succeeded(&cluster.any()?.run(&session, &first, SOON).await?)?;
        if cluster.owner_of(&session).await? == wanted {
            return Ok(session);
        }
    }
    bail!("no session came to node {wanted}")
}

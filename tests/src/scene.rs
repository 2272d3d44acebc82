//! What the suites of several nodes begin with: a stub with its ledger, a cluster before it, and
//! statements told apart by markers.
//!
//! **Invariant:** what ran is counted by the stub, never by Libra.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail, ensure};

use crate::harness::{
    Cluster, ClusterBuilder, Marker, State, Statement, Submit, built_binary, until,
};
use crate::stub::engine::Settings;
use crate::stub::process::StubProcess;

/// Long enough for what takes a moment, also on a machine that is busy with other things.
pub const SOON: Duration = Duration::from_secs(40);

/// A stub in a process of its own.
///
/// # Errors
/// When its binary is missing or does not start.
pub async fn stub() -> Result<Arc<StubProcess>> {
    let binary = built_binary("stub-spark", "libra-tests")?;
    Ok(Arc::new(
        StubProcess::start(&binary, &Settings::default()).await?,
    ))
}

/// Three nodes before it that are to be.
#[must_use]
pub fn three(stub: &StubProcess) -> ClusterBuilder {
    Cluster::on(stub.connection_string())
}

/// A statement that does what `directive` says, told apart by a marker.
#[must_use]
pub fn sql(directive: &str) -> Submit {
    Submit::sql(format!("/* stub: {directive} */ SELECT {}", Marker::new()))
}

/// A session that node `wanted` owns, made by trying ids; that it works is seen.
///
/// # Errors
/// When none comes to that node.
pub async fn session_of(cluster: &Cluster, wanted: u64) -> Result<String> {
    for n in 0..cluster.ids().len() * 4 {
        let session = format!("of-{wanted}-{n}");
        let first = Submit::sql("SELECT 1");
        let first = cluster.any()?.run(&session, &first, SOON).await?;
        ensure!(first.state == State::Succeeded, "{:?}", first.error);
        if cluster.owner_of(&session).await? == wanted {
            return Ok(session);
        }
    }
    bail!("no session came to node {wanted}")
}

/// Waits until the stub has begun a statement.
///
/// # Errors
/// When it does not in time.
pub async fn begun(stub: &StubProcess, statement: &Statement) -> Result<()> {
    until("Spark to run the statement", SOON, || async {
        let runs = stub.executions_of(&statement.operation_id).await?;
        Ok(!runs.is_empty())
    })
    .await
}

/// Checks that every operation ran once at most.
///
/// # Errors
/// When one ran twice.
pub async fn nothing_ran_twice(stub: &StubProcess) -> Result<()> {
    let mut operations = BTreeSet::new();
    for execution in stub.executions().await? {
        let (id, code) = (execution.operation_id, execution.code);
        ensure!(operations.insert(id.clone()), "{id} ran twice: {code}");
    }
    Ok(())
}

/// How often what is measured is repeated: a few times, or as `LIBRA_TEST_REPEATS` says.
///
/// # Errors
/// When that is no number.
pub fn repeats(few: usize) -> Result<usize> {
    match std::env::var("LIBRA_TEST_REPEATS") {
        Ok(text) => Ok(text.parse()?),
        Err(_) => Ok(few),
    }
}

/// Checks that a statement ended well.
///
/// # Errors
/// When it did not.
pub fn succeeded(statement: &Statement) -> Result<()> {
    let (job, state, error) = (&statement.job_id, statement.state, &statement.error);
    ensure!(state == State::Succeeded, "{job} {state}: {error:?}");
    Ok(())
}

//! A cluster of real processes before the stub: what is true of one coordinator is true of any of
//! several, one of them gone included.
//!
//! `LIBRA_TEST_REPEATS` says how often what is measured is repeated.
//!
//! **Invariant:** what ran is counted by the stub's ledger, and no test looks inside Libra.

mod anywhere;
mod formation;
mod keys;
mod leader;
mod membership;
mod polls;
mod quorum;
mod spread;
mod wiped;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use libra_tests::harness::{
    Cluster, ClusterBuilder, Marker, State, Statement, Submit, built_binary, until_some,
};
use libra_tests::stub::engine::Settings;
use libra_tests::stub::process::StubProcess;

/// Long enough for what takes a moment, also on a machine that is busy with other things.
const SOON: Duration = Duration::from_secs(40);

async fn stub() -> Result<Arc<StubProcess>> {
    let binary = built_binary("stub-spark", "libra-tests")?;
    Ok(Arc::new(
        StubProcess::start(&binary, &Settings::default()).await?,
    ))
}

/// Three nodes that are to be.
fn three(stub: &StubProcess) -> ClusterBuilder {
    Cluster::on(stub.connection_string())
}

/// A statement that does what `directive` says, told apart by a marker.
fn sql(directive: &str) -> Submit {
    Submit::sql(format!("/* stub: {directive} */ SELECT {}", Marker::new()))
}

/// A session that node `wanted` owns: ids are tried until there is one.
async fn session_of(cluster: &Cluster, wanted: u64) -> Result<String> {
    for n in 0..cluster.ids().len() * 4 {
        let session = format!("of-{wanted}-{n}");
        let first = cluster.any()?.run(&session, &sql("rows=1"), SOON).await?;
        assert_succeeded(&first);
        if cluster.owner_of(&session).await? == wanted {
            return Ok(session);
        }
    }
    anyhow::bail!("no session came to node {wanted}")
}

/// Waits until the stub has begun a statement.
async fn begun(stub: &StubProcess, statement: &Statement) -> Result<()> {
    until_some("Spark to run the statement", SOON, || async {
        let runs = stub.executions_of(&statement.operation_id).await?;
        Ok((!runs.is_empty()).then_some(()))
    })
    .await
}

/// Every operation ran once at most.
async fn nothing_ran_twice(stub: &StubProcess) -> Result<()> {
    let mut operations = std::collections::BTreeSet::new();
    for execution in stub.executions().await? {
        let (id, code) = (execution.operation_id, execution.code);
        ensure!(operations.insert(id.clone()), "{id} ran twice: {code}");
    }
    Ok(())
}

/// How often what is measured is repeated: a few times, or as often as was asked for.
fn repeats(few: usize) -> Result<usize> {
    match std::env::var("LIBRA_TEST_REPEATS") {
        Ok(text) => Ok(text.parse()?),
        Err(_) => Ok(few),
    }
}

#[track_caller]
fn assert_succeeded(statement: &Statement) {
    assert_eq!(statement.state, State::Succeeded, "{:?}", statement.error);
}

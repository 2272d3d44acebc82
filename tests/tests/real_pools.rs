//! Pools on a real Spark: the pool of a statement goes through to Spark's own scheduler.
//!
//! Uses the shared server if it has the interceptor of `deploy/spark-plugin` (`tests/run real`
//! gives it to it), else one of its own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use libra_tests::harness::{
    Libra, Marker, SharedSpark, SparkRest, SparkServer, State, Submit, until,
};
use tempfile::TempDir;

const CLASSES: &str = "spark.connect.grpc.interceptor.classes";
const POOLS: [&str; 3] = ["high-priority", "interactive", "low-priority"];
/// Long enough for three statements on a machine that is busy with other things.
const SOON: Duration = Duration::from_secs(120);
/// Long enough for all three to run at the same time.
const SLEEP_MS: u64 = 3_000;

/// A server of the test's own, and the folder of its jar.
type Own = (SparkServer, TempDir);

/// A server whose tasks know pools; one of the test's own is to be held as long as it is needed.
async fn spark_with_pools() -> Result<(String, SparkRest, Option<Own>)> {
    let shared = SharedSpark::find()?;
    let classes = shared.rest.setting(CLASSES).await?.unwrap_or_default();
    if classes.contains("PoolInterceptor") {
        return Ok((shared.endpoint, shared.rest, None));
    }
    let folder = tempfile::tempdir()?;
    let jar = build_plugin(folder.path())?;
    let server = SparkServer::builder()
        .cores(8)
        .conf("spark.driver.extraClassPath", &jar.display().to_string())
        .conf(CLASSES, "org.libra.spark.PoolInterceptor")
        .start()
        .await?;
    Ok((server.endpoint(), server.rest()?, Some((server, folder))))
}

fn build_plugin(folder: &Path) -> Result<PathBuf> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/spark-plugin/build.sh");
    let jar = folder.join("pools.jar");
    let built = Command::new("sh").arg(script).arg(&jar).status()?;
    ensure!(built.success(), "the interceptor was not built: {built}");
    Ok(jar)
}

#[tokio::test]
async fn real_three_statements_of_one_session_run_each_in_its_own_pool() -> Result<()> {
    let (endpoint, rest, _own) = spark_with_pools().await?;
    let libra = Libra::on(&endpoint).start().await?;
    let api = &libra.api;
    let markers = POOLS.map(|_| Marker::new());
    let sent = POOLS.iter().zip(markers).map(|(pool, marker)| {
        let submit = Submit::sql(marker.sleeping(SLEEP_MS)).pool(pool);
        async move { api.try_submit("default", &submit, 0).await }
    });
    let mut jobs = Vec::new();
    for reply in try_join_all(sent).await? {
        let statement: libra_tests::harness::Statement = reply.json(&[202])?;
        jobs.push(statement.job_id);
    }
    until("all three pools to be busy in Spark", SOON, || async {
        let busy: BTreeSet<String> = rest.active_pools().await?.into_iter().collect();
        Ok(POOLS.iter().all(|pool| busy.contains(*pool)))
    })
    .await?;
    for job in &jobs {
        let ended = api.ended(job, SOON).await?;
        assert_eq!(ended.state, State::Succeeded, "{:?}", ended.error);
    }
    for (pool, marker) in POOLS.iter().zip(markers) {
        rest.ran(marker, 1).await?;
        until("Spark's record of its stages", SOON, || async {
            Ok(!rest.pools_of(marker).await?.is_empty())
        })
        .await
        .context(*pool)?;
        let seen = rest.pools_of(marker).await?;
        assert_eq!(seen, BTreeSet::from([(*pool).to_owned()]));
    }
    let log = libra.log()?;
    assert!(!log.contains("task-level pools are off"), "{log}");
    Ok(())
}

//! Exactly once on one node, on a real Spark: `libra` killed in the middle of things, and Spark
//! killed under it.
//!
//! **Invariant:** what Spark ran is counted by Spark, never by Libra.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use libra_tests::harness::{
    Libra, Marker, SharedSpark, SparkServer, State, Statement, Submit, bytes_below, until,
};
use serde_json::json;

const SOON: Duration = Duration::from_secs(120);

/// 100 000 rows of about 1 KB in 40 partitions, always the same bytes.
const HUNDRED_MEGABYTES: &str = "SELECT id, repeat(sha2(cast(id AS string), 256), 16) AS text \
     FROM range(0, 100000, 1, 40)";

#[tokio::test]
async fn real_killed_in_the_middle_of_a_statement_it_goes_on_and_spark_ran_it_once() -> Result<()> {
    let spark = SharedSpark::find()?;
    let mut libra = Libra::on(&spark.endpoint).start().await?;
    let (marker, next) = (Marker::new(), Marker::new());
    let submit = Submit::sql(marker.sleeping(10_000));
    let job = libra.api.submit("default", &submit).await?.job_id;
    spark.rest.until_running(marker, SOON).await?;

    libra.kill()?;
    libra.start().await?;

    let seen = libra.api.statement(&job).await?;
    assert_eq!(seen.state, State::Running, "{seen:?}");
    let after = libra
        .api
        .submit("default", &Submit::sql(next.sleeping(1)))
        .await?
        .job_id;
    for (job, marker) in [(job, marker), (after, next)] {
        let ended = libra.api.ended(&job, SOON).await?;
        assert_eq!(ended.state, State::Succeeded, "{:?}", ended.error);
        assert_eq!(ended.rows()[0][0], json!(marker.number()));
        spark.rest.ran(marker, 1).await?;
    }
    Ok(())
}

#[tokio::test]
async fn real_killed_in_the_middle_of_a_result_its_bytes_are_those_of_a_calm_run() -> Result<()> {
    let spark = SharedSpark::find()?;
    let mut libra = Libra::on(&spark.endpoint).start().await?;
    let calm = libra
        .api
        .run("default", &Submit::sql(HUNDRED_MEGABYTES), SOON)
        .await?;
    assert_eq!(calm.state, State::Succeeded, "{:?}", calm.error);
    let wanted = libra.api.arrow(&calm.job_id).await?;
    ensure!(wanted.len() > 100_000_000, "only {} bytes", wanted.len());

    let before = bytes_below(&libra.data_dir());
    let job = libra
        .api
        .submit("default", &Submit::sql(HUNDRED_MEGABYTES))
        .await?
        .job_id;
    until("a part of the result", SOON, || {
        let part = bytes_below(&libra.data_dir()).saturating_sub(before);
        async move { Ok(part > 10_000_000) }
    })
    .await?;
    libra.kill()?;
    let part = bytes_below(&libra.data_dir()).saturating_sub(before);
    ensure!(
        part < 100_000_000,
        "killed too late: {part} bytes were there"
    );
    libra.start().await?;

    let ended = libra.api.ended(&job, SOON).await?;
    assert_eq!(ended.state, State::Succeeded, "{:?}", ended.error);
    assert!(libra.api.arrow(&job).await? == wanted, "the bytes differ");
    Ok(())
}

#[tokio::test]
async fn real_when_spark_is_killed_the_outcome_is_unknown_and_the_session_comes_back() -> Result<()>
{
    let mut spark = SparkServer::builder().start().await?;
    let libra = Libra::on(&spark.endpoint()).start().await?;
    let api = &libra.api;
    let (marker, rest) = (Marker::new(), spark.rest()?);
    let job = api
        .submit("default", &Submit::sql(marker.sleeping(60_000)))
        .await?
        .job_id;
    until("Spark to run the statement", SOON, || async {
        Ok(rest.executions(marker).await? > 0)
    })
    .await?;
    let before = api.session("default").await?;

    spark.kill()?;
    let killed = Instant::now();
    let ended = api.ended(&job, SOON).await?;
    let told = killed.elapsed();
    assert_eq!(ended.state, State::Failed);
    let class = ended.error.and_then(|error| error.error_class);
    assert_eq!(class.as_deref(), Some("LIBRA_OUTCOME_UNKNOWN"));
    assert!(told < Duration::from_secs(5), "told after {told:?}");

    spark.restart().await?;
    until("the session to be reset by itself", SOON, || async {
        Ok(!api.session("default").await?.resets.is_empty())
    })
    .await?;
    let reply = api
        .try_submit("default", &Submit::sql("SELECT 1"), 60)
        .await?;
    let first: Statement = reply.json(&[200])?;
    assert_eq!(first.state, State::Succeeded, "{:?}", first.error);
    assert!(reply.header("libra-session-reset").is_some(), "not told");
    let second = api.run("default", &Submit::sql("SELECT 1"), SOON).await?;
    assert_eq!(second.state, State::Succeeded, "{:?}", second.error);
    let session = api.session("default").await?;
    assert_ne!(session.spark_session_id, before.spark_session_id);
    assert_eq!(session.resets.len(), 1, "{session:?}");
    assert_eq!(
        Some(&session.resets[0].old_spark_session_id),
        before.spark_session_id.as_ref()
    );
    assert_eq!(
        spark.rest()?.executions(marker).await?,
        0,
        "run again after the restart"
    );
    Ok(())
}

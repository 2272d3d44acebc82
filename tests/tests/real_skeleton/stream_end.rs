//! Statements that outlive Spark's response stream, which the server ends after a while.

use std::time::Duration;

use anyhow::Result;
use libra_tests::harness::{Libra, Marker, SharedSpark, SparkServer, Submit};
use serde_json::json;

use super::assert_succeeded;

const STREAM_LIMIT: &str = "spark.connect.execute.reattachable.senderMaxStreamDuration";

#[tokio::test]
async fn real_statements_longer_than_the_stream_end_well_and_run_once() -> Result<()> {
    let spark = SparkServer::builder()
        .cores(3)
        .conf(STREAM_LIMIT, "5s")
        .start()
        .await?;
    let libra = Libra::on(&spark.endpoint()).start().await?;
    let api = &libra.api;
    let limit = Duration::from_secs(120);

    // One is silent over four ends of the stream; the other sends a batch about every second.
    let silent = Marker::new();
    let silent_job = api
        .submit("default", &Submit::sql(silent.sleeping(25_000)))
        .await?;
    let chatty = Marker::new();
    let (first, last) = (chatty.number(), chatty.number() + 20);
    let code = format!(
        "SELECT id, reflect('java.lang.Thread', 'sleep', bigint(1000)) AS slept \
         FROM range({first}, {last}, 1, 20)"
    );
    let chatty_job = api.submit("default", &Submit::sql(code)).await?;

    let ended = api.ended(&silent_job.job_id, limit).await?;
    assert_succeeded(&ended);
    assert_eq!(ended.rows()[0][0], json!(silent.number()));
    assert!(
        ended.execution_time_ms >= Some(25_000),
        "{:?}",
        ended.execution_time_ms
    );
    spark.rest()?.ran(silent, 1).await?;

    let ended = api.ended(&chatty_job.job_id, limit).await?;
    assert_succeeded(&ended);
    assert!(
        ended.execution_time_ms >= Some(6_000),
        "{:?}",
        ended.execution_time_ms
    );
    let rows: Vec<_> = ended.rows().iter().map(|row| row[0].clone()).collect();
    let wanted: Vec<_> = (first..last).map(|id| json!(id)).collect();
    assert_eq!(rows, wanted, "no row lost, none twice");
    spark.rest()?.ran(chatty, 1).await
}

/// With Spark's own limit of two minutes.
#[tokio::test]
async fn long_a_statement_of_three_minutes_ends_well_and_runs_once() -> Result<()> {
    let spark = SharedSpark::find()?;
    let libra = Libra::on(&spark.endpoint).start().await?;
    let marker = Marker::new();
    let submit = Submit::sql(marker.sleeping(180_000));
    let ended = libra
        .api
        .run("default", &submit, Duration::from_secs(300))
        .await?;
    assert_succeeded(&ended);
    assert_eq!(ended.rows()[0][0], json!(marker.number()));
    assert!(
        ended.execution_time_ms >= Some(180_000),
        "{:?}",
        ended.execution_time_ms
    );
    spark.rest.ran(marker, 1).await
}

//! Cancelling statements that run and statements that wait.

use std::time::{Duration, Instant};

use anyhow::Result;
use libra_tests::harness::{Libra, Marker, SharedSpark, State, Submit};

use super::{SOON, assert_succeeded, skeleton};

/// The promise, on a machine that is idle: checked on the best of three.
const PROMISED: Duration = Duration::from_millis(500);
/// What every single one must keep even on a busy machine.
const ALWAYS: Duration = Duration::from_secs(10);

#[tokio::test]
async fn real_a_running_statement_is_cancelled_within_half_a_second() -> Result<()> {
    let (spark, libra) = skeleton().await?;
    let api = &libra.api;
    let mut took = Vec::new();
    for _ in 0..3 {
        let marker = Marker::new();
        let job = api
            .submit("default", &Submit::sql(marker.sleeping(60_000)))
            .await?
            .job_id;
        spark.rest.until_running(marker, SOON).await?;
        let cancel = api.cancel("default", &job).await?;
        assert!(
            cancel.statement.cancel_requested_at.is_some(),
            "{:?}",
            cancel.statement
        );
        let ended = api.ended(&job, SOON).await?;
        took.push(Instant::now() - cancel.answered);
        assert_eq!(ended.state, State::Cancelled);
        assert!(ended.result.is_none(), "{:?}", ended.result);

        let again = api.cancel("default", &job).await?.statement;
        assert_eq!(
            again, ended,
            "a cancel of an ended statement changes nothing"
        );
    }
    assert!(
        took.iter().all(|t| *t < ALWAYS),
        "from the answer to cancelled: {took:?}"
    );
    assert!(
        took.iter().any(|t| *t < PROMISED),
        "from the answer to cancelled: {took:?}"
    );
    assert_succeeded(&api.run("default", &Submit::sql("SELECT 1"), SOON).await?);
    Ok(())
}

#[tokio::test]
async fn real_a_queued_statement_that_is_cancelled_never_starts() -> Result<()> {
    let spark = SharedSpark::find()?;
    let libra = Libra::on(&spark.endpoint)
        .set("libra.scheduler.slots", 1)
        .start()
        .await?;
    let api = &libra.api;
    let (first, second) = (Marker::new(), Marker::new());
    let running = api
        .submit("default", &Submit::sql(first.sleeping(3000)))
        .await?;
    let waiting = api
        .submit("default", &Submit::sql(second.sleeping(1)))
        .await?;
    assert_eq!(waiting.state, State::Queued);

    let cancelled = api.cancel("default", &waiting.job_id).await?.statement;
    assert_eq!(
        (cancelled.state, cancelled.started_at),
        (State::Cancelled, None)
    );
    assert_succeeded(&api.ended(&running.job_id, SOON).await?);
    assert_succeeded(&api.run("default", &Submit::sql("SELECT 1"), SOON).await?);
    assert_eq!(spark.rest.executions(second).await?, 0);
    assert_eq!(
        api.statement(&waiting.job_id).await?.state,
        State::Cancelled
    );
    Ok(())
}

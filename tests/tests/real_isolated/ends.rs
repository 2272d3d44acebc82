//! Sessions end by request and by idleness, and open anew.

use std::time::Instant;

use anyhow::Result;
use libra_tests::harness::{Marker, SharedSpark, State, Submit};
use serde_json::json;

use super::{
    SOON, delete_session, isolated, logged, logged_once, post_session, result, run, until_state,
};

#[tokio::test]
async fn real_a_closed_session_keeps_its_results_and_opens_anew() -> Result<()> {
    let spark = SharedSpark::find()?;
    let libra = isolated()?.start().await?;
    let api = &libra.api;
    run(
        api,
        "user-alice",
        "CREATE TEMPORARY VIEW mine AS SELECT 42 AS answer",
    )
    .await?;
    let old = run(api, "user-alice", "SELECT answer, uuid() FROM mine").await?;
    let (shown, read) = result(api, &old).await?;
    let open = api.session("user-alice").await?;

    let marker = Marker::new();
    let running = Submit::sql(marker.sleeping(60_000));
    let running = api.submit("user-alice", &running).await?;
    spark.rest.until_running(marker, SOON).await?;
    delete_session(api, "user-alice").await?;
    let cancelled = api.ended(&running.job_id, SOON).await?;
    assert_eq!(cancelled.state, State::Cancelled, "{cancelled:?}");
    let closed = until_state(api, "user-alice", "closed").await?;
    assert_eq!(closed.epoch, open.epoch);
    delete_session(api, "user-alice").await?;
    let line = logged_once(&libra, "session closed", "user-alice").await?;
    assert!(line.contains("reason=\"closed by request\""), "{line}");
    assert_eq!(result(api, &old).await?, (shown.clone(), read.clone()));
    // The id is taken until retention: only a submit opens it.
    let taken = post_session(api, &json!({ "sessionId": "user-alice" })).await?;
    assert_eq!(taken.problem(409)?.code, "session-taken");

    let gone = api
        .run("user-alice", &Submit::sql("SELECT answer FROM mine"), SOON)
        .await?;
    assert_eq!(gone.state, State::Failed, "the views are gone: {gone:?}");
    let anew = api.session("user-alice").await?;
    assert_eq!((anew.state.as_str(), anew.epoch), ("idle", open.epoch + 1));
    assert_ne!(anew.spark_session_id, open.spark_session_id);
    assert!(anew.resets.is_empty(), "{anew:?}");
    assert_eq!(result(api, &old).await?, (shown, read));
    logged_once(&libra, "session created", "user-alice").await?;
    logged_once(&libra, "session reopened", "user-alice").await?;
    Ok(())
}

#[tokio::test]
async fn real_idle_sessions_are_gone_after_the_timeout_and_busy_ones_are_not() -> Result<()> {
    // Three seconds.
    let libra = isolated()?
        .set("libra.session.timeout-minutes", "0.05")
        .start()
        .await?;
    let api = &libra.api;
    let never = json!({ "sessionId": "patient", "timeoutMinutes": 0 });
    post_session(api, &never).await?.expect(&[201])?;
    let old = run(api, "user-bob", "SELECT 'old', uuid()").await?;
    let read = result(api, &old).await?;
    let ended = Instant::now();
    let busy = Submit::sql(Marker::new().sleeping(7_000));
    let busy = api.submit("user-busy", &busy).await?;

    until_state(api, "user-bob", "closed").await?;
    assert!(
        ended.elapsed().as_millis() >= 2_500,
        "{:?}",
        ended.elapsed()
    );
    let line = logged_once(&libra, "session closed", "user-bob").await?;
    assert!(line.contains("reason=\"idle\""), "{line}");
    assert_eq!(result(api, &old).await?, read);
    let busy = api.ended(&busy.job_id, SOON).await?;
    assert_eq!(busy.state, State::Succeeded, "{:?}", busy.error);
    assert!(busy.execution_time_ms.unwrap_or_default() > 6_000);
    until_state(api, "user-busy", "closed").await?;
    assert_eq!(api.session("patient").await?.state, "idle");
    assert_eq!(logged(&libra, "session closed", "patient")?, [""; 0]);

    run(api, "user-bob", "SELECT 'new'").await?;
    let anew = api.session("user-bob").await?;
    assert_eq!(anew.epoch, 2, "{anew:?}");
    Ok(())
}

//! A session actor that panics, and a coordinator that is started again.

use anyhow::Result;
use bytes::Bytes;
use libra_tests::harness::{Api, Libra, Marker, SharedSpark, Submit};
use serde_json::{Value, json};

use super::{SOON, assert_succeeded, skeleton};

/// Passed every time a session actor looks at its session: later than a start needs, once.
const PANIC: &str = "session-actor-panic=20*off->1*panic";

#[tokio::test]
async fn real_a_panicking_session_actor_comes_back_and_its_statements_go_on() -> Result<()> {
    let spark = SharedSpark::find()?;
    let libra = Libra::on(&spark.endpoint)
        .env("FAILPOINTS", PANIC)
        .start()
        .await?;
    let api = &libra.api;
    let long = Marker::new();
    let running = api
        .submit("default", &Submit::sql(long.sleeping(10_000)))
        .await?;
    spark.rest.until_running(long, SOON).await?;

    let mut others = Vec::new();
    while !libra.log()?.contains("failpoint session-actor-panic panic") {
        let state = api.statement(&running.job_id).await?.state;
        assert!(
            !state.ended(),
            "the actor did not panic while a statement ran"
        );
        let marker = Marker::new();
        let job = api
            .submit("default", &Submit::sql(marker.sleeping(10)))
            .await?
            .job_id;
        others.push((job, marker));
    }
    for (job, marker) in others.iter().chain([&(running.job_id, long)]) {
        let ended = api.ended(job, SOON).await?;
        assert_succeeded(&ended);
        assert_eq!(ended.rows()[0][0], json!(marker.number()));
        spark.rest.ran(*marker, 1).await?;
    }
    let session = api.session("default").await?;
    assert_eq!(
        (session.state.as_str(), session.resets.len()),
        ("idle", 0),
        "{session:?}"
    );
    assert_succeeded(&api.run("default", &Submit::sql("SELECT 1"), SOON).await?);
    Ok(())
}

/// What a client can read of a statement: as JSON, page by page, as Arrow, as CSV.
async fn everything(api: &Api, job: &str) -> Result<Vec<Bytes>> {
    let mut all = vec![
        api.get(&format!("statements/{job}"))
            .await?
            .expect(&[200])?
            .body
            .clone(),
    ];
    all.extend(
        api.pages(job, 100)
            .await?
            .into_iter()
            .map(|(_, bytes)| bytes),
    );
    all.push(api.arrow(job).await?);
    all.push(api.csv(job).await?.into());
    Ok(all)
}

/// The session without what a restart may change.
async fn lasting(api: &Api) -> Result<Value> {
    let mut session: Value = api.get("sessions/default").await?.json(&[200])?;
    if let Some(fields) = session.as_object_mut() {
        fields.remove("lastActivity");
        fields.remove("state");
    }
    Ok(session)
}

async fn restart_keeps_everything(kill: bool) -> Result<()> {
    let (_spark, mut libra) = skeleton().await?;
    let view = "CREATE TEMPORARY VIEW kept AS SELECT 42 AS answer";
    assert_succeeded(&libra.api.run("default", &Submit::sql(view), SOON).await?);
    let rows = "SELECT id, uuid() AS random, array(id, NULL) AS list FROM range(500)";
    let rows = libra.api.run("default", &Submit::sql(rows), SOON).await?;
    assert_succeeded(&rows);
    let failed = libra
        .api
        .run("default", &Submit::sql("SELEC 1"), SOON)
        .await?;
    let results = everything(&libra.api, &rows.job_id).await?;
    let list = libra.api.get("statements?limit=10").await?.text();
    let session = lasting(&libra.api).await?;

    if kill {
        libra.kill()?;
    } else {
        let status = libra.stop().await?;
        assert!(status.success(), "SIGTERM ended it with {status}");
    }
    libra.start().await?;

    assert_eq!(everything(&libra.api, &rows.job_id).await?, results);
    assert_eq!(libra.api.statement(&failed.job_id).await?, failed);
    assert_eq!(libra.api.get("statements?limit=10").await?.text(), list);
    assert_eq!(lasting(&libra.api).await?, session);
    let next = libra
        .api
        .run("default", &Submit::sql("SELECT answer FROM kept"), SOON)
        .await?;
    assert_succeeded(&next);
    assert_eq!(
        next.rows(),
        [vec![json!(42)]],
        "the Spark session is the same one"
    );
    assert_eq!(next.job_number()?, failed.job_number()? + 1);
    Ok(())
}

#[tokio::test]
async fn real_a_stopped_idle_coordinator_comes_back_with_everything() -> Result<()> {
    restart_keeps_everything(false).await
}

#[tokio::test]
async fn real_a_killed_idle_coordinator_comes_back_with_everything() -> Result<()> {
    restart_keeps_everything(true).await
}

//! Spark's driver dies and another takes its place: what ran ends unknown, what was accepted for
//! the lost session says so, and the session works again by itself.

use std::time::Instant;

use anyhow::Result;
use libra_tests::harness::{Libra, Statement, Submit};
use libra_tests::stub::engine::Settings;
use libra_tests::stub::server::StubSpark;

use super::{
    SOON, TOLD, accepted, apart, assert_succeeded, begun, class, ended, killed_unanswered, ran,
    sql, together,
};

/// The session has a new Spark session, says why and when, and says it once to who submits next.
async fn started_anew(libra: &Libra, before: Option<String>) -> Result<()> {
    let reply = libra.api.try_submit("default", &sql("rows=3"), 30).await?;
    assert_succeeded(&reply.json::<Statement>(&[200, 202])?);
    let session = libra.api.session("default").await?;
    let [reset] = session.resets.as_slice() else {
        anyhow::bail!("one reset expected: {session:?}");
    };
    assert_eq!(Some(&reset.old_spark_session_id), before.as_ref());
    assert_ne!(session.spark_session_id, before);
    assert!(!reset.reason.is_empty());
    let told = reply.header("libra-session-reset");
    let told = told.and_then(|text| serde_json::from_value(text.into()).ok());
    assert_eq!(told, Some(reset.at.clone()), "{:?}", reply.headers);

    let reply = libra.api.try_submit("default", &sql("rows=3"), 30).await?;
    assert_succeeded(&reply.json::<Statement>(&[200, 202])?);
    assert_eq!(reply.header("libra-session-reset"), None, "told twice");
    Ok(())
}

async fn spark_session(libra: &Libra) -> Result<Option<String>> {
    Ok(libra.api.session("default").await?.spark_session_id)
}

/// One statement that runs and one that waits for its slot.
async fn two(stub: &StubSpark, libra: &Libra) -> Result<(Statement, Statement)> {
    let running = accepted(libra, "hang").await?;
    begun(stub, &running).await?;
    Ok((running, accepted(libra, "rows=3").await?))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_that_dies_under_a_statement_is_told_and_the_session_starts_anew() -> Result<()> {
    let (stub, libra) = together(Settings::default(), 1).await?;
    let (running, queued) = two(&stub, &libra).await?;
    let before = spark_session(&libra).await?;
    let path = format!("sessions/default/statements/{}/events", queued.job_id);
    let api = libra.api.clone();
    let events = tokio::spawn(async move { api.get(&path).await });

    stub.restart_driver();
    let died = Instant::now();
    let lost = ended(&libra, &running.job_id).await?;
    assert_eq!(class(&lost), "LIBRA_OUTCOME_UNKNOWN");
    assert!(died.elapsed() < TOLD, "told after {:?}", died.elapsed());
    let waited = ended(&libra, &queued.job_id).await?;
    assert_eq!(class(&waited), "LIBRA_SESSION_RESET");
    started_anew(&libra, before).await?;
    let events = events.await??.text();
    assert!(events.contains("event: session-reset"), "{events}");
    assert!(events.contains("event: end"), "{events}");
    assert_eq!(
        (ran(&stub, &running.code), ran(&stub, &queued.code)),
        (1, 0)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_driver_replaced_while_the_coordinator_was_down_is_noticed() -> Result<()> {
    let (stub, mut libra) = apart(Settings::default(), 1).await?;
    let running = killed_unanswered(&stub, &mut libra, "hang").await?;
    stub.restart_driver();
    libra.start().await?;
    let lost = ended(&libra, &running.job).await?;
    assert_eq!(class(&lost), "LIBRA_OUTCOME_UNKNOWN");
    let session = libra.api.session("default").await?;
    let old = session
        .resets
        .first()
        .map(|r| r.old_spark_session_id.clone());
    assert!(old.is_some() && old == lost.spark_session_id, "{session:?}");
    started_anew(&libra, old).await?;
    assert_eq!(ran(&stub, &running.code), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_kills_the_driver_is_not_run_again() -> Result<()> {
    let (stub, libra) = together(Settings::default(), 2).await?;
    let before = spark_session(&libra).await?;
    let deadly = libra
        .api
        .run("default", &sql("delay_ms=100 crash"), SOON)
        .await?;
    assert_eq!(class(&deadly), "LIBRA_OUTCOME_UNKNOWN");
    started_anew(&libra, before).await?;
    assert_eq!(ran(&stub, &deadly.code), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_session_whose_driver_was_replaced_fails_one_statement_and_says_why() -> Result<()>
{
    let (stub, libra) = together(Settings::default(), 2).await?;
    let first = libra.api.run("default", &sql("rows=3"), SOON).await?;
    assert_succeeded(&first);
    stub.restart_driver();
    let lost = libra
        .api
        .run("default", &Submit::sql("SELECT 1"), SOON)
        .await?;
    assert_eq!(class(&lost), "LIBRA_SESSION_RESET", "it was never sent");
    assert_eq!(ran(&stub, &lost.code), 0);
    started_anew(&libra, first.spark_session_id).await
}

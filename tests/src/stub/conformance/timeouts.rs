//! What time does: streams are cut, operations and sessions that nobody asks for are removed.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libra_proto::spark::get_status_response::operation_status::OperationState as State;

use super::probe::{Probe, failed, new_id, refused};
use super::{Needs, Scenario, Target};
use crate::harness::{Marker, until};

/// Longer than any limit of [`super::SHORT_CONFS`] with its maintenance interval.
const OVER: Duration = Duration::from_secs(30);

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new("a stream that lasts too long ends well without result_complete", |t| {
        Box::pin(cut_by_time(t))
    })
    .needing(Needs::ShortTimeouts),
    Scenario::new("a stream that grew too large ends well without result_complete", |t| {
        Box::pin(cut_by_size(t))
    })
    .needing(Needs::ShortTimeouts),
    Scenario::new("an operation that nobody reads is cancelled and abandoned", |t| {
        Box::pin(detached(t))
    })
    .needing(Needs::ShortTimeouts),
    Scenario::new("a client that left counts as attached until its stream's time is over", |t| {
        Box::pin(left(t))
    })
    .needing(Needs::ShortTimeouts),
    Scenario::new("an idle session is closed for good", |t| Box::pin(idle(t)))
        .needing(Needs::ShortTimeouts),
];

async fn cut_by_time(target: &Target) -> Result<()> {
    let (operation, marker) = (new_id(), Marker::new());
    let probe = Probe::open(target).await?;
    let running = probe.execute(&operation, &marker.sleeping(6_000)).await;
    let read = running.rest().await;
    ensure!(read.failure.is_none() && !read.is_complete(), "{read:?}");
    let last = *read.ids().last().context("no response")?;
    let rest = probe.reattach(&operation, Some(last)).await.rest().await;
    ensure!(rest.is_complete() && rest.rows() == 1, "{rest:?}");
    target.ran(marker, 1).await
}

async fn cut_by_size(target: &Target) -> Result<()> {
    let operation = new_id();
    let sql = "SELECT id, repeat('x', 1000) AS v FROM range(0, 37000, 1, 4)";
    let probe = Probe::open(target).await?;
    let read = probe.execute(&operation, sql).await.rest().await;
    ensure!(read.failure.is_none() && !read.is_complete(), "{:?}", read.failure);
    ensure!(read.rows() < 37_000, "{} rows", read.rows());
    let last = *read.ids().last().context("no response")?;
    let rest = probe.reattach(&operation, Some(last)).await.rest().await;
    ensure!(rest.is_complete(), "{:?}", rest.failure);
    ensure!(read.rows() + rest.rows() == 37_000, "{} rows more", rest.rows());
    Ok(())
}

async fn detached(target: &Target) -> Result<()> {
    let abandoned = "INVALID_HANDLE.OPERATION_ABANDONED";
    let operation = new_id();
    let sql = Marker::new().sleeping(60_000);
    let probe = Probe::open(target).await?;
    let read = probe.execute(&operation, &sql).await.rest().await;
    ensure!(read.failure.is_none() && !read.is_complete(), "{read:?}");
    until("the operation to be abandoned", OVER, || async {
        Ok(probe.state(&operation).await? == State::Cancelled)
    })
    .await?;
    failed(&probe.reattach(&operation, None).await.rest().await, abandoned)?;
    failed(&probe.execute(&operation, &sql).await.rest().await, abandoned)
}

async fn left(target: &Target) -> Result<()> {
    let operation = new_id();
    let probe = Probe::open(target).await?;
    let begun = std::time::Instant::now();
    let mut running = probe.execute(&operation, &Marker::new().sleeping(60_000)).await;
    running.first().await?;
    drop(running);
    until("the operation to be abandoned", OVER, || async {
        Ok(probe.state(&operation).await? == State::Cancelled)
    })
    .await?;
    // 4 s of stream, then 3 s detached: not 3 s from when the client left.
    ensure!(begun.elapsed() >= Duration::from_secs(6), "after {:?}", begun.elapsed());
    Ok(())
}

async fn idle(target: &Target) -> Result<()> {
    let closed = "INVALID_HANDLE.SESSION_CLOSED";
    let probe = Probe::open(target).await?;
    probe.server_id().await?;
    // Asking would keep it alive: only time helps.
    tokio::time::sleep(Duration::from_secs(15)).await;
    refused(probe.spark_version().await, closed)?;
    failed(&probe.execute(&new_id(), "SELECT 1").await.rest().await, closed)
}

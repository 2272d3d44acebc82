//! What time does: streams are cut, operations and sessions that nobody asks for are removed.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use libra_proto::spark::get_status_response::operation_status::OperationState as State;

use super::probe::{Probe, new_id};
use super::reading::{Read, failed, refused};
use super::{Needs, Scenario, Target};
use crate::harness::{Marker, until};

/// Longer than any limit of [`super::SHORT_CONFS`] with its maintenance interval.
const OVER: Duration = Duration::from_secs(30);

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "a stream that lasts too long ends well without result_complete",
        |t| Box::pin(cut_by_time(t)),
    )
    .needing(Needs::ShortTimeouts),
    Scenario::new(
        "a stream that grew too large ends well without result_complete",
        |t| Box::pin(cut_by_size(t)),
    )
    .needing(Needs::ShortTimeouts),
    Scenario::new(
        "an operation that nobody reads is cancelled and abandoned",
        |t| Box::pin(detached(t)),
    )
    .needing(Needs::ShortTimeouts),
    Scenario::new(
        "a client that left counts as attached until its stream's time is over",
        |t| Box::pin(left(t)),
    )
    .needing(Needs::ShortTimeouts),
    Scenario::new("an idle session is closed for good", |t| Box::pin(idle(t)))
        .needing(Needs::ShortTimeouts),
];

/// Reads an operation to its end by as many streams as it takes; all but the last must end well.
async fn streams(probe: &Probe, operation: &str, sql: &str) -> Result<Vec<(Read, Duration)>> {
    let mut streams = Vec::new();
    let mut last: Option<String> = None;
    loop {
        let begun = Instant::now();
        let reading = match &last {
            None => probe.execute(operation, sql).await,
            Some(id) => probe.reattach(operation, Some(id)).await,
        };
        let read = reading.rest().await;
        ensure!(read.failure.is_none(), "{:?}", read.failure);
        last = read.ids().last().map(|id| (*id).to_owned()).or(last);
        let complete = read.is_complete();
        streams.push((read, begun.elapsed()));
        if complete {
            return Ok(streams);
        }
    }
}

async fn cut_by_time(target: &Target) -> Result<()> {
    let marker = Marker::new();
    let probe = Probe::open(target).await?;
    let streams = streams(&probe, &new_id(), &marker.sleeping(6_000)).await?;
    ensure!(streams.len() > 1, "never cut");
    for (_, lasted) in &streams[..streams.len() - 1] {
        ensure!(
            *lasted >= Duration::from_millis(3_900),
            "cut after {lasted:?}"
        );
    }
    let rows: i64 = streams.iter().map(|(read, _)| read.rows()).sum();
    ensure!(rows == 1, "{rows} rows");
    target.ran(marker, 1).await
}

async fn cut_by_size(target: &Target) -> Result<()> {
    let sql = "SELECT id, repeat('x', 1000) AS v FROM range(0, 37000, 1, 4)";
    let probe = Probe::open(target).await?;
    // A cold server may be cut by time first: once it is warm, size comes first.
    for _ in 0..5 {
        let streams = streams(&probe, &new_id(), sql).await?;
        let rows: i64 = streams.iter().map(|(read, _)| read.rows()).sum();
        ensure!(rows == 37_000, "{rows} rows");
        let large = |read: &Read| {
            let bytes: usize = read
                .batches()
                .iter()
                .map(|(_, batch)| batch.data.len())
                .sum();
            bytes > 20 << 20
        };
        let cut = &streams[..streams.len() - 1];
        if cut.iter().any(|(read, _)| large(read)) {
            return Ok(());
        }
    }
    anyhow::bail!("never cut by size")
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
    failed(
        &probe.reattach(&operation, None).await.rest().await,
        abandoned,
    )?;
    failed(
        &probe.execute(&operation, &sql).await.rest().await,
        abandoned,
    )
}

async fn left(target: &Target) -> Result<()> {
    let operation = new_id();
    let probe = Probe::open(target).await?;
    let begun = Instant::now();
    let mut running = probe
        .execute(&operation, &Marker::new().sleeping(60_000))
        .await;
    running.first().await?;
    drop(running);
    until("the operation to be abandoned", OVER, || async {
        Ok(probe.state(&operation).await? == State::Cancelled)
    })
    .await?;
    // 4 s of stream, then 3 s detached: not 3 s from when the client left.
    ensure!(
        begun.elapsed() >= Duration::from_secs(6),
        "after {:?}",
        begun.elapsed()
    );
    Ok(())
}

async fn idle(target: &Target) -> Result<()> {
    let closed = "INVALID_HANDLE.SESSION_CLOSED";
    let probe = Probe::open(target).await?;
    probe.server_id().await?;
    // Asking would keep it alive: only time helps.
    tokio::time::sleep(Duration::from_secs(15)).await;
    refused(probe.spark_version().await, closed)?;
    failed(
        &probe.execute(&new_id(), "SELECT 1").await.rest().await,
        closed,
    )
}

//! Reading an operation's responses again, and from how far back.

use anyhow::{Context, Result, ensure};

use super::probe::{Probe, new_id};
use super::reading::{Read, failed, refused};
use super::{Scenario, Target};
use crate::harness::Marker;

/// 37 MB in four batches.
const LARGE: &str = "SELECT id, repeat('x', 1000) AS v FROM range(0, 37000, 1, 4)";
const GONE: &str = "INVALID_CURSOR.POSITION_NOT_AVAILABLE";
const UNKNOWN: &str = "INVALID_CURSOR.POSITION_NOT_FOUND";

pub(super) const SCENARIOS: &[Scenario] = &[
    Scenario::new(
        "reattach without a position gives the same responses again",
        |t| Box::pin(from_the_start(t)),
    ),
    Scenario::new("reattach after a response goes on behind it", |t| {
        Box::pin(after_a_response(t))
    }),
    Scenario::new(
        "reattach after the last response ends at once, without result_complete",
        |t| Box::pin(after_the_last(t)),
    ),
    Scenario::new("a position that never was is not found", |t| {
        Box::pin(unknown_position(t))
    }),
    Scenario::new(
        "37 MB read once: gone from the start, there from each late batch",
        |t| Box::pin(retry_buffer(t)),
    ),
    Scenario::new("responses not yet read stay, however many they are", |t| {
        Box::pin(unread_stays(t))
    }),
    Scenario::new(
        "release_until lets go of what is before, not of what is behind",
        |t| Box::pin(release_until(t)),
    ),
    Scenario::new(
        "an operation released to its last response is an empty stream",
        |t| Box::pin(released_to_the_end(t)),
    ),
    Scenario::new(
        "a failed operation fails again for whoever reattaches",
        |t| Box::pin(failure_again(t)),
    ),
];

fn ids(read: &Read) -> Vec<String> {
    read.ids().into_iter().map(str::to_owned).collect()
}

async fn finished(probe: &Probe, sql: &str) -> Result<(String, Read)> {
    let operation = new_id();
    let read = probe.execute(&operation, sql).await.rest().await;
    ensure!(read.is_complete(), "{:?}", read.failure);
    Ok((operation, read))
}

async fn from_the_start(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    let (operation, read) = finished(&probe, "SELECT id FROM range(3)").await?;
    let other = probe.elsewhere(target).await?;
    let again = other.reattach(&operation, None).await.rest().await;
    ensure!(again.responses == read.responses, "not the same");
    let by_execute = other.execute(&operation, "SELECT id FROM range(3)").await;
    ensure!(
        by_execute.rest().await.responses == read.responses,
        "not the same by ExecutePlan"
    );
    Ok(())
}

async fn after_a_response(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    let (operation, read) = finished(&probe, "SELECT id FROM range(0, 30, 1, 3)").await?;
    for (at, id) in read.ids().iter().enumerate() {
        let rest = probe.reattach(&operation, Some(id)).await.rest().await;
        ensure!(rest.failure.is_none(), "{:?}", rest.failure);
        ensure!(
            rest.responses == read.responses[at + 1..],
            "not the same after {at}"
        );
    }
    Ok(())
}

async fn after_the_last(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    let (operation, read) = finished(&probe, "SELECT 1").await?;
    let last = ids(&read).pop();
    let rest = probe
        .reattach(&operation, last.as_deref())
        .await
        .rest()
        .await;
    ensure!(
        rest.responses.is_empty() && rest.failure.is_none(),
        "{rest:?}"
    );
    Ok(())
}

async fn unknown_position(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    let (operation, _) = finished(&probe, "SELECT 1").await?;
    let read = probe.reattach(&operation, Some(&new_id())).await;
    failed(&read.rest().await, UNKNOWN)?;
    refused(probe.release_until(&operation, &new_id()).await, UNKNOWN)
}

/// Runs [`LARGE`] and reads it whole, by as many streams as it takes.
async fn read_large(probe: &Probe) -> Result<(String, Read)> {
    let operation = new_id();
    let mut read = probe.execute(&operation, LARGE).await.rest().await;
    while !read.is_complete() {
        ensure!(read.failure.is_none(), "{:?}", read.failure);
        let last = ids(&read).pop();
        let more = probe
            .reattach(&operation, last.as_deref())
            .await
            .rest()
            .await;
        read.responses.extend(more.responses);
        read.failure = more.failure;
    }
    ensure!(read.rows() == 37_000, "{} rows", read.rows());
    Ok((operation, read))
}

async fn retry_buffer(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    let (operation, read) = read_large(&probe).await?;
    failed(&probe.reattach(&operation, None).await.rest().await, GONE)?;
    failed(&probe.execute(&operation, LARGE).await.rest().await, GONE)?;
    let batches = read.batches();
    let (first, _) = batches.first().context("no batch")?;
    let (last, _) = batches.last().context("no batch")?;
    let all = ids(&read);
    let from_first = probe.reattach(&operation, Some(&all[*first])).await;
    failed(&from_first.rest().await, GONE)?;
    let from_last = probe.reattach(&operation, Some(&all[*last])).await;
    let rest = from_last.rest().await;
    ensure!(rest.responses == read.responses[last + 1..], "not the same");
    let before_last = probe.reattach(&operation, Some(&all[*last - 1])).await;
    let rest = before_last.rest().await;
    ensure!(
        rest.responses == read.responses[*last..],
        "the last batch is lost"
    );
    Ok(())
}

async fn unread_stays(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    let operation = new_id();
    let mut begun = probe.execute(&operation, LARGE).await;
    begun.first().await?;
    drop(begun);
    let other = probe.elsewhere(target).await?;
    let read = other.reattach(&operation, None).await.rest().await;
    ensure!(
        read.is_complete() && read.rows() == 37_000,
        "{:?}",
        read.failure
    );
    Ok(())
}

async fn release_until(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    let (operation, read) = finished(&probe, "SELECT id FROM range(0, 30, 1, 3)").await?;
    let all = ids(&read);
    ensure!(
        probe.release_until(&operation, &all[1]).await?,
        "it was there"
    );
    failed(&probe.reattach(&operation, None).await.rest().await, GONE)?;
    let before = probe.reattach(&operation, Some(&all[0])).await;
    failed(&before.rest().await, GONE)?;
    let rest = probe.reattach(&operation, Some(&all[1])).await.rest().await;
    ensure!(rest.responses == read.responses[2..], "not the same");
    Ok(())
}

async fn released_to_the_end(target: &Target) -> Result<()> {
    let probe = Probe::open(target).await?;
    let (operation, read) = finished(&probe, "SELECT 1").await?;
    let all = ids(&read);
    let last = all.last().context("no response")?;
    probe.release_until(&operation, last).await?;
    for from in [None, all.first(), Some(last)] {
        let rest = probe.reattach(&operation, from.map(String::as_str)).await;
        let rest = rest.rest().await;
        ensure!(
            rest.responses.is_empty() && rest.failure.is_none(),
            "{rest:?}"
        );
    }
    Ok(())
}

async fn failure_again(target: &Target) -> Result<()> {
    let zero = "DIVIDE_BY_ZERO";
    let probe = Probe::open(target).await?;
    let (operation, marker) = (new_id(), Marker::new());
    let sql = format!("SELECT 1/0, id FROM {}", marker.relation());
    let read = probe.execute(&operation, &sql).await.rest().await;
    failed(&read, zero)?;
    failed(&probe.reattach(&operation, None).await.rest().await, zero)?;
    failed(&probe.execute(&operation, &sql).await.rest().await, zero)?;
    let last = ids(&read).pop();
    failed(
        &probe
            .reattach(&operation, last.as_deref())
            .await
            .rest()
            .await,
        zero,
    )
}

//! Slots: as many statements at once as there are slots, started in order of acceptance.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use libra_tests::harness::{Api, Libra, Marker, SharedSpark, Statement, Submit, until};

use super::{SOON, assert_succeeded};

const STATEMENTS: usize = 64;
/// 64 statements of 700 ms on two cores take 23 s.
const ALL_ENDED: Duration = Duration::from_secs(180);

/// Submits 64 statements at once; returns their ids.
async fn submit_64(api: &Api, submit: &Submit) -> Result<BTreeSet<String>> {
    let sent = (0..STATEMENTS).map(|_| api.try_submit("default", submit, 0));
    let mut ids = BTreeSet::new();
    for reply in try_join_all(sent).await? {
        let statement: Statement = reply.json(&[202])?;
        ids.insert(statement.job_id);
    }
    ensure!(ids.len() == STATEMENTS, "only {} different ids", ids.len());
    Ok(ids)
}

/// Looks at the session until nothing of it runs or waits; returns the most that ran at a look.
async fn most_running(api: &Api) -> Result<u64> {
    let most = AtomicU64::new(0);
    until("all 64 to end", ALL_ENDED, || async {
        let counts = api.session("default").await?.statements;
        most.fetch_max(counts.running, Ordering::Relaxed);
        Ok(counts.running + counts.queued == 0)
    })
    .await?;
    Ok(most.into_inner())
}

/// The most statements that ran at once, by their own times.
fn most_at_once(statements: &[Statement]) -> Result<i64> {
    let mut steps = Vec::new();
    for statement in statements {
        steps.push((statement.started_at.clone().context("no start")?, 1));
        steps.push((statement.completed_at.clone().context("no end")?, -1));
    }
    // An end frees its slot for a start of the same millisecond.
    steps.sort();
    let mut now = 0;
    let most = steps.iter().map(|(_, step)| {
        now += step;
        now
    });
    Ok(most.max().unwrap_or_default())
}

async fn sixty_four_with(slots: u64) -> Result<()> {
    let spark = SharedSpark::find()?;
    let libra = Libra::on(&spark.endpoint)
        .set("libra.scheduler.slots", slots)
        .start()
        .await?;
    let api = &libra.api;
    let marker = Marker::new();
    let ids = submit_64(api, &Submit::sql(marker.sleeping(700))).await?;
    let seen = most_running(api).await?;

    let mut ended = Vec::new();
    for id in &ids {
        ended.push(api.ended(id, SOON).await?);
    }
    ended.iter().for_each(assert_succeeded);
    assert!(seen <= slots, "{seen} seen running on {slots} slots");
    assert_eq!(
        most_at_once(&ended)?,
        i64::try_from(slots)?,
        "running at once, by their times"
    );
    spark.rest.ran(marker, STATEMENTS).await?;

    ended.sort_by_key(|s| s.job_number().unwrap_or_default());
    for pair in ended.windows(2) {
        let (earlier, later) = (&pair[0], &pair[1]);
        assert!(
            earlier.started_at <= later.started_at,
            "{} was accepted before {} and started after it",
            earlier.job_id,
            later.job_id
        );
    }
    Ok(())
}

#[tokio::test]
async fn real_64_statements_run_at_once_on_64_slots() -> Result<()> {
    sixty_four_with(64).await
}

#[tokio::test]
async fn real_8_of_64_statements_run_at_once_on_8_slots_in_order() -> Result<()> {
    sixty_four_with(8).await
}

//! A hundred sessions over three nodes, one of which dies.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Result, ensure};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use libra_tests::harness::{Cluster, until};

use super::{BUSY, GOAL, SOON, nothing_ran_twice, sql, stub, succeeded, three};

const SESSIONS: usize = 100;
const AT_ONCE: usize = 10;

/// Runs a statement in every session, over all running nodes.
async fn all_answer(cluster: &Cluster) -> Result<()> {
    let ids = cluster.running();
    stream::iter((0..SESSIONS).map(Ok::<_, anyhow::Error>))
        .try_for_each_concurrent(AT_ONCE, |n| {
            let api = cluster.api(ids[n % ids.len()]).cloned();
            async move {
                let session = format!("user-{n}");
                succeeded(&api?.run(&session, &sql("rows=2"), SOON).await?)
            }
        })
        .await
}

async fn spread(cluster: &Cluster) -> Result<BTreeMap<u64, usize>> {
    let owners = cluster.owners().await?.into_iter();
    Ok(owners.map(|(id, sessions)| (id, sessions.len())).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_sessions_answer_again_and_lie_evenly_on_two() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub)
        .isolated(SESSIONS)
        .set("libra.scheduler.slots", 2 * SESSIONS)
        .start()
        .await?;
    all_answer(&cluster).await?;
    let before = spread(&cluster).await?;
    ensure!(before.values().all(|n| (33..=34).contains(n)), "{before:?}");

    // Something runs in all of them when the node dies.
    let jobs: Vec<_> = stream::iter(0..SESSIONS)
        .map(|n| {
            let api = cluster.any().cloned();
            async move {
                let session = format!("user-{n}");
                anyhow::Ok(api?.submit(&session, &sql("delay_ms=2500")).await?.job_id)
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    let dead = cluster.others(cluster.leader().await?)[0];
    cluster.kill9(dead)?;
    let killed = Instant::now();
    until("all sessions to have moved", SOON, || async {
        Ok(!spread(&cluster).await?.contains_key(&dead))
    })
    .await?;
    println!("moved {:.2?} after the kill", killed.elapsed());
    ensure!(killed.elapsed() < GOAL + BUSY);
    let after = spread(&cluster).await?;
    ensure!(after.values().all(|n| *n == SESSIONS / 2), "{after:?}");
    for job in &jobs {
        succeeded(&cluster.any()?.ended(job, SOON).await?)?;
    }
    all_answer(&cluster).await?;
    nothing_ran_twice(&stub).await?;
    cluster.restart(dead).await?;
    all_answer(&cluster).await?;
    cluster.all_hold_the_same().await
}

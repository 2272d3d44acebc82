//! A hundred sessions over three nodes, one of which dies.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use futures::stream::{self, TryStreamExt as _};
use libra_tests::harness::{Cluster, Marker, SharedSpark, Submit, until};

use super::{SOON, succeeded, three};

const SESSIONS: usize = 100;
const AT_ONCE: usize = 8;
/// Sessions in which something runs when the node dies.
const RUNNING: usize = 20;

/// Runs a statement in every session, over all running nodes.
async fn all_answer(cluster: &Cluster) -> Result<()> {
    let ids = cluster.running();
    stream::iter((0..SESSIONS).map(Ok::<_, anyhow::Error>))
        .try_for_each_concurrent(AT_ONCE, |n| {
            let api = cluster.api(ids[n % ids.len()]).cloned();
            async move {
                let session = format!("user-{n}");
                let statement = Submit::sql(format!("SELECT {n}"));
                succeeded(&api?.run(&session, &statement, SOON).await?)
            }
        })
        .await
}

async fn spread(cluster: &Cluster) -> Result<BTreeMap<u64, usize>> {
    let owners = cluster.owners().await?.into_iter();
    Ok(owners.map(|(id, sessions)| (id, sessions.len())).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_hundred_sessions_answer_again_and_lie_evenly_on_two() -> Result<()> {
    let spark = SharedSpark::find()?;
    let mut cluster = three(&spark)
        .isolated(SESSIONS)
        .set("libra.scheduler.slots", 2 * SESSIONS)
        .start()
        .await?;
    all_answer(&cluster).await?;
    let before = spread(&cluster).await?;
    ensure!(before.values().all(|n| (33..=34).contains(n)), "{before:?}");

    let mut jobs = Vec::new();
    for n in 0..RUNNING {
        let marker = Marker::new();
        let submit = Submit::sql(marker.sleeping(8_000));
        let submitted = cluster.any()?.submit(&format!("user-{n}"), &submit).await?;
        jobs.push((submitted.job_id, marker));
    }
    for (_, marker) in &jobs {
        spark.rest.until_running(*marker, SOON).await?;
    }
    let dead = cluster.others(cluster.leader().await?)[0];
    cluster.kill9(dead)?;
    until("all sessions to have moved", SOON, || async {
        Ok(!spread(&cluster).await?.contains_key(&dead))
    })
    .await?;
    let after = spread(&cluster).await?;
    ensure!(after.values().all(|n| *n == SESSIONS / 2), "{after:?}");
    all_answer(&cluster).await?;
    for (job, marker) in &jobs {
        succeeded(&cluster.any()?.ended(job, SOON).await?)?;
        spark.rest.ran(*marker, 1).await?;
    }
    cluster.restart(dead).await?;
    cluster.all_hold_the_same().await
}

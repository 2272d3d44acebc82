//! An owner that is stopped for ten seconds and goes on as if nothing had been.

use std::time::Duration;

use anyhow::{Result, ensure};
use libra_tests::harness::{Marker, SharedSpark, Submit, until};

use super::{SOON, session_of, succeeded, three};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_an_owner_that_was_stopped_for_ten_seconds_does_no_harm() -> Result<()> {
    let spark = SharedSpark::find()?;
    let cluster = three(&spark).start().await?;
    let owner = cluster.others(cluster.leader().await?)[0];
    let session = session_of(&cluster, owner).await?;
    let living = cluster.api(cluster.others(owner)[0])?;
    let mut jobs = Vec::new();
    for millis in [6_000, 18_000] {
        let marker = Marker::new();
        let submit = Submit::sql(marker.sleeping(millis));
        jobs.push((living.submit(&session, &submit).await?.job_id, marker));
        spark.rest.until_running(marker, SOON).await?;
    }
    cluster.stop_cont(owner, Duration::from_secs(10)).await?;
    let woken = cluster.api(owner)?;
    until("the woken node to serve", SOON, || async {
        Ok(woken.ready().await)
    })
    .await?;
    for (job, marker) in &jobs {
        for id in cluster.ids() {
            succeeded(&cluster.api(id)?.ended(job, SOON).await?)?;
        }
        spark.rest.ran(*marker, 1).await?;
    }
    ensure!(cluster.owner_of(&session).await? != owner, "it never moved");
    cluster.all_hold_the_same().await
}

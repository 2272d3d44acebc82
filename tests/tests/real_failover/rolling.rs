//! One node after another is stopped with SIGTERM and started again, while clients work.

use anyhow::{Result, ensure};
use libra_tests::harness::{Marker, SharedSpark, Submit};
use libra_tests::kill::Once;

use super::{SOON, succeeded, three};

const CLIENTS: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_a_rolling_restart_fails_no_request_twice_and_no_statement() -> Result<()> {
    let spark = SharedSpark::find()?;
    let mut cluster = three(&spark).start().await?;
    let mut long = Vec::new();
    for id in cluster.ids() {
        let marker = Marker::new();
        let submit = Submit::sql(marker.sleeping(40_000));
        let job = cluster
            .api(id)?
            .submit(&format!("long-{id}"), &submit)
            .await?
            .job_id;
        spark.rest.until_running(marker, SOON).await?;
        long.push((job, marker));
    }
    let load = Once::begin(&cluster.apis(), CLIENTS, true);
    for id in cluster.ids() {
        for restarts in [true, false] {
            load.come_round(SOON).await?;
            if restarts {
                let status = cluster.term(id).await?;
                ensure!(status.success(), "{status}");
            } else {
                cluster.restart(id).await?;
            }
        }
    }
    let met = load.finish().await?;
    println!(
        "{} requests, {} retried, {} statements",
        met.requests, met.retried, met.succeeded
    );
    assert_eq!(met.failed, Vec::<String>::new());
    assert_eq!(met.wrong, Vec::<String>::new());
    for (job, marker) in &long {
        succeeded(&cluster.any()?.ended(job, SOON).await?)?;
        spark.rest.ran(*marker, 1).await?;
    }
    cluster.all_hold_the_same().await
}

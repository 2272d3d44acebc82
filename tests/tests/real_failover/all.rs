//! All nodes killed at once under load, and started again.

use anyhow::Result;
use libra_tests::harness::{Marker, SharedSpark, Submit};
use libra_tests::kill::{Load, Referee, Setup, Verdict};

use super::{SOON, succeeded, three};

const SLOTS: usize = 6;
const CLIENTS: usize = 5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_all_nodes_killed_at_once_lose_nothing_and_reattach_what_ran() -> Result<()> {
    let spark = SharedSpark::find()?;
    let mut cluster = three(&spark)
        .set("libra.scheduler.slots", SLOTS)
        .start()
        .await?;
    let marker = Marker::new();
    let submit = Submit::sql(marker.sleeping(20_000));
    let job = cluster.any()?.submit("long", &submit).await?.job_id;
    spark.rest.until_running(marker, SOON).await?;
    let setup = Setup {
        seed: 29,
        clients: CLIENTS,
        slots: SLOTS,
        least: 15,
        own_sessions: true,
    };
    let mut load = Load::begin(&cluster.apis(), Referee::spark(&spark), setup);
    load.acknowledges(10, SOON).await?;
    load.done_to_it("kill -9 of all three");
    for id in cluster.ids() {
        cluster.kill9(id)?;
    }
    cluster.start_all()?;
    cluster.wait_ready().await?;
    load.acknowledges(5, SOON).await?;
    let report = load.finish().await;
    println!("{report}");
    assert_eq!(report.verdict, Verdict::Pass);
    succeeded(&cluster.any()?.ended(&job, SOON).await?)?;
    spark.rest.ran(marker, 1).await?;
    cluster.all_hold_the_same().await
}

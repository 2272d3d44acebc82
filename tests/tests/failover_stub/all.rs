//! All nodes killed at once under load, and started again.

use anyhow::{Result, ensure};
use libra_tests::harness::Cluster;
use libra_tests::kill::{Load, Referee, Setup, Verdict};

use super::{SOON, begun, ends_well, nothing_ran_twice, repeats, sql, stub, three};

const SLOTS: usize = 6;
const CLIENTS: usize = 8;

fn kill_all(cluster: &mut Cluster) -> Result<()> {
    for id in cluster.ids() {
        cluster.kill9(id)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_killed_at_once_lose_nothing_and_reattach_what_ran() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub)
        .isolated(CLIENTS + 1)
        .set("libra.scheduler.slots", SLOTS)
        .start()
        .await?;
    let setup = Setup {
        seed: 23,
        clients: CLIENTS,
        slots: SLOTS,
        least: 40,
        own_sessions: true,
    };
    let mut load = Load::begin(&cluster.apis(), Referee::stub(&stub), setup);
    for turn in 0..repeats(3)? {
        load.acknowledges(12, SOON).await?;
        load.done_to_it("kill -9 of all three");
        kill_all(&mut cluster)?;
        let order = cluster
            .start_in_order(turn as u64, std::time::Duration::from_millis(400))
            .await?;
        cluster.wait_ready().await?;
        println!("turn {turn}: started in order {order:?}");
    }
    load.acknowledges(12, SOON).await?;
    let report = load.finish().await;
    println!("{report}");
    assert_eq!(report.verdict, Verdict::Pass);
    nothing_ran_twice(&stub).await?;
    cluster.all_hold_the_same().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ran_when_all_were_killed_goes_on() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).isolated(12).start().await?;
    let mut jobs = Vec::new();
    for n in 0..6_u64 {
        let api = cluster.api(n % 3 + 1)?;
        let submit = sql("rows=100 delay_ms=9000");
        let submitted = api.submit(&format!("user-{n}"), &submit).await?;
        begun(&stub, &submitted).await?;
        jobs.push(submitted);
    }
    kill_all(&mut cluster)?;
    cluster.start_all()?;
    cluster.wait_ready().await?;
    for job in &jobs {
        let ended = ends_well(&cluster, &cluster.ids(), &job.job_id).await?;
        ensure!(ended.operation_id == job.operation_id);
        let runs = stub.executions_of(&job.operation_id).await?;
        assert_eq!(runs.len(), 1, "{runs:?}");
    }
    nothing_ran_twice(&stub).await
}

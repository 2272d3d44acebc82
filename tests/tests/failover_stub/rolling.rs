//! One node after another is stopped with SIGTERM and started again, while clients work.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use libra_tests::kill::Once;

use super::{SOON, begun, ends_well, nothing_ran_twice, sql, stub, three};

const CLIENTS: usize = 6;
/// How long a node may take to hand over and leave.
const LEAVES_WITHIN: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_fails_no_request_twice_and_no_statement() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).isolated(CLIENTS + 3).start().await?;
    // As long as everything takes, and a session on each node.
    let mut long = Vec::new();
    for id in cluster.ids() {
        let session = format!("long-{id}");
        let submitted = cluster
            .api(id)?
            .submit(&session, &sql("delay_ms=20000"))
            .await?;
        begun(&stub, &submitted).await?;
        long.push(submitted);
    }
    let load = Once::begin(&cluster.apis(), CLIENTS, true);
    for id in cluster.ids() {
        load.come_round(SOON).await?;
        let asked = Instant::now();
        let status = cluster.term(id).await?;
        println!("node {id} left with {status} after {:.2?}", asked.elapsed());
        ensure!(status.success(), "{status}");
        ensure!(asked.elapsed() < LEAVES_WITHIN);
        load.come_round(SOON).await?;
        cluster.restart(id).await?;
    }
    let met = load.finish().await?;
    println!(
        "{} requests, {} retried, {} statements; p50 {:.2?}, p99 {:.2?}, max {:.2?}",
        met.requests,
        met.retried,
        met.succeeded,
        met.quantile(0.5),
        met.quantile(0.99),
        met.quantile(1.0)
    );
    assert_eq!(met.failed, Vec::<String>::new());
    assert_eq!(met.wrong, Vec::<String>::new());
    for job in &long {
        ends_well(&cluster, &cluster.ids(), &job.job_id).await?;
    }
    nothing_ran_twice(&stub).await?;
    cluster.all_hold_the_same().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_leaves_gives_its_sessions_up_before_it_is_gone() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).isolated(12).start().await?;
    for n in 0..9 {
        let session = format!("user-{n}");
        let ended = cluster.any()?.run(&session, &sql("rows=1"), SOON).await?;
        super::succeeded(&ended)?;
    }
    let leaving = cluster.leader().await?;
    ensure!(cluster.term(leaving).await?.success());
    // No lease has to run out: they are elsewhere at once.
    let owners = cluster.owners().await?;
    ensure!(!owners.contains_key(&leaving), "{owners:?}");
    let counts: Vec<_> = owners
        .values()
        .map(std::collections::BTreeSet::len)
        .collect();
    ensure!(
        counts.iter().sum::<usize>() == 9 && counts.iter().all(|n| (4..=5).contains(n)),
        "{owners:?}"
    );
    Ok(())
}

//! A cluster forms by itself and never twice, in whatever order its nodes start.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use libra_tests::harness::{Cluster, Profile, until};

use super::{SOON, repeats, sql, stub, three};

const STARTS: usize = 20;
const LONGEST_PAUSE: Duration = Duration::from_millis(700);

/// All nodes are in one group: the same leader, the same members, the same registry.
async fn is_one(cluster: &Cluster) -> Result<()> {
    let leader = cluster.leader().await?;
    until(
        "all nodes to name one leader and all members",
        SOON,
        || async {
            let mut seen = BTreeSet::new();
            for id in cluster.ids() {
                let status = cluster.status(id).await?;
                let voters: Vec<_> = status
                    .members
                    .iter()
                    .filter(|member| member.voter)
                    .map(|member| member.node_id)
                    .collect();
                seen.insert((status.leader, voters));
            }
            Ok(seen == BTreeSet::from([(leader, cluster.ids())]))
        },
    )
    .await?;
    let submitted = cluster.api(1)?.submit("default", &sql("rows=1")).await?;
    ensure!(submitted.job_id == "job-1", "{submitted:?}");
    cluster.any()?.ended(&submitted.job_id, SOON).await?;
    for id in cluster.ids() {
        cluster.api(id)?.statement("job-1").await?;
    }
    cluster.all_hold_the_same().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_starts_in_any_order_form_one_cluster_each() -> Result<()> {
    let stub = stub().await?;
    let began = Instant::now();
    for seed in 0..repeats(STARTS)? {
        let mut cluster = three(&stub).profile(Profile::Fast).prepare().await?;
        let order = cluster.start_in_order(seed as u64, LONGEST_PAUSE).await?;
        let started = Instant::now();
        cluster.wait_ready().await?;
        let ready = started.elapsed();
        is_one(&cluster).await?;
        println!("seed {seed}: order {order:?}, ready {ready:.2?} after the last start");
    }
    println!("all in {:.1?}", began.elapsed());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_that_is_killed_while_it_forms_forms_once_all_the_same() -> Result<()> {
    let stub = stub().await?;
    for seed in 0..3 {
        let mut cluster = three(&stub).profile(Profile::Fast).prepare().await?;
        cluster.start_in_order(seed, LONGEST_PAUSE / 4).await?;
        for id in cluster.ids() {
            cluster.kill9(id)?;
        }
        cluster.start_in_order(seed + 100, LONGEST_PAUSE).await?;
        cluster.wait_ready().await?;
        is_one(&cluster).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_of_three_do_not_form_a_cluster_and_say_what_they_wait_for() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).profile(Profile::Fast).prepare().await?;
    cluster.spawn(1)?;
    cluster.spawn(2)?;
    libra_tests::harness::passed(Duration::from_secs(3)).await;
    for id in [1, 2] {
        ensure!(!cluster.api(id)?.ready().await, "node {id} is ready");
        ensure!(
            cluster.node_mut(id)?.exited()?.is_none(),
            "node {id} gave up"
        );
        // Whose answer it waits for is in its log.
        let log = cluster.node(id)?.log()?;
        ensure!(
            log.contains("waiting for"),
            "node {id} does not say what it waits for"
        );
    }
    cluster.spawn(3)?;
    cluster.wait_ready().await?;
    is_one(&cluster).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_cluster_is_refused_and_told_why() -> Result<()> {
    let stub = stub().await?;
    let cluster = three(&stub).profile(Profile::Fast).start().await?;
    let stranger = libra_tests::harness::Libra::on(stub.connection_string())
        .name("the stranger")
        .set("libra.cluster.name", "another")
        .set("libra.node.id", 4);
    let stranger = [1, 2, 3].into_iter().try_fold(stranger, |stranger, id| {
        let address = format!("127.0.0.1:{}", cluster.node(id)?.grpc());
        anyhow::Ok(stranger.set(&format!("libra.cluster.peers.{id}"), address))
    })?;
    let port = libra_tests::harness::free_port()?;
    let stranger = stranger
        .grpc(port)
        .set("libra.cluster.peers.4", format!("127.0.0.1:{port}"));
    let mut stranger = stranger.prepare()?;
    stranger.spawn()?;
    until("the stranger to give up", SOON, || {
        let exited = stranger.exited();
        async move { Ok(exited?.is_some_and(|status| !status.success())) }
    })
    .await?;
    let log = stranger.log()?;
    ensure!(
        log.contains("another") && log.contains("libra"),
        "no reason: {log}"
    );
    is_one(&cluster).await
}

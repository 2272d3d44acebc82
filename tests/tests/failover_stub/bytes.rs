//! Results: the same bytes from every node, whichever dies, in the middle of a stream or after it.

use anyhow::{Result, ensure};
use bytes::Bytes;
use libra_tests::harness::{Cluster, Submit, bytes_below, until};

use super::{Role, SOON, cast, nothing_ran_twice, sql, stub, succeeded, three};

/// 60 MB in 200 batches, in about four seconds.
const BIG: &str =
    "/* stub: rows=200000 row_bytes=280 batch_rows=1000 batch_delay_ms=20 */ SELECT 1";
const BIG_BYTES: usize = 56_000_000;

async fn calm(cluster: &Cluster, session: &str) -> Result<(String, Bytes)> {
    let ended = cluster.any()?.run(session, &Submit::sql(BIG), SOON).await?;
    succeeded(&ended)?;
    let bytes = cluster.any()?.arrow(&ended.job_id).await?;
    ensure!(bytes.len() > BIG_BYTES, "only {} bytes", bytes.len());
    Ok((ended.job_id, bytes))
}

async fn killed_in_mid_stream(role: Role) -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).isolated(30).start().await?;
    let (session, victim) = cast(&cluster, role).await?;
    let (_, wanted) = calm(&cluster, &session).await?;

    let owner = cluster.owner_of(&session).await?;
    let results = cluster.node(owner)?.data_dir().join("results");
    let before = bytes_below(&results);
    let job = cluster
        .any()?
        .submit(&session, &Submit::sql(BIG))
        .await?
        .job_id;
    until("a part of the result", SOON, || {
        let part = bytes_below(&results).saturating_sub(before);
        async move { Ok(part > 15_000_000) }
    })
    .await?;
    cluster.kill9(victim)?;
    let part = bytes_below(&results).saturating_sub(before);
    ensure!(
        part < 50_000_000,
        "killed too late: {part} bytes were there"
    );

    for id in cluster.running() {
        let api = cluster.api(id)?;
        succeeded(&api.ended(&job, SOON).await?)?;
        ensure!(api.arrow(&job).await? == wanted, "other bytes at node {id}");
    }
    cluster.restart(victim).await?;
    ensure!(
        cluster.api(victim)?.arrow(&job).await? == wanted,
        "other bytes"
    );
    nothing_ran_twice(&stub).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_is_whole_though_its_writer_died_in_mid_stream() -> Result<()> {
    killed_in_mid_stream(Role::Owner).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_is_whole_though_its_writer_died_leading() -> Result<()> {
    killed_in_mid_stream(Role::Both).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_reads_the_same_from_every_node_with_any_one_dead() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).start().await?;
    let (job, wanted) = calm(&cluster, "default").await?;
    for dead in cluster.ids() {
        cluster.kill9(dead)?;
        for id in cluster.running() {
            let api = cluster.api(id)?;
            until("the node to serve", SOON, || async {
                Ok(api.ready().await)
            })
            .await?;
            let read = api.arrow(&job).await?;
            ensure!(read == wanted, "node {id} with node {dead} dead");
            let pages = api.pages(&job, 10_000).await?;
            ensure!(pages.len() == 20, "{} pages", pages.len());
        }
        cluster.restart(dead).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_copy_is_made_anew_so_that_another_node_may_die() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).start().await?;
    let (job, wanted) = calm(&cluster, "default").await?;
    let holds = |cluster: &Cluster, id: u64| -> Result<bool> {
        let results = cluster.node(id)?.data_dir().join("results");
        Ok(bytes_below(&results) > BIG_BYTES as u64)
    };
    let holders: Vec<_> = cluster
        .ids()
        .into_iter()
        .filter(|id| holds(&cluster, *id).unwrap_or(false))
        .collect();
    ensure!(holders.len() == 2, "held by {holders:?}");
    let spare = cluster.ids().into_iter().find(|id| !holders.contains(id));
    let spare = spare.unwrap_or_default();
    // Gone for good, and so another holds what it held.
    cluster.kill9(holders[0])?;
    until("a new copy", SOON, || async { holds(&cluster, spare) }).await?;
    cluster.restart(holders[0]).await?;
    cluster.wipe(holders[1])?;
    for id in cluster.running() {
        let api = cluster.api(id)?;
        until("the node to serve", SOON, || async {
            Ok(api.ready().await)
        })
        .await?;
        ensure!(api.arrow(&job).await? == wanted, "node {id}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_results_need_no_file_and_no_node_in_particular() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).start().await?;
    let files = |cluster: &Cluster| -> Result<u64> {
        let ids = cluster.ids().into_iter();
        let bytes = ids.map(|id| Ok(bytes_below(&cluster.node(id)?.data_dir().join("results"))));
        bytes.sum()
    };
    let empty = files(&cluster)?;
    let mut small = Vec::new();
    for rows in [0, 1, 3] {
        let submit = sql(&format!("rows={rows} row_bytes=4"));
        let ended = cluster.any()?.run("default", &submit, SOON).await?;
        succeeded(&ended)?;
        let bytes = cluster.any()?.arrow(&ended.job_id).await?;
        small.push((ended.job_id, bytes));
    }
    ensure!(files(&cluster)? == empty, "a small result became a file");

    // Whoever is dead, then from logs and snapshots alone.
    let all_read = async |cluster: &Cluster| -> Result<()> {
        for id in cluster.running() {
            let api = cluster.api(id)?;
            until("the node to serve", SOON, || async {
                Ok(api.ready().await)
            })
            .await?;
            for (job, wanted) in &small {
                ensure!(api.arrow(job).await? == *wanted, "{job} at node {id}");
            }
        }
        Ok(())
    };
    for dead in cluster.ids() {
        cluster.kill9(dead)?;
        all_read(&cluster).await?;
        cluster.restart(dead).await?;
    }
    for id in cluster.ids() {
        cluster.kill9(id)?;
    }
    for id in cluster.ids() {
        cluster.spawn(id)?;
    }
    all_read(&cluster).await?;

    // One byte more than is kept in the registry, and it is a file on two nodes.
    let submit = sql("rows=1 row_bytes=1024");
    let ended = cluster.any()?.run("default", &submit, SOON).await?;
    succeeded(&ended)?;
    ensure!(files(&cluster)? > empty + 2 * 1024, "no two files");
    nothing_ran_twice(&stub).await
}

//! Disks that refuse a result: it is stored where there is room, and runs once whatever happens.

use std::os::unix::fs::symlink;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use libra_tests::harness::{Cluster, State, Statement};

use super::{Role, SOON, cast, ends_well, nothing_ran_twice, sql, stub, three};

/// Where no file can be made, whoever tries.
const NO_ROOM: &str = "/sys/kernel";

/// Has the disk of each of these nodes refuse the result of the next job in every epoch: its folder
/// there is one in which no file can be made. Nobody else may submit meanwhile.
async fn refuse_next(cluster: &Cluster, nodes: &[u64]) -> Result<()> {
    for node in nodes {
        let folder = folder_of_next(cluster, *node).await?.0;
        std::fs::remove_dir(&folder)?;
        symlink(NO_ROOM, folder)?;
    }
    Ok(())
}

/// Has the disk of that node take the file of the next job in that epoch, and nothing into it.
async fn fill_next(cluster: &Cluster, node: u64, epoch: u64) -> Result<()> {
    let (folder, job) = folder_of_next(cluster, node).await?;
    let name = format!("job-{job}-epoch-{epoch}.result");
    Ok(symlink("/dev/full", folder.join(name))?)
}

/// Where a node will put the result of the next job, and which one that is.
async fn folder_of_next(cluster: &Cluster, node: u64) -> Result<(PathBuf, u64)> {
    let newest = cluster.any()?.statements("limit=1").await?;
    let newest = newest.statements.first().context("no statement yet")?;
    let number = newest.job_id.strip_prefix("job-").context("a job's id")?;
    let job = number.parse::<u64>()? + 1;
    let results = cluster.node(node)?.data_dir().join("results");
    Ok((results.join(format!("{:02x}", job % 256)), job))
}

/// Submits a statement and waits for its end.
async fn run(cluster: &Cluster, session: &str) -> Result<Statement> {
    let submit = sql("rows=20000 row_bytes=30 batch_rows=1000 delay_ms=300");
    let submitted = cluster.any()?.submit(session, &submit).await?;
    cluster.any()?.ended(&submitted.job_id, SOON).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_result_that_its_owner_cannot_store_is_stored_where_there_is_room() -> Result<()> {
    let stub = stub().await?;
    let cluster = three(&stub).isolated(30).start().await?;
    let (session, _) = cast(&cluster, Role::Owner).await?;
    for full in 1..=2 {
        for turn in 0..2 {
            let before = cluster.any()?.session(&session).await?;
            let owner = before.owner.node_id;
            let others = cluster.others(owner);
            let nodes = [owner, others[turn]];
            match full {
                1 => fill_next(&cluster, owner, before.epoch).await?,
                _ => refuse_next(&cluster, &nodes).await?,
            }
            let ended = run(&cluster, &session).await?;
            ends_well(&cluster, &cluster.ids(), &ended.job_id).await?;
            let wanted = cluster.any()?.arrow(&ended.job_id).await?;
            ensure!(wanted.len() > 600_000, "only {} bytes", wanted.len());
            for id in cluster.ids() {
                let read = cluster.api(id)?.arrow(&ended.job_id).await?;
                ensure!(read == wanted, "other bytes at node {id}");
            }
            let after = cluster.any()?.session(&session).await?;
            let moves = after.epoch - before.epoch;
            ensure!((1..=full as u64).contains(&moves), "{moves} moves");
            ensure!(!nodes[..full].contains(&after.owner.node_id), "{after:?}");
            ensure!(after.resets.is_empty(), "{after:?}");
            let runs = stub.executions_of(&ended.operation_id).await?;
            ensure!(runs.len() == 1, "{runs:?}");
        }
    }
    nothing_ran_twice(&stub).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_no_other_node_can_store_costs_nothing_but_the_copy() -> Result<()> {
    let stub = stub().await?;
    let cluster = three(&stub).isolated(30).start().await?;
    let (session, _) = cast(&cluster, Role::Owner).await?;
    for full in 1..=2 {
        let before = cluster.any()?.session(&session).await?;
        let others = cluster.others(before.owner.node_id);
        refuse_next(&cluster, &others[..full]).await?;
        let ended = run(&cluster, &session).await?;
        ends_well(&cluster, &cluster.ids(), &ended.job_id).await?;
        let after = cluster.any()?.session(&session).await?;
        ensure!(after.epoch == before.epoch, "it moved for nothing");
    }
    nothing_ran_twice(&stub).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_no_node_can_store_a_result_it_is_lost_and_no_more_than_that() -> Result<()> {
    let stub = stub().await?;
    let cluster = three(&stub).isolated(30).start().await?;
    let (session, _) = cast(&cluster, Role::Owner).await?;
    let before = cluster.any()?.session(&session).await?;
    refuse_next(&cluster, &cluster.ids()).await?;
    let ended = run(&cluster, &session).await?;
    let class = ended
        .error
        .as_ref()
        .and_then(|error| error.error_class.as_deref());
    ensure!(
        ended.state == State::Failed && class == Some("LIBRA_RESULT_LOST"),
        "{ended:?}"
    );
    let runs = stub.executions_of(&ended.operation_id).await?;
    ensure!(runs.len() == 1, "{runs:?}");
    let after = cluster.any()?.session(&session).await?;
    ensure!(
        after.epoch == before.epoch + 2,
        "each node has its turn, once"
    );
    // The session works on.
    let next = run(&cluster, &session).await?;
    ends_well(&cluster, &cluster.ids(), &next.job_id).await?;
    nothing_ran_twice(&stub).await
}

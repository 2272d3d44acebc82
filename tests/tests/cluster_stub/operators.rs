//! What operators do, by the gRPC admin service, while clients work.

use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use libra_proto::admin::{
    ClusterStatusRequest, DrainNodeRequest, NodeState, RebalanceSessionsRequest,
    TransferLeadershipRequest, UndrainNodeRequest,
};
use libra_tests::harness::{Cluster, until};
use libra_tests::kill::Once;
use tokio::process::Command;

use super::{SOON, nothing_ran_twice, stub, three};

const CLIENTS: usize = 5;
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/checks/admin_reflection.py");

async fn more(load: &Once, than: usize) -> Result<()> {
    until("some more load", SOON, || async {
        Ok(load.so_far().succeeded > than + CLIENTS)
    })
    .await
}

/// The nodes as the leader sees them: id, state, voter, sessions.
async fn seen(cluster: &Cluster, via: u64) -> Result<Vec<(u64, NodeState, bool, u64)>> {
    let asked = ClusterStatusRequest::default();
    let status = cluster.admin(via).await?.cluster_status(asked).await?;
    let nodes = status.into_inner().nodes;
    let seen = nodes
        .iter()
        .map(|node| (node.node_id, node.state(), node.voter, node.sessions));
    Ok(seen.collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_come_and_go_and_leadership_changes_under_load() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).isolated(CLIENTS + 4).start().await?;
    let load = Once::begin(&cluster.apis(), CLIENTS, true);
    more(&load, 0).await?;

    let fourth = cluster.one_more().await?;
    cluster.spawn(fourth)?;
    println!("add {fourth}: {:?}", cluster.add(2, fourth).await?);
    println!("promote {fourth}: {:?}", cluster.promote(3, fourth).await?);
    cluster.until_voter(fourth).await?;
    cluster.node_mut(fourth)?.until_ready(SOON).await?;
    let drained = cluster
        .admin(3)
        .await?
        .drain_node(DrainNodeRequest { node_id: 1 })
        .await?
        .into_inner();
    println!("drain 1: {drained:?}");
    ensure!(drained.changed && drained.sessions_left == 0, "{drained:?}");
    ensure!(![0, 1].contains(&drained.leader), "{drained:?}");
    let nodes = seen(&cluster, fourth).await?;
    println!("status: {nodes:?}");
    ensure!(nodes[0] == (1, NodeState::Draining, true, 0), "{nodes:?}");
    more(&load, load.so_far().succeeded).await?;
    println!("remove 1: {:?}", cluster.remove(fourth, 1).await?);
    more(&load, load.so_far().succeeded).await?;

    let leader = cluster.status(2).await?.leader;
    let to_node = if leader == fourth { 2 } else { fourth };
    let handed = cluster
        .admin(3)
        .await?
        .transfer_leadership(TransferLeadershipRequest { to_node })
        .await?
        .into_inner();
    println!("transfer to {to_node}: {handed:?}");
    ensure!(handed.leader == to_node, "{handed:?}");
    more(&load, load.so_far().succeeded).await?;
    let moved = cluster
        .admin(2)
        .await?
        .rebalance_sessions(RebalanceSessionsRequest::default())
        .await?
        .into_inner();
    println!("rebalance: {moved:?}");
    more(&load, load.so_far().succeeded).await?;

    let met = load.finish().await?;
    println!(
        "{} requests, {} retried, {} statements; p50 {:.2?}, p99 {:.2?}",
        met.requests,
        met.retried,
        met.succeeded,
        met.quantile(0.5),
        met.quantile(0.99)
    );
    assert_eq!(met.failed, Vec::<String>::new());
    assert_eq!(met.wrong, Vec::<String>::new());
    nothing_ran_twice(&stub).await?;
    let nodes = seen(&cluster, fourth).await?;
    let ids: Vec<u64> = nodes.iter().map(|node| node.0).collect();
    assert_eq!(ids, [2, 3, fourth]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_node_is_not_ready_until_it_takes_sessions_again() -> Result<()> {
    let stub = stub().await?;
    let cluster = three(&stub).isolated(4).start().await?;
    let drain = DrainNodeRequest { node_id: 2 };
    let undrain = UndrainNodeRequest { node_id: 2 };
    let mut admin = cluster.admin(1).await?;
    for _ in 0..2 {
        let first = admin.drain_node(drain).await?.into_inner();
        ensure!(first.changed, "{first:?}");
        let again = admin.drain_node(drain).await?.into_inner();
        ensure!(!again.changed, "{again:?}");
        until("the drained node to say so", SOON, || async {
            Ok(!cluster.api(2)?.ready().await && cluster.api(3)?.ready().await)
        })
        .await?;
        ensure!(admin.undrain_node(undrain).await?.into_inner().changed);
        until("it to be ready again", SOON, || async {
            Ok(cluster.api(2)?.ready().await)
        })
        .await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_drives_every_call_by_reflection() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).isolated(8).start().await?;
    let fourth = cluster.one_more().await?;
    cluster.spawn(fourth)?;
    let fresh = three(&stub)
        .nodes(1)
        .set("libra.cluster.name", "fresh")
        .isolated(8)
        .start()
        .await?;
    let at = |port: u16| format!("127.0.0.1:{port}");
    let grpc = |cluster: &Cluster, id: u64| -> Result<String> { Ok(at(cluster.node(id)?.grpc())) };
    let python = std::env::var("LIBRA_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let output = Command::new(python)
        .arg(SCRIPT)
        .arg(cluster.api(1)?.base())
        .arg(fourth.to_string())
        .args([grpc(&cluster, fourth)?, grpc(&fresh, 1)?])
        .args([grpc(&cluster, 1)?, grpc(&cluster, 2)?, grpc(&cluster, 3)?])
        .stdin(Stdio::null())
        .output()
        .await
        .context("LIBRA_TEST_PYTHON cannot be run; it needs tests/requirements.txt")?;
    let told = String::from_utf8_lossy(&output.stdout);
    println!("{told}");
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{said}\n{told}");
    Ok(())
}

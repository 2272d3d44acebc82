//! Nodes that join and leave while clients work.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use libra_tests::harness::{Cluster, until, until_some};
use libra_tests::kill::Once;

use super::{SOON, assert_succeeded, nothing_ran_twice, sql, stub, three};

const CLIENTS: usize = 5;

async fn voters(cluster: &Cluster, via: u64) -> Result<BTreeSet<u64>> {
    let members = cluster.status(via).await?.members;
    let voters = members.iter().filter(|member| member.voter);
    Ok(voters.map(|member| member.node_id).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fourth_node_joins_and_the_first_leaves_and_no_request_fails_twice() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).isolated(CLIENTS + 4).start().await?;
    let kept = cluster
        .api(1)?
        .run("kept", &sql("rows=3000 row_bytes=50"), SOON)
        .await?;
    assert_succeeded(&kept);
    let bytes = cluster.api(1)?.arrow(&kept.job_id).await?;
    let load = Once::begin(&cluster.apis(), CLIENTS, true);
    until("some load", SOON, || async {
        Ok(load.so_far().succeeded > CLIENTS)
    })
    .await?;

    let fourth = cluster.one_more().await?;
    cluster.spawn(fourth)?;
    cluster.add(2, fourth).await?;
    cluster.promote(3, fourth).await?;
    cluster.until_voter(fourth).await?;
    cluster.node_mut(fourth)?.until_ready(SOON).await?;
    assert_eq!(
        voters(&cluster, fourth).await?,
        BTreeSet::from([1, 2, 3, 4])
    );

    cluster.remove(2, 1).await?;
    let wanted = BTreeSet::from([2, 3, 4]);
    until("the first node to be gone", SOON, || async {
        let owners = cluster_without(&cluster, 1).await?;
        Ok(voters(&cluster, 3).await? == wanted && !owners)
    })
    .await?;
    cluster.kill9(1)?;
    let before = load.so_far().succeeded;
    until("some more load", SOON, || async {
        Ok(load.so_far().succeeded > before + CLIENTS)
    })
    .await?;
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

    for id in cluster.running() {
        ensure!(
            cluster.api(id)?.arrow(&kept.job_id).await? == bytes,
            "node {id}"
        );
    }
    nothing_ran_twice(&stub).await?;

    // What the first one has stored is of a group that has removed it: it says so, and ends.
    cluster.spawn(1)?;
    let first = cluster.node_mut(1)?;
    let status = until_some("the removed node to end", SOON, || {
        let exited = first.exited();
        async { exited }
    })
    .await?;
    ensure!(!status.success(), "{status}");
    let log = first.log()?;
    ensure!(log.contains("removed from its group"), "{log}");
    for (id, view) in cluster.views().await {
        let ids: Vec<u64> = view.nodes.iter().map(|node| node.node_id).collect();
        assert_eq!(ids, [2, 3, 4], "node {id}");
    }
    cluster.all_hold_the_same().await?;
    // The new one is a whole one: it and one of the old ones are a quorum.
    let old = cluster.others(fourth)[0];
    cluster.kill9(old)?;
    let ended = cluster
        .api(fourth)?
        .run("kept", &sql("rows=1"), SOON)
        .await?;
    assert_succeeded(&ended);
    Ok(())
}

/// Whether a node still owns sessions, as the others see it.
async fn cluster_without(cluster: &Cluster, gone: u64) -> Result<bool> {
    let api = cluster.api(2)?;
    let list = api.sessions().await?;
    let live = list.sessions.iter().filter(|s| s.state != "closed");
    Ok(live.into_iter().any(|s| s.owner.node_id == gone))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_may_be_asked_for_again_and_nonsense_is_refused() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).start().await?;
    let fourth = cluster.one_more().await?;
    cluster.spawn(fourth)?;
    for via in [1, 2, 3] {
        cluster.add(via, fourth).await?;
    }
    for via in [3, 1] {
        cluster.promote(via, fourth).await?;
    }
    for via in [2, 3] {
        cluster.remove(via, fourth).await?;
    }
    assert_eq!(voters(&cluster, 1).await?, BTreeSet::from([1, 2, 3]));

    let mut admin = cluster.admin(1).await?;
    let taken = format!("127.0.0.1:{}", cluster.node(2)?.grpc());
    for (node_id, address, code) in [
        (0, "127.0.0.1:1", tonic::Code::InvalidArgument),
        (9, "nowhere", tonic::Code::InvalidArgument),
        (9, taken.as_str(), tonic::Code::FailedPrecondition),
    ] {
        let asked = libra_proto::admin::AddNodeRequest {
            node_id,
            address: address.to_owned(),
        };
        let refused = admin
            .add_node(asked)
            .await
            .err()
            .map(|status| status.code());
        assert_eq!(refused, Some(code), "{node_id} at {address}");
    }
    assert_eq!(voters(&cluster, 1).await?, BTreeSet::from([1, 2, 3]));
    Ok(())
}

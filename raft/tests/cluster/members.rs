//! Nodes come and go while the others work.

use std::time::Duration;

use libra_proto::types::NodeId;
use libra_raft::{ChangeError, FormError, Formation, Role};

use crate::support::{Group, LIMIT, Load, address, named, pools, put_pool, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_fourth_comes_and_the_first_goes_under_load() {
    let mut group = Group::formed(3).await;
    let load = Load::start(&[group.handle(2), group.handle(3)]);
    load.progress(10).await;
    group.start(4).await;
    group.wait_formed([4]).await;
    group.handle(3).promote(NodeId(4)).await.unwrap();
    load.progress(20).await;
    // Wherever it is asked for, and whether or not the first leads.
    group.handle(2).remove(NodeId(1)).await.unwrap();
    load.progress(20).await;
    let report = load.finish().await;
    assert_eq!((report.refused, report.unknown), (0, 0), "{report:?}");
    until("the first knows", || {
        group.node(1).formation() == Formation::Removed
    })
    .await;
    let error = group.node(1).node.formed(Duration::from_secs(1)).await;
    assert_eq!(error, Err(FormError::Removed { node: NodeId(1) }));
    group.kill(1).await;
    for id in 2..=4 {
        let handle = group.handle(id);
        handle.read_index().await.unwrap();
        assert!(report.acknowledged.is_subset(&pools(&handle)), "node {id}");
        let members = handle.status().members;
        let ids: Vec<_> = members.iter().map(|member| member.node_id.0).collect();
        assert_eq!(ids, [2, 3, 4], "node {id}");
        assert!(members.iter().all(|member| member.voter), "{members:?}");
    }
    group.agree().await;
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_change_may_be_asked_for_twice() {
    let mut group = Group::formed(3).await;
    group.start(4).await;
    group.wait_formed([4]).await;
    let handle = group.handle(group.follower().await);
    let four = NodeId(4);
    for _ in 0..2 {
        handle.add_learner(four, address(4)).await.unwrap();
        assert_eq!(group.handle(4).status().role, Role::Learner);
    }
    for _ in 0..2 {
        handle.promote(four).await.unwrap();
        handle.add_learner(four, address(4)).await.unwrap();
    }
    for _ in 0..2 {
        handle.remove(four).await.unwrap();
    }
    handle.remove(NodeId(9)).await.unwrap();
    for refused in [
        handle.promote(NodeId(9)).await,
        handle.transfer_leader(four).await,
        handle.add_learner(four, address(4)).await,
        handle.add_learner(NodeId(5), address(2)).await,
    ] {
        assert!(
            matches!(refused, Err(ChangeError::Refused { .. })),
            "{refused:?}"
        );
    }
    group.kill(4).await;
    group.agree().await;
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_removed_hands_over() {
    let mut group = Group::formed(3).await;
    let first = group.leader().await;
    group.handle(first).remove(NodeId(first)).await.unwrap();
    until("it knows", || {
        group.node(first).formation() == Formation::Removed
    })
    .await;
    group.kill(first).await;
    let second = group.leader().await;
    group.handle(second).remove(NodeId(second)).await.unwrap();
    until("it knows", || {
        group.node(second).formation() == Formation::Removed
    })
    .await;
    group.kill(second).await;
    let last = group.leader().await;
    let error = group.handle(last).remove(NodeId(last)).await.unwrap_err();
    assert!(error.to_string().contains("only vote"), "{error}");
    group.handle(last).propose(put_pool(1)).await.unwrap();

    // Its old store is of no use any more; with an empty one it comes back.
    group.start(first).await;
    let excluded = tokio::time::timeout(LIMIT, group.node(first).node.excluded());
    let node = NodeId(first);
    assert_eq!(excluded.await, Ok(FormError::Removed { node }));
    group.kill(first).await;
    group.wipe(first);
    group.start(first).await;
    group.wait_formed([first]).await;
    let handle = group.handle(first);
    handle.read_index().await.unwrap();
    assert_eq!(pools(&handle), named([1]));
    group.shutdown().await;
}

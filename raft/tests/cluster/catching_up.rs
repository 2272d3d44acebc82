//! A node that was away catches up, by the log or by a snapshot; one that was wiped begins anew.

use std::path::Path;

use libra_raft::SnapshotPolicy;

use crate::support::{Group, named, pools, put_pool, until};

async fn propose(group: &Group, node: u64, numbers: std::ops::Range<u64>) {
    let handle = group.handle(node);
    for number in numbers {
        handle.propose(put_pool(number)).await.unwrap();
    }
}

/// A group whose logs are short.
async fn snapshotting() -> Group {
    let mut group = Group::new(3);
    group.adjust = |options| {
        options.snapshot = SnapshotPolicy {
            entries: 10,
            log_bytes: u64::MAX,
        };
    };
    group.start_all().await;
    group
}

fn temporary_files(dir: &Path) -> Vec<String> {
    let files = std::fs::read_dir(dir.join("snapshots")).unwrap();
    let names = files.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".tmp")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn by_the_log() {
    let mut group = Group::formed(3).await;
    let away = group.follower().await;
    group.kill(away).await;
    let leader = group.leader().await;
    propose(&group, leader, 0..50).await;
    group.start(away).await;
    let handle = group.handle(away);
    handle.read_index().await.unwrap();
    assert_eq!(pools(&handle), named(0..50));
    assert_eq!(handle.status().snapshot_index, 0);
    group.agree().await;
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_a_snapshot() {
    let mut group = snapshotting().await;
    let away = group.follower().await;
    let before = group.handle(away).status().last_log_index;
    group.kill(away).await;
    let leader = group.leader().await;
    let mut number = 0;
    while group.handle(leader).status().purged_index <= before {
        propose(&group, leader, number..number + 10).await;
        number += 10;
        assert!(number < 1000, "{:?}", group.handle(leader).status());
    }
    group.start(away).await;
    let handle = group.handle(away);
    handle.read_index().await.unwrap();
    assert_eq!(pools(&handle), named(0..number));
    assert!(handle.status().snapshot_index > before);
    until("nothing of the reception is left", || {
        temporary_files(&group.dir(away)).is_empty()
    })
    .await;
    // It goes on by the log, and keeps what it has.
    propose(&group, away, number..number + 5).await;
    group.kill(away).await;
    group.start(away).await;
    group.handle(away).read_index().await.unwrap();
    assert_eq!(pools(&group.handle(away)), named(0..number + 5));
    group.agree().await;
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_node_is_a_new_member() {
    for mut group in [Group::formed(3).await, snapshotting().await] {
        // The one that leads, and that forms groups when there is none, is no exception.
        for wiped in [1, 2] {
            propose(&group, 3, wiped * 100..wiped * 100 + 40).await;
            let old = group.handle(wiped).status().store_uuid;
            group.kill(wiped).await;
            group.wipe(wiped);
            group.start(wiped).await;
            group.wait_formed([wiped]).await;
            let handle = group.handle(wiped);
            assert_ne!(handle.status().store_uuid, old);
            until("it has a vote, with its new store", || {
                let status = handle.status();
                let mut members = status.members.iter();
                members
                    .any(|m| m.node_id.0 == wiped && m.voter && m.store_uuid == status.store_uuid)
            })
            .await;
            handle.read_index().await.unwrap();
            assert_eq!(pools(&handle), pools(&group.handle(3)));
            assert_eq!(handle.status().members.len(), 3);
            group.agree().await;
        }
        group.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wiped_node_votes_for_nobody() {
    let mut group = Group::formed(3).await;
    propose(&group, 3, 0..10).await;
    // Of three nodes one is gone and one is empty: the third must not get a quorum from it.
    let gone = group.leader().await;
    let others: Vec<_> = (1..=3).filter(|id| *id != gone).collect();
    let (wiped, left) = (others[0], others[1]);
    group.kill(gone).await;
    group.kill(wiped).await;
    group.wipe(wiped);
    group.start(wiped).await;
    let waited = group
        .node(wiped)
        .node
        .formed(std::time::Duration::from_secs(4))
        .await;
    waited.unwrap_err();
    assert_eq!(*group.handle(left).leadership().borrow(), None);
    assert_eq!(group.handle(wiped).status().last_log_index, 0);
    // With the other one back there is a quorum, and it lets the empty one in.
    group.start(gone).await;
    group.wait_formed([gone, wiped]).await;
    group.handle(wiped).read_index().await.unwrap();
    assert_eq!(pools(&group.handle(wiped)), named(0..10));
    group.agree().await;
    group.shutdown().await;
}

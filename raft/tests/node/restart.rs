//! What a restart keeps.

use std::fs;
use std::path::{Path, PathBuf};

use libra_raft::{Node, Role, SnapshotPolicy, StartError};

use crate::support::{LIMIT, large_text, named, options, pools, propose_all, start, until};

fn snapshots(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir.join("snapshots"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files
}

/// A node that builds a snapshot every ten entries.
async fn start_snapshotting(dir: &Path) -> Result<Node, StartError> {
    let mut options = options(dir);
    options.snapshot = SnapshotPolicy {
        entries: 10,
        log_bytes: u64::MAX,
    };
    Node::start(options).await
}

/// Leaves a directory with two snapshots and a log that begins with the older one.
async fn with_two_snapshots(dir: &Path) -> u64 {
    let node = start_snapshotting(dir).await.unwrap();
    let handle = node.handle();
    let mut number = 0;
    while handle.status().purged_index == 0 {
        propose_all(&handle, number..number + 10).await;
        number += 10;
        let applied = handle.status().applied_index;
        until("snapshot", || handle.status().snapshot_index + 10 > applied).await;
        assert!(number < 100, "no purge: {:?}", handle.status());
    }
    propose_all(&handle, number..number + 3).await;
    node.shutdown().await.unwrap();
    number + 3
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_again() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path()).await;
    propose_all(&node.handle(), 0..20).await;
    let before = node.handle().status();
    node.shutdown().await.unwrap();

    let node = start(dir.path()).await;
    let handle = node.handle();
    handle.read_index().await.unwrap();
    assert_eq!(pools(&handle), named(0..20));
    let after = handle.status();
    assert_eq!(after.role, Role::Leader);
    assert_eq!(after.store_uuid, before.store_uuid);
    assert!(after.term > before.term, "led again, by an election");
    // The new leader's blank entry is all that was added.
    assert_eq!(after.last_log_index, before.last_log_index + 1);
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_dropped_without_shutdown_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let node = start(dir.path()).await;
        let handle = node.handle();
        handle.read_index().await.unwrap();
        assert_eq!(pools(&handle), named(0..round * 5));
        propose_all(&handle, round * 5..round * 5 + 5).await;
        drop((node, handle));
        // The directory is free once Raft has noticed.
        until("unlocked", || {
            let lock = fs::File::open(dir.path().join("lock")).unwrap();
            lock.try_lock().is_ok()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshot_and_tail_make_the_registry() {
    let dir = tempfile::tempdir().unwrap();
    let count = with_two_snapshots(dir.path()).await;
    assert_eq!(snapshots(dir.path()).len(), 2);
    let node = start_snapshotting(dir.path()).await.unwrap();
    let handle = node.handle();
    handle.read_index().await.unwrap();
    assert_eq!(pools(&handle), named(0..count));
    let status = handle.status();
    assert!(
        status.purged_index > 0 && status.snapshot_index > status.purged_index,
        "{status:?}"
    );
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_newest_snapshot_is_made_up_for() {
    let dir = tempfile::tempdir().unwrap();
    let count = with_two_snapshots(dir.path()).await;
    let newest = snapshots(dir.path()).pop().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&newest, bytes).unwrap();

    let node = start(dir.path()).await;
    node.handle().read_index().await.unwrap();
    assert_eq!(pools(&node.handle()), named(0..count));
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn damaged_snapshots_that_nothing_makes_up_for_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    with_two_snapshots(dir.path()).await;
    for file in snapshots(dir.path()) {
        fs::write(file, b"LBRSNAP").unwrap();
    }
    let error = Node::start(options(dir.path())).await.unwrap_err();
    assert!(matches!(error, StartError::Snapshot { .. }), "{error}");
    assert!(error.to_string().contains("cut short"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_of_log_make_a_snapshot_too_and_no_blobs() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    options.snapshot = SnapshotPolicy {
        entries: u64::MAX,
        log_bytes: 4 << 20,
    };
    let node = Node::start(options).await.unwrap();
    let handle = node.handle();
    while handle.status().purged_index == 0 {
        handle.propose(large_text(256 * 1024)).await.unwrap();
        assert!(
            // Snapshots are built beside the proposals, on a loaded machine much more slowly.
            handle.status().last_log_index < 1_000,
            "{:?}",
            handle.status()
        );
    }
    until("log is short again", || handle.status().log_bytes < 9 << 20).await;
    node.shutdown().await.unwrap();
    // sled never syncs its blob files, so there must be none.
    assert_eq!(
        fs::read_dir(dir.path().join("log/blobs")).unwrap().count(),
        0
    );
    assert!(
        start(dir.path())
            .await
            .handle()
            .wait_leader(LIMIT)
            .await
            .is_some()
    );
}

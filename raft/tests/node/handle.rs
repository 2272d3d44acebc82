//! Proposing, reading and subscribing, and how each of them is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use libra_proto::registry::applied;
use libra_proto::types::{Change, NodeId};
use libra_raft::{FeedEvent, Node, Outcome, ProposeError, ReadError, Role};

use crate::support::{LIMIT, large_text, options, pools, propose_all, put_pool, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_first_start_forms_a_group_of_one() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path()).await;
    let handle = node.handle();
    assert_eq!(handle.wait_leader(LIMIT).await, Some(NodeId(1)));
    let index = handle.read_index().await.unwrap();
    let status = handle.status();
    assert_eq!((status.role, status.node_id), (Role::Leader, NodeId(1)));
    assert!(
        status.applied_index >= index && status.durable_index >= index,
        "{status:?}"
    );
    assert!(!status.store_uuid.is_empty());
    assert_eq!(status.failure, None);
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_proposed_can_be_read_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path()).await;
    let handle = node.handle();
    for number in 0..50 {
        // The very first one is proposed before there is a leader.
        let applied = handle.propose(put_pool(number)).await.unwrap();
        assert!(
            matches!(applied.result, Some(applied::Result::Pool(_))),
            "{applied:?}"
        );
        assert_eq!(pools(&handle).len() as u64, number + 1);
    }
    let refused = handle.propose(large_text(10)).await.unwrap();
    assert!(
        matches!(refused.result, Some(applied::Result::Rejected(_))),
        "{refused:?}"
    );
    node.shutdown().await.unwrap();
}

/// Whoever is asked for the status while openraft has news: neither waits for the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn its_status_can_be_asked_for_while_much_happens() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path()).await;
    let handle = node.handle();
    let done = Arc::new(AtomicBool::new(false));
    let askers: Vec<_> = (0..3)
        .map(|_| {
            let (handle, done) = (handle.clone(), Arc::clone(&done));
            // Threads of their own: who waits for ever is not to hold the test's.
            std::thread::spawn(move || {
                while !done.load(Ordering::Relaxed) {
                    assert_eq!(handle.status().node_id, NodeId(1));
                }
            })
        })
        .collect();
    for n in 0..400 {
        let answer = handle.propose(put_pool(n)).await;
        assert!(answer.is_ok(), "{n}: {answer:?}");
    }
    done.store(true, Ordering::Relaxed);
    for asker in askers {
        asker.join().unwrap();
    }
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_feed_tells_of_every_command_once() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path()).await;
    let handle = node.handle();
    handle.read_index().await.unwrap();
    let mut feed = handle.subscribe();
    propose_all(&handle, 0..10).await;
    let mut changes = Vec::new();
    let mut last = 0;
    while changes.len() < 10 {
        match feed.next().await {
            FeedEvent::Changes(more, index) => {
                assert!(index > last);
                last = index;
                changes.extend(more);
            }
            other => unreachable!("{other:?}"),
        }
    }
    assert_eq!(changes, vec![Change::Settings; 10]);
    assert_eq!(last, handle.status().applied_index);
    node.shutdown().await.unwrap();
    assert_eq!(feed.next().await, FeedEvent::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_node_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path()).await;
    let handle = node.handle();
    propose_all(&handle, 0..1).await;
    node.shutdown().await.unwrap();
    let error = handle.propose(put_pool(1)).await.unwrap_err();
    assert_eq!(
        (&error, error.outcome()),
        (&ProposeError::Stopped, Outcome::Retryable)
    );
    assert_eq!(handle.read_index().await, Err(ReadError::Stopped));
    assert_eq!(handle.subscribe().next().await, FeedEvent::Closed);
    assert_eq!(
        pools(&handle).len(),
        1,
        "what was applied can still be read"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_too_large_is_not_appended() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    options.max_command_bytes = 1000;
    let node = Node::start(options).await.unwrap();
    let handle = node.handle();
    let before = handle.read_index().await.unwrap();
    let error = handle.propose(large_text(1000)).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Rejected);
    assert!(error.to_string().contains("allowed are 1000"), "{error}");
    assert_eq!(handle.read_index().await.unwrap(), before);
    node.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_refuses_and_the_node_lives() {
    let dir = tempfile::tempdir().unwrap();
    let mut options = options(dir.path());
    options.disk.min_free_bytes = u64::MAX;
    let node = Node::start(options).await.unwrap();
    let handle = node.handle();
    handle.read_index().await.unwrap();
    let error = handle.propose(put_pool(1)).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Retryable);
    assert!(matches!(error, ProposeError::DiskFull { .. }), "{error}");
    assert!(handle.status().disk_full);
    node.shutdown().await.unwrap();
}

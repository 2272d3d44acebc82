//! Who leads knows it, no one else does, and what was proposed for a term counts in no other.

use std::time::Duration;

use libra_proto::types::NodeId;
use libra_raft::{Outcome, ProposeError};

use crate::support::{Cut, Group, pools, put_pool, until};

#[tokio::test(flavor = "multi_thread")]
async fn leadership_is_lost_with_the_quorum() {
    for cut in [Cut::Refused, Cut::BlackHole] {
        let group = Group::formed(3).await;
        let old = group.leader().await;
        let handle = group.handle(old);
        let mut told = handle.leadership();
        let term = told.borrow_and_update().unwrap();
        for id in (1..=3).filter(|id| *id != old) {
            assert_eq!(*group.handle(id).leadership().borrow(), None, "node {id}");
        }
        group.net.isolate(old, cut);
        let lost = tokio::time::timeout(Duration::from_secs(3), told.wait_for(Option::is_none));
        assert_eq!(*lost.await.unwrap().unwrap(), None);
        let error = handle
            .propose_as_leader(term, put_pool(1))
            .await
            .unwrap_err();
        assert!(matches!(error, ProposeError::NotLeader { .. }), "{error}");

        until("another leads a later term", || {
            let mut others = (1..=3).filter(|id| *id != old);
            others.any(|id| {
                let led = *group.handle(id).leadership().borrow();
                led.is_some_and(|led| led > term)
            })
        })
        .await;
        group.net.heal();
        handle.read_index().await.unwrap();
        assert_eq!(pools(&handle).len(), 0);
        group.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_of_the_leaders_role_counts_in_its_term_only() {
    let group = Group::formed(3).await;
    let leader = group.leader().await;
    let handle = group.handle(leader);
    let term = handle.leadership().borrow().unwrap();
    handle.propose_as_leader(term, put_pool(1)).await.unwrap();
    assert_eq!(pools(&handle).len(), 1);
    let last = handle.status().last_log_index;
    for other in [term - 1, term + 1] {
        let error = handle
            .propose_as_leader(other, put_pool(2))
            .await
            .unwrap_err();
        assert!(matches!(error, ProposeError::NotLeader { .. }), "{error}");
        assert_eq!(error.outcome(), Outcome::Retryable);
    }
    // Not forwarded.
    let follower = group.handle(group.follower().await);
    let error = follower
        .propose_as_leader(term, put_pool(2))
        .await
        .unwrap_err();
    assert!(matches!(error, ProposeError::NotLeader { .. }), "{error}");
    assert_eq!(handle.status().last_log_index, last, "nothing was appended");
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_term_that_was_handed_over_is_over() {
    let group = Group::formed(3).await;
    let old = group.leader().await;
    let handle = group.handle(old);
    let term = handle.leadership().borrow().unwrap();
    let next = group.follower().await;
    // Asked for at a third node: it is the leader that does it.
    let asked = (1..=3).find(|id| *id != old && *id != next).unwrap();
    let target = NodeId(next);
    group.handle(asked).transfer_leader(target).await.unwrap();
    until("the other leads", || {
        group.handle(next).leadership().borrow().is_some()
    })
    .await;
    assert_eq!(*handle.leadership().borrow(), None);
    let error = handle
        .propose_as_leader(term, put_pool(1))
        .await
        .unwrap_err();
    assert!(matches!(error, ProposeError::NotLeader { .. }), "{error}");
    group.handle(asked).transfer_leader(target).await.unwrap();
    group.agree().await;
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whose_disk_is_full_hands_over() {
    let mut group = Group::new(3);
    group.adjust = |options| {
        if options.node_id == NodeId(1) {
            options.disk.min_free_bytes = u64::MAX;
        }
    };
    group.start_all().await;
    if group.leader().await != 1 {
        group.handle(2).transfer_leader(NodeId(1)).await.unwrap();
    }
    until("another leads", || {
        (2..=3).any(|id| group.handle(id).leadership().borrow().is_some())
    })
    .await;
    let other = group.leader().await;
    assert_ne!(other, 1);
    group.handle(other).propose(put_pool(1)).await.unwrap();
    group.agree().await;
    group.shutdown().await;
}

//! Any node takes proposals, and what was answered can be read on every node at once.

use libra_proto::registry::applied;
use libra_proto::types::NodeId;
use libra_raft::{Outcome, ProposeError, ReadError};
use std::time::Duration;

use crate::support::{Cut, Group, large_text, named, pools, put_pool};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_takes_a_command_everyone_can_read_it() {
    let group = Group::formed(3).await;
    for number in 0..30 {
        let writer = number % 3 + 1;
        let applied = group
            .handle(writer)
            .propose(put_pool(number))
            .await
            .unwrap();
        assert!(
            matches!(applied.result, Some(applied::Result::Pool(_))),
            "{applied:?}"
        );
        // Its own write without asking anybody, the others' by a read index.
        assert_eq!(pools(&group.handle(writer)), named(0..=number));
        for reader in 1..=3 {
            let handle = group.handle(reader);
            handle.read_index().await.unwrap();
            assert_eq!(pools(&handle), named(0..=number), "node {reader}");
        }
    }
    let follower = group.handle(group.follower().await);
    let refused = follower.propose(large_text(9)).await.unwrap();
    assert!(
        matches!(refused.result, Some(applied::Result::Rejected(_))),
        "{refused:?}"
    );
    group.agree().await;
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_at_once_on_every_node() {
    let group = Group::formed(3).await;
    let writers = (0..60).map(|number| {
        let handle = group.handle(number % 3 + 1);
        tokio::spawn(async move {
            handle.propose(put_pool(number)).await.unwrap();
            handle.read_index().await.unwrap();
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
    for id in group.ids() {
        group.handle(id).read_index().await.unwrap();
        assert_eq!(pools(&group.handle(id)), named(0..60), "node {id}");
    }
    group.agree().await;
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_largest_commands_reach_every_node() {
    let group = Group::formed(3).await;
    let follower = group.handle(group.follower().await);
    for _ in 0..12 {
        follower.propose(large_text(1_000_000)).await.unwrap();
    }
    let error = follower.propose(large_text(1 << 20)).await.unwrap_err();
    assert_eq!(error.outcome(), Outcome::Rejected);
    group.agree().await;
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_a_quorum_refuses_in_time_and_serves_again() {
    let mut group = Group::new(3);
    group.adjust = |options| options.propose_timeout = Duration::from_secs(2);
    group.start_all().await;
    let alone = group.follower().await;
    let handle = group.handle(alone);
    handle.propose(put_pool(0)).await.unwrap();
    for cut in [Cut::Refused, Cut::BlackHole] {
        group.net.isolate(alone, cut);
        let before = std::time::Instant::now();
        let (proposed, read) = tokio::join!(handle.propose(put_pool(1)), handle.read_index());
        assert!(before.elapsed() < Duration::from_secs(4), "{cut:?}");
        let error = proposed.unwrap_err();
        match cut {
            Cut::Refused => assert!(
                matches!(
                    error,
                    ProposeError::NotLeader { .. } | ProposeError::Unknown { .. }
                ),
                "{error}"
            ),
            Cut::BlackHole => assert_ne!(error.outcome(), Outcome::Rejected, "{error}"),
        }
        assert!(
            matches!(read, Err(ReadError::TimedOut { .. })),
            "{cut:?}: {read:?}"
        );
        group.net.heal();
        let again = async {
            while handle.read_index().await.is_err() {}
            while handle.propose(put_pool(2)).await.is_err() {}
        };
        tokio::time::timeout(crate::support::LIMIT, again)
            .await
            .unwrap();
        assert!(pools(&handle).contains("p-2"));
    }
    group.agree().await;
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_who_is_in_the_group() {
    let group = Group::formed(3).await;
    let leader = group.leader().await;
    let status = group.handle(leader).status();
    assert_eq!(status.leader, Some(NodeId(leader)));
    let ids: Vec<_> = status.members.iter().map(|m| m.node_id.0).collect();
    assert_eq!(ids, [1, 2, 3]);
    for member in &status.members {
        assert!(member.voter && !member.store_uuid.is_empty(), "{member:?}");
        assert_eq!(member.address, crate::support::address(member.node_id.0));
        assert!(member.lag.is_some(), "{member:?}");
    }
    let status = group.handle(group.follower().await).status();
    assert!(status.members.iter().all(|member| member.lag.is_none()));
    group.shutdown().await;
}

/// A node that is cut off says what it has as if it were all there is.
#[cfg(feature = "safety-switches")]
#[tokio::test(flavor = "multi_thread")]
async fn without_the_read_index_an_old_state_is_told_as_a_new_one() {
    use libra_proto::safety::{Safety, take_off};

    let group = Group::formed(3).await;
    let (old, other) = (group.leader().await, group.follower().await);
    group.net.isolate(old, Cut::BlackHole);
    crate::support::until("another leads", || {
        let mut others = (1..=3).filter(|id| *id != old);
        others.any(|id| group.handle(id).leadership().borrow().is_some())
    })
    .await;
    group.handle(other).propose(put_pool(1)).await.unwrap();
    take_off(&[Safety::ReadIndex]);
    let handle = group.handle(old);
    handle.read_index().await.unwrap();
    assert_eq!(pools(&handle), named([]));
    group.net.heal();
    handle.quorum_round().await.unwrap();
    assert_eq!(pools(&handle), named([1]));
    group.shutdown().await;
}

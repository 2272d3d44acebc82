//! One group is formed, whatever the order and the delays of the starts; and never a second.

use std::time::Duration;

use libra_raft::{FormError, Formation};

use crate::support::{Cut, Group, LIMIT, named, pools, put_pool, until};

/// A small generator, so that a seed decides everything.
struct Seed(u64);

impl Seed {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % limit
    }

    fn shuffle(&mut self, ids: &mut [u64]) {
        for place in (1..ids.len()).rev() {
            let other = self.below(place as u64 + 1) as usize;
            ids.swap(place, other);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_starts_in_any_order_form_one_group_each() {
    for seed in 1..=20 {
        let mut random = Seed(seed);
        let mut order = [1, 2, 3];
        random.shuffle(&mut order);
        let mut group = Group::new(3);
        for id in order {
            // Starts that are not at the same moment are what this is about.
            tokio::time::sleep(Duration::from_millis(random.below(250))).await;
            group.start(id).await;
        }
        group.wait_formed([1, 2, 3]).await;
        let first = group.handle(order[0]);
        first.propose(put_pool(seed)).await.unwrap();
        for id in [1, 2, 3] {
            let handle = group.handle(id);
            handle.read_index().await.unwrap();
            assert_eq!(pools(&handle), named([seed]), "seed {seed}, node {id}");
            let status = handle.status();
            assert_eq!(status.members.len(), 3, "seed {seed}: {status:?}");
            assert!(status.members.iter().all(|m| m.voter), "seed {seed}");
        }
        group.agree().await;
        group.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_formed_while_one_is_missing() {
    let mut group = Group::new(3);
    group.start(1).await;
    group.start(3).await;
    let error = group.node(1).node.formed(Duration::from_secs(2)).await;
    match error.unwrap_err() {
        FormError::TimedOut { reason, .. } => assert!(reason.contains("node 2"), "{reason}"),
        error => panic!("{error}"),
    }
    assert_eq!(group.handle(1).status().last_log_index, 0);
    assert!(group.handle(1).status().members.is_empty());
    group.start(2).await;
    group.wait_formed([1, 2, 3]).await;
    group.agree().await;
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_cannot_be_reached_at_first_is_in_it_too() {
    let mut group = Group::new(3);
    group.net.isolate(1, Cut::BlackHole);
    for id in [1, 2, 3] {
        group.start(id).await;
    }
    until("node 3 waits for node 1", || {
        matches!(group.node(3).formation(), Formation::Waiting { reason } if reason.contains("node 1"))
    })
    .await;
    group.net.heal();
    group.wait_formed([1, 2, 3]).await;
    group.agree().await;
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_forms_nothing_anew() {
    let mut group = Group::formed(3).await;
    group.handle(2).propose(put_pool(1)).await.unwrap();
    let stores: Vec<_> = group.handle(1).status().members;
    for round in 0..2 {
        // All at once, then the one that forms groups first of all.
        for id in [3, 2, 1] {
            group.kill(id).await;
        }
        for id in if round == 0 { [1, 2, 3] } else { [3, 1, 2] } {
            group.start(id).await;
            group.wait_formed([id]).await;
        }
        group.handle(1).read_index().await.unwrap();
        assert_eq!(pools(&group.handle(1)), named([1]));
        let members = group.handle(1).status().members;
        let uuids = |members: &[libra_raft::Member]| -> Vec<String> {
            members.iter().map(|m| m.store_uuid.clone()).collect()
        };
        assert_eq!(uuids(&members), uuids(&stores));
        group.agree().await;
    }
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_one_grows_when_it_is_given_peers() {
    let mut group = Group::new(3);
    let mut alone = group.options(1);
    alone.peers.clear();
    group.start_with(alone).await.unwrap();
    group.wait_formed([1]).await;
    group.handle(1).propose(put_pool(7)).await.unwrap();
    group.kill(1).await;

    for id in [2, 3, 1] {
        group.start(id).await;
    }
    group.wait_formed([1, 2, 3]).await;
    let handle = group.handle(3);
    handle.read_index().await.unwrap();
    assert_eq!(pools(&handle), named([7]));
    until("all have a vote and an address", || {
        let members = group.handle(1).status().members;
        members.len() == 3 && members.iter().all(|m| m.voter && !m.address.is_empty())
    })
    .await;
    group.agree().await;
    group.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_groups_of_one_are_not_made_one() {
    let mut group = Group::new(2);
    for id in [1, 2] {
        let mut alone = group.options(id);
        alone.peers.clear();
        group.start_with(alone).await.unwrap();
        group.handle(id).propose(put_pool(id)).await.unwrap();
        group.kill(id).await;
    }
    group.start(1).await;
    group.start(2).await;
    let error = group.node(2).node.formed(LIMIT).await.unwrap_err();
    assert!(error.to_string().contains("another group"), "{error}");
    until("the other one learns of it too", || {
        matches!(group.node(1).formation(), Formation::Refused { .. })
    })
    .await;
    group.shutdown().await;
}

//! The keeper: a lease is held while it is renewed, and joined anew when it is refused.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use libra_actors::lease::{Options, Setup};
use libra_actors::ports::{LeasePort, RenewError};
use libra_actors::supervisor::Node;
use tokio::time::{Instant, sleep};

use crate::node::options;
use crate::registry::Pretended;

/// How the leader answers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Leader {
    Renews,
    Says(Duration),
    Hangs,
    Refuses,
    Panics,
}

pub(crate) struct Port {
    leader: Mutex<Leader>,
    rejoined: AtomicUsize,
    /// Joining anew is what it takes.
    forgiving: AtomicBool,
}

impl Port {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            leader: Mutex::new(Leader::Renews),
            rejoined: AtomicUsize::new(0),
            forgiving: AtomicBool::new(true),
        })
    }

    pub(crate) fn set(&self, leader: Leader) {
        *self.leader.lock().unwrap() = leader;
    }

    fn leader(&self) -> Leader {
        *self.leader.lock().unwrap()
    }
}

#[async_trait]
impl LeasePort for Port {
    async fn renew(&self) -> Result<(), RenewError> {
        match self.leader() {
            Leader::Renews => Ok(()),
            Leader::Says(after) => {
                sleep(after).await;
                Ok(())
            }
            Leader::Hangs => std::future::pending().await,
            Leader::Refuses => Err(RenewError::Refused {
                reason: "as the test wants it".to_owned(),
            }),
            Leader::Panics => panic!("as the test wants it"),
        }
    }

    async fn rejoin(&self) -> Result<(), RenewError> {
        self.rejoined.fetch_add(1, Ordering::SeqCst);
        if self.forgiving.load(Ordering::SeqCst) {
            self.set(Leader::Renews);
        }
        Ok(())
    }
}

async fn node() -> (Arc<Port>, Node) {
    let port = Port::new();
    let setup = Setup {
        port: Arc::clone(&port) as _,
        options: Options::default(),
    };
    let node = Node::start(options(&Pretended::new(), Some(setup)));
    let node = node.await.unwrap();
    sleep(Duration::from_millis(1)).await;
    (port, node)
}

#[tokio::test(start_paused = true)]
async fn it_is_held_as_long_as_it_is_renewed() {
    let (port, node) = node().await;
    let lease = node.lease();
    let spell = lease.spell();
    assert!(spell.is_some());
    for _ in 0..100 {
        sleep(Duration::from_millis(100)).await;
        assert_eq!(lease.spell(), spell);
    }
    port.set(Leader::Hangs);
    let silent = Instant::now();
    while lease.spell().is_some() {
        sleep(Duration::from_millis(1)).await;
    }
    // It was last renewed up to 240 ms before.
    assert!(
        silent.elapsed() <= Duration::from_millis(1_201),
        "{:?}",
        silent.elapsed()
    );
    assert!(
        silent.elapsed() >= Duration::from_millis(950),
        "{:?}",
        silent.elapsed()
    );
    port.set(Leader::Renews);
    let again = lease.held().await;
    assert_ne!(Some(again), spell, "another spell");
}

/// The lease runs from before the renewal was sent: an answer after 0.5 s leaves 0.7 s.
#[tokio::test(start_paused = true)]
async fn a_slow_leader_leaves_less_of_it() {
    let (port, node) = node().await;
    port.set(Leader::Says(Duration::from_millis(500)));
    let lease = node.lease();
    sleep(Duration::from_secs(3)).await;
    assert!(lease.spell().is_some());
    // What is under way is still answered: the last of it was sent by now.
    port.set(Leader::Hangs);
    let silent = Instant::now();
    while lease.spell().is_some() {
        sleep(Duration::from_millis(1)).await;
    }
    assert!(
        silent.elapsed() <= Duration::from_millis(1_201),
        "{:?}",
        silent.elapsed()
    );
}

/// After half a lease an answer is not waited for any more.
#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_too_late_renews_nothing() {
    let (port, node) = node().await;
    port.set(Leader::Says(Duration::from_millis(610)));
    sleep(Duration::from_secs(3)).await;
    assert_eq!(node.lease().spell(), None);
}

#[tokio::test(start_paused = true)]
async fn one_that_hangs_does_not_keep_the_next_from_its_chance() {
    let (port, node) = node().await;
    let spell = node.lease().spell();
    for _ in 0..10 {
        port.set(Leader::Hangs);
        sleep(Duration::from_millis(400)).await;
        port.set(Leader::Renews);
        sleep(Duration::from_millis(900)).await;
    }
    assert_eq!(node.lease().spell(), spell);
}

#[tokio::test(start_paused = true)]
async fn a_refused_node_joins_anew_once() {
    let (port, node) = node().await;
    let spell = node.lease().spell();
    port.set(Leader::Refuses);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(port.rejoined.load(Ordering::SeqCst), 1);
    assert!(node.lease().spell().is_some());
    assert_ne!(node.lease().spell(), spell);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_stays_refused_holds_no_lease() {
    let (port, node) = node().await;
    port.forgiving.store(false, Ordering::SeqCst);
    port.set(Leader::Refuses);
    sleep(Duration::from_millis(300)).await;
    for _ in 0..50 {
        assert_eq!(node.lease().spell(), None);
        sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_renewal_that_crashes_is_one_without_answer() {
    let (port, node) = node().await;
    port.set(Leader::Panics);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(node.lease().spell(), None);
    port.set(Leader::Renews);
    sleep(Duration::from_secs(1)).await;
    assert!(node.lease().spell().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_cluster_of_one_needs_none() {
    let node = Node::start(options(&Pretended::new(), None)).await.unwrap();
    sleep(Duration::from_secs(60)).await;
    assert!(node.lease().spell().is_some());
}

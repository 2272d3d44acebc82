//! The failure detector: whom it declares down, when, and in which term.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use libra_actors::lease::{DetectorHandle, Liveness, Options, Refusal, Renewal, Setup};
use libra_actors::ports::{LeasePort, RenewError};
use libra_actors::supervisor::Node;
use libra_proto::registry::NodeState;
use libra_proto::registry::command::Kind;
use libra_proto::types::NodeId;
use tokio::time::{Instant, sleep};

use crate::node::options;
use crate::registry::Pretended;

/// Lease and margin, and not one tick more.
const LIMIT: Duration = Duration::from_millis(1_400);
const TICK: Duration = Duration::from_millis(50);

/// Nobody answers this node.
struct Silence;

#[async_trait]
impl LeasePort for Silence {
    async fn renew(&self) -> Result<(), RenewError> {
        let reason = "as the test wants it".to_owned();
        Err(RenewError::Unanswered { reason })
    }

    async fn rejoin(&self) -> Result<(), RenewError> {
        Ok(())
    }
}

async fn node() -> (Arc<Pretended>, Node) {
    let registry = Pretended::new();
    registry.put_node(1, "a");
    registry.put_node(2, "b");
    let lease = Setup {
        port: Arc::new(Silence),
        options: Options::default(),
    };
    let node = Node::start(options(&registry, Some(lease))).await.unwrap();
    (registry, node)
}

/// Node 1 renews for so long.
async fn renewing(detector: &DetectorHandle, time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        renew(detector, 1, "a").unwrap();
        sleep(TICK).await;
    }
}

fn renew(detector: &DetectorHandle, node: u64, boot_id: &str) -> Result<(), Refusal> {
    let renewal = Renewal {
        node_id: NodeId(node),
        boot_id: boot_id.to_owned(),
        unreachable: BTreeSet::new(),
    };
    detector.renewed(renewal, Instant::now())
}

/// Who was declared down, and in which term.
fn declared(registry: &Pretended) -> Vec<(u64, String, u64)> {
    let journal = registry.journal().into_iter();
    let down = journal.filter_map(|proposal| match proposal.kind {
        Kind::NodeDown(down) => Some((proposal.term, down.boot_id, down.node_id)),
        _ => None,
    });
    down.collect()
}

#[tokio::test(start_paused = true)]
async fn only_the_leader_counts() {
    let (registry, node) = node().await;
    let detector = node.detector();
    sleep(LIMIT * 3).await;
    assert_eq!(renew(&detector, 1, "a"), Err(Refusal::NotLeading));
    assert_eq!(detector.observe(), None);
    assert_eq!(declared(&registry), []);
}

#[tokio::test(start_paused = true)]
async fn a_silent_node_is_declared_down_in_the_leaders_term() {
    let (registry, node) = node().await;
    let detector = node.detector();
    registry.lead(Some(7));
    sleep(Duration::from_millis(10)).await;
    renewing(&detector, LIMIT - TICK).await;
    assert_eq!(declared(&registry), []);
    let states: Vec<Liveness> = detector
        .observe()
        .unwrap()
        .iter()
        .map(|n| n.state)
        .collect();
    assert_eq!(states, [Liveness::Up, Liveness::Suspect]);
    renewing(&detector, TICK * 3).await;
    assert_eq!(declared(&registry), [(7, "b".to_owned(), 2)]);
    assert_eq!(renew(&detector, 2, "b"), Err(Refusal::Over));
}

#[tokio::test(start_paused = true)]
async fn a_declaration_without_answer_is_made_again_until_the_registry_has_it() {
    let (registry, node) = node().await;
    let detector = node.detector();
    registry.set_unknown(true);
    registry.lead(Some(7));
    sleep(Duration::from_millis(10)).await;
    renewing(&detector, LIMIT + Duration::from_secs(1)).await;
    let times = declared(&registry).len();
    assert!((2..=6).contains(&times), "{times}");
    registry.set_node_state(2, NodeState::Down);
    renewing(&detector, Duration::from_millis(300)).await;
    let times = declared(&registry).len();
    renewing(&detector, Duration::from_secs(1)).await;
    assert_eq!(declared(&registry).len(), times);
    assert_eq!(renew(&detector, 2, "b"), Err(Refusal::NotRegistered));
    // It starts anew.
    registry.put_node(2, "b2");
    assert_eq!(renew(&detector, 2, "b2"), Ok(()));
}

#[tokio::test(start_paused = true)]
async fn the_next_term_begins_all_clocks_anew() {
    let (registry, node) = node().await;
    let detector = node.detector();
    registry.lead(Some(7));
    sleep(Duration::from_millis(10)).await;
    renewing(&detector, LIMIT - TICK * 2).await;
    registry.lead(Some(8));
    sleep(Duration::from_millis(10)).await;
    renewing(&detector, LIMIT - TICK).await;
    assert_eq!(declared(&registry), []);
    renewing(&detector, TICK * 3).await;
    assert_eq!(declared(&registry), [(8, "b".to_owned(), 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_node_that_gives_up_is_declared_down_at_once() {
    let (registry, node) = node().await;
    let detector = node.detector();
    registry.lead(Some(7));
    sleep(Duration::from_millis(10)).await;
    renew(&detector, 2, "b").unwrap();
    detector.gave_up(NodeId(2), "b").unwrap();
    renewing(&detector, TICK * 2).await;
    assert_eq!(declared(&registry), [(7, "b".to_owned(), 2)]);
}

/// That a node is down may be committed although nobody has heard of it.
#[tokio::test(start_paused = true)]
async fn a_detector_that_crashes_takes_nothing_back() {
    let (registry, node) = node().await;
    let detector = node.detector();
    registry.set_unknown(true);
    registry.lead(Some(7));
    sleep(Duration::from_millis(10)).await;
    renewing(&detector, LIMIT + TICK).await;
    assert_eq!(renew(&detector, 2, "b"), Err(Refusal::Over));
    registry.panic_the_detector();
    sleep(TICK * 2).await;
    assert_eq!(renew(&detector, 1, "a"), Ok(()));
    assert_eq!(renew(&detector, 2, "b"), Err(Refusal::Over));
}

//! The leader's actors start with leadership, stop with it, and propose in their term only.

use std::sync::Arc;
use std::time::Duration;

use libra_actors::supervisor::Node;
use libra_proto::registry::command::Kind;
use tokio::time::sleep;

use crate::node::options;
use crate::registry::{Pretended, STARTED_MS};

/// Longer than a few rounds of the reaper; the clock of these tests is pretended too.
const ROUNDS: Duration = Duration::from_secs(2);

/// A node with a statement that is overdue for ever.
async fn node() -> (Arc<Pretended>, Node) {
    let registry = Pretended::new();
    registry.set_overdue(&[1]);
    let node = Node::start(options(&registry, None)).await.unwrap();
    (registry, node)
}

/// The terms in which a deadline was proposed, from the `nth` on.
fn terms(registry: &Pretended, nth: usize) -> Vec<u64> {
    let journal = registry.journal().into_iter();
    let deadlines = journal.filter(|p| matches!(p.kind, Kind::TimeOut(_)));
    deadlines.map(|p| p.term).skip(nth).collect()
}

#[tokio::test(start_paused = true)]
async fn who_does_not_lead_proposes_nothing() {
    let (registry, _node) = node().await;
    sleep(ROUNDS).await;
    assert_eq!(terms(&registry, 0), [0; 0]);
    registry.lead(Some(3));
    sleep(ROUNDS).await;
    let in_the_third = terms(&registry, 0);
    assert!(in_the_third.len() > 3 && in_the_third.iter().all(|term| *term == 3));
    registry.lead(None);
    sleep(Duration::from_millis(1)).await;
    let before = terms(&registry, 0).len();
    sleep(ROUNDS).await;
    assert_eq!(terms(&registry, before), [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_break_that_nobody_saw_gives_a_fresh_instance() {
    let (registry, _node) = node().await;
    registry.lead(Some(3));
    sleep(ROUNDS).await;
    registry.lead(None);
    registry.lead(Some(4));
    sleep(ROUNDS).await;
    let terms = terms(&registry, 0);
    let last_of_the_third = terms.iter().rposition(|term| *term == 3).unwrap();
    let first_of_the_fourth = terms.iter().position(|term| *term == 4).unwrap();
    assert!(last_of_the_third < first_of_the_fourth, "{terms:?}");
}

#[tokio::test(start_paused = true)]
async fn leadership_that_comes_and_goes_leaves_one_instance() {
    let (registry, _node) = node().await;
    for term in 1..200 {
        registry.lead((term % 3 != 0).then_some(term));
        sleep(Duration::from_millis(term % 7)).await;
    }
    registry.lead(Some(500));
    sleep(ROUNDS).await;
    let before = terms(&registry, 0).len();
    sleep(ROUNDS).await;
    let now = terms(&registry, before);
    // One every 200 ms, and not two.
    assert!((8..=12).contains(&now.len()), "{now:?}");
    assert!(now.iter().all(|term| *term == 500));
}

/// Deadlines are the registry's time: whose own clock is wrong finds them due when the others would.
#[tokio::test(start_paused = true)]
async fn deadlines_are_judged_by_the_registrys_clock() {
    const SKEW_MS: u64 = 600_000;
    for (clock_ms, wall_ms) in [
        (STARTED_MS, STARTED_MS + SKEW_MS),
        (STARTED_MS + SKEW_MS, STARTED_MS),
    ] {
        let registry = Pretended::new();
        registry.set_clocks(clock_ms, wall_ms);
        let _node = Node::start(options(&registry, None)).await.unwrap();
        registry.lead(Some(3));
        sleep(ROUNDS).await;
        let asked = registry.asked_ms();
        // The tokio clock of this test is pretended, the actors' is not.
        let late = asked.checked_sub(clock_ms);
        assert!(
            late.is_some_and(|ms| ms < SKEW_MS / 2),
            "{asked} for {clock_ms}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn history_goes_as_fast_as_it_comes() {
    let (registry, _node) = node().await;
    registry.lead(Some(3));
    for _ in 0..4 {
        registry.set_old(1_500);
        sleep(ROUNDS).await;
        assert_eq!(registry.old(), 0);
    }
    // Deadlines have had their turns meanwhile.
    assert!(terms(&registry, 0).len() > 30);
}

/// Without an answer the next sweep looks again: nothing is proposed over and over.
#[tokio::test(start_paused = true)]
async fn history_that_nobody_removes_waits_for_the_next_sweep() {
    let (registry, _node) = node().await;
    registry.set_old(1_500);
    registry.set_unknown(true);
    registry.lead(Some(3));
    sleep(ROUNDS).await;
    let asked = registry.proposed(|kind| matches!(kind, Kind::Retire(_)).then_some(()));
    assert!((1..=3).contains(&asked.len()), "{}", asked.len());
}

#[tokio::test(start_paused = true)]
async fn a_reaper_that_crashes_is_started_again_in_its_term() {
    let (registry, _node) = node().await;
    registry.panic_times(2);
    registry.lead(Some(3));
    sleep(ROUNDS).await;
    let terms = terms(&registry, 0);
    assert!(terms.len() > 3 && terms.iter().all(|term| *term == 3));
}

#[tokio::test(start_paused = true)]
async fn one_that_crashes_all_the_time_ends_the_node() {
    let (registry, mut node) = node().await;
    registry.panic_times(usize::MAX);
    registry.lead(Some(3));
    let ended = tokio::time::timeout(Duration::from_secs(60), node.ended()).await;
    assert!(ended.is_ok());
}

//! Who led before this node, and for how long that node can have had no quorum.
//!
//! Voters refuse a candidate while they have heard a leader within its lease (openraft's
//! `leader_lease`, [`crate::Options::election_max`]). Each quorum that elects has a voter in common
//! with each quorum that answered the leader before, so the last such answer is older than that lease
//! when the next leader is elected. Three things would break this, and each is ruled out:
//! - a voter that was started again has forgotten whom it heard: it gives no votes for the time of a
//!   lease ([`Succession::votes_yet`]); nor does this node, started a moment ago, conclude anything;
//! - a leader that hands over is elected out of turn: nothing is concluded about its term;
//! - clocks that differ in rate: whoever counts on it keeps a margin.
//!
//! PURE: no runtime and no clock; `up` is for how long this process has run.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libra_proto::types::NodeId;

/// How long after its start a node concludes nothing, in leases.
const LEASES_AFTER_START: u32 = 3;

/// The leader before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Predecessor {
    /// Which node that was.
    pub node_id: NodeId,
    /// No quorum has answered it for so long, at least.
    pub silent_for: Duration,
}

/// What this node remembers of leaders.
#[derive(Debug)]
pub(crate) struct Succession {
    /// It may have heard a leader in an earlier life.
    had_log: bool,
    lease: Duration,
    /// The last other node that led; 0 = none.
    last_leader: AtomicU64,
    /// The term that a leader wanted to hand over to this node; 0 = none.
    handed_over: AtomicU64,
}

impl Succession {
    pub(crate) fn new(had_log: bool, lease: Duration) -> Self {
        Self {
            had_log,
            lease,
            last_leader: AtomicU64::new(0),
            handed_over: AtomicU64::new(0),
        }
    }

    /// Another node leads.
    pub(crate) fn note_leader(&self, node: NodeId) {
        self.last_leader.store(node.0, Ordering::Relaxed);
    }

    /// The leader wants this node to be elected in that term.
    pub(crate) fn note_hand_over(&self, term: u64) {
        self.handed_over.store(term, Ordering::Relaxed);
    }

    /// Whether this node may give votes: not while it may have forgotten a leader whose lease goes on.
    pub(crate) fn votes_yet(&self, up: Duration) -> bool {
        !self.had_log || up >= self.lease
    }

    /// What this node, which leads that term, knows of the leader before.
    pub(crate) fn predecessor(&self, term: u64, up: Duration) -> Option<Predecessor> {
        let node_id = NodeId(self.last_leader.load(Ordering::Relaxed));
        let is_young = up < self.lease * LEASES_AFTER_START;
        let was_handed_over = self.handed_over.load(Ordering::Relaxed) == term;
        (node_id.0 != 0 && !is_young && !was_handed_over).then_some(Predecessor {
            node_id,
            silent_for: self.lease,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_millis(600);

    #[test]
    fn a_restarted_node_gives_no_votes_for_a_lease() {
        assert!(Succession::new(false, LEASE).votes_yet(Duration::ZERO));
        let restarted = Succession::new(true, LEASE);
        assert!(!restarted.votes_yet(Duration::ZERO));
        assert!(!restarted.votes_yet(LEASE - Duration::from_millis(1)));
        assert!(restarted.votes_yet(LEASE));
    }

    #[test]
    fn the_leader_before_is_known_to_have_been_silent() {
        let succession = Succession::new(true, LEASE);
        succession.note_leader(NodeId(2));
        assert_eq!(succession.predecessor(5, LEASE), None, "only just started");
        let up = LEASE * LEASES_AFTER_START;
        let before = Predecessor {
            node_id: NodeId(2),
            silent_for: LEASE,
        };
        assert_eq!(succession.predecessor(5, up), Some(before));
        succession.note_hand_over(6);
        assert_eq!(succession.predecessor(5, up), Some(before));
        assert_eq!(succession.predecessor(6, up), None, "it handed over");
    }

    #[test]
    fn without_a_leader_before_nothing_is_concluded() {
        let succession = Succession::new(false, LEASE);
        assert_eq!(succession.predecessor(1, LEASE * 10), None);
    }
}

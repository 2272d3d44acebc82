//! A leader whose disk is full leads no longer than it must: it accepts nothing, and another may.
//!
//! **Invariant:** it hands over to one voter at a time, with a pause after each, and to all of them
//! in turn: where several disks are full the leader with room is found. With nobody to take over it
//! goes on leading, and refusing.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use libra_proto::types::NodeId;
use openraft::Instant as _;
use tokio::time::{Instant, sleep};

use super::change::has_caught_up;
use crate::handle::{Change, Inner};
use crate::network::forward::Asked;
use crate::type_config::RaftMetrics;

/// How often it is looked: the free space itself is looked at once a second.
const LOOK: Duration = Duration::from_millis(250);
/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(3);
/// For one attempt.
const LIMIT: Duration = Duration::from_secs(2);

/// Hands leadership over while this node's disk is full, until the node stops.
pub(crate) async fn hand_over_when_full(inner: Arc<Inner>) {
    let mut tried = inner.me().0;
    let mut is_told = false;
    while !inner.is_stopped() {
        sleep(LOOK).await;
        if !inner.space.is_full() {
            is_told = false;
            continue;
        }
        let metrics = inner.metrics();
        let able = able(&metrics, inner.lease);
        let Some(next) = heir(tried, &able).filter(|_| metrics.current_leader == Some(metrics.id))
        else {
            continue;
        };
        tried = next;
        if !is_told {
            is_told = true;
            let free_bytes = inner.space.free();
            tracing::warn!(
                node_id = inner.me().0,
                free_bytes,
                to = next,
                "the disk is full: leadership is handed over"
            );
        }
        let change = Change::TransferLeader {
            node_id: NodeId(next),
        };
        match inner.change_here(&change, Instant::now() + LIMIT).await {
            Asked::Done { .. } | Asked::NotLeading => {}
            Asked::Refused { reason } | Asked::Later { reason } => {
                tracing::debug!(to = next, reason, "leadership not handed over");
            }
        }
        sleep(PAUSE).await;
    }
}

/// The other voters that have the log and are heard.
fn able(metrics: &RaftMetrics, lease: Duration) -> BTreeSet<u64> {
    let is_heard = |id: &u64| {
        let heard = metrics.heartbeat.as_ref();
        let heard = heard.and_then(|all| all.get(id).copied().flatten());
        heard.is_some_and(|at| at.elapsed() < lease)
    };
    let voters = metrics.membership_config.voter_ids();
    voters
        .filter(|id| *id != metrics.id && is_heard(id) && has_caught_up(metrics, *id))
        .collect()
}

/// The one whose turn it is after the one that was tried last.
fn heir(tried: u64, able: &BTreeSet<u64>) -> Option<u64> {
    let after = able.range(tried.saturating_add(1)..).next();
    after.or(able.first()).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_have_their_turn() {
        let able = BTreeSet::from([1, 3, 7]);
        for (tried, expected) in [(1, 3), (2, 3), (3, 7), (7, 1), (9, 1)] {
            assert_eq!(heir(tried, &able), Some(expected), "after {tried}");
        }
        assert_eq!(heir(1, &BTreeSet::new()), None);
    }
}

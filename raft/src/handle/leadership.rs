//! Tells when this node leads, for those who act as the leader.
//!
//! **Invariant:** a term is told only while this node leads it, a quorum has answered within the
//! lease, and everything of before the term is applied here.

use std::sync::Arc;
use std::time::Duration;

use libra_proto::types::NodeId;
use openraft::async_runtime::WatchReceiver;
use openraft::{Instant as _, ServerState};
use tokio::time::Instant;

use super::{Attempt, Inner};
use crate::type_config::GroupTypes;

/// Before a leader that could not read is asked again: openraft refuses at once while leadership is
/// being handed over, and every refusal looks like news.
pub(crate) const ASK_AGAIN: Duration = Duration::from_millis(5);

/// Keeps [`Inner::leadership`] true until the node stops.
pub(crate) async fn watch_leadership(inner: Arc<Inner>, heartbeat: Duration) {
    let mut metrics = inner.raft.metrics();
    let mut known = None;
    while !inner.is_stopped() {
        let led = {
            let metrics = metrics.borrow_watched();
            let leader = metrics.current_leader.map(|id| (id, metrics.current_term));
            if leader.is_some() && leader != known {
                inner.stats.count_leader();
                known = leader;
            }
            if let Some(other) = metrics.current_leader.filter(|id| *id != metrics.id) {
                inner.succession.note_leader(NodeId(other));
            }
            led_term(&metrics, inner.lease)
        };
        let told = *inner.leadership.borrow();
        match led {
            Some(term) if told == Some(term) => {}
            Some(term) => {
                tell(&inner, None);
                if has_caught_up(&inner, term).await {
                    tell(&inner, Some(term));
                    continue;
                }
                tokio::time::sleep(ASK_AGAIN).await;
            }
            None => tell(&inner, None),
        }
        // The lease runs out without anything changing.
        match tokio::time::timeout(heartbeat, metrics.changed()).await {
            Ok(Ok(())) | Err(_) => {}
            Ok(Err(_)) => break,
        }
    }
    tell(&inner, None);
}

fn tell(inner: &Inner, term: Option<u64>) {
    inner.leadership.send_if_modified(|told| {
        let changed = *told != term;
        match (*told, term) {
            (_, Some(term)) if changed => tracing::info!(term, "this node leads"),
            (Some(term), None) => tracing::info!(term, "this node leads no more"),
            (None | Some(_), Some(_)) | (None, None) => {}
        }
        *told = term;
        changed
    });
}

/// The term that a node leads with a quorum behind it.
pub(crate) fn led_term<C: GroupTypes>(
    metrics: &openraft::RaftMetrics<C>,
    lease: Duration,
) -> Option<u64> {
    let leads = metrics.state == ServerState::Leader
        && metrics.current_leader == Some(metrics.id)
        && metrics.running_state.is_ok();
    let is_heard = || {
        let acked = metrics.last_quorum_acked.map(|acked| *acked);
        acked.is_some_and(|acked| acked.elapsed() < lease)
    };
    (leads && (is_quorum_alone(metrics) || is_heard())).then_some(metrics.current_term)
}

fn is_quorum_alone<C: GroupTypes>(metrics: &openraft::RaftMetrics<C>) -> bool {
    metrics.membership_config.voter_ids().eq([metrics.id])
}

/// Reaches a read index in `term`: all that was committed before is applied then.
async fn has_caught_up(inner: &Inner, term: u64) -> bool {
    let deadline = Instant::now() + inner.lease;
    let Ok(Attempt::Answer(index)) = inner.read_here(deadline).await else {
        return false;
    };
    // Applying may take longer than a lease after a start: tried again then.
    inner.wait_applied_by(index, deadline).await.is_ok()
        && led_term(&inner.raft.metrics().borrow_watched(), inner.lease) == Some(term)
}

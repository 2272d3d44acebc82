//! What a member does by itself: its store's duties, who leads, the length of its log.

use std::sync::Arc;
use std::time::Duration;

use libra_proto::types::NodeId;
use openraft::async_runtime::WatchReceiver;

use super::super::{Runtime, SimTypes};
use super::{Member, Metrics};
use crate::handle::{ASK_AGAIN, led_term};
use crate::store::Duties;

/// Between two rounds of housekeeping.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

pub(super) fn serve(duties: Duties<SimTypes>, disk: Arc<dyn Fn() -> Duration + Send + Sync>) {
    let Duties {
        flushing,
        housekeeping,
    } = duties;
    Runtime::go(flushing.run_as_task(move || Runtime::pause(disk())));
    Runtime::go(async move {
        loop {
            Runtime::pause(HOUSEKEEPING).await;
            if housekeeping.turn().is_err() {
                return;
            }
        }
    });
}

/// As production's `watch_leadership`.
pub(super) async fn watch_leadership(member: Member) {
    let inner = &*member.0;
    let mut watch = inner.raft.metrics();
    loop {
        let led = {
            let metrics: &Metrics = &watch.borrow_watched();
            if let Some(other) = metrics.current_leader.filter(|id| *id != inner.me) {
                inner.succession.note_leader(NodeId(other));
            }
            led_term(metrics, inner.lease)
        };
        match led {
            Some(term) if member.leadership() == Some(term) => {}
            Some(term) => {
                inner.tell(None);
                if has_caught_up(&member, term).await {
                    inner.tell(Some(term));
                    continue;
                }
                Runtime::pause(ASK_AGAIN).await;
            }
            None => inner.tell(None),
        }
        // The lease runs out without anything changing.
        if let Some(Err(_)) = Runtime::within(inner.heartbeat, watch.changed()).await {
            // Raft has stopped.
            return inner.tell(None);
        }
    }
}

async fn has_caught_up(member: &Member, term: u64) -> bool {
    let lease = member.0.lease;
    let Some(index) = member.read_here(lease).await else {
        return false;
    };
    member.wait_applied(index, lease).await
        && led_term(&member.0.raft.metrics().borrow_watched(), lease) == Some(term)
}

/// As production's `LogShortener`, by entries only.
pub(super) async fn shorten_log(member: Member, entries: u64) {
    const LOOK: Duration = Duration::from_millis(20);
    const PATIENCE: u32 = 50;
    let inner = &*member.0;
    let mut applied = member.applied();
    let newest = || {
        let newest = inner.snapshots.newest();
        newest.map_or(0, |file| file.next_index())
    };
    loop {
        let covered = newest();
        if applied.at().saturating_sub(covered) >= entries {
            if inner.raft.trigger().snapshot().await.is_err() {
                return;
            }
            for _ in 0..PATIENCE {
                Runtime::pause(LOOK).await;
                if newest() > covered {
                    break;
                }
            }
            if let Some(next) = inner.snapshots.purgeable().filter(|next| *next > 0) {
                let _ = inner.raft.trigger().purge_log(next - 1).await;
            }
        } else if !applied.heard().await {
            return;
        }
    }
}

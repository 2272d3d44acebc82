//! What has to be done about the group without being asked: every node follows who is where; the
//! leader gives configured learners their votes, notes its own address, and ends what a leader
//! before it left half changed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use libra_proto::types::NodeId;
use openraft::async_runtime::WatchReceiver;
use tokio::time::Instant;

use super::change::has_caught_up;
use crate::handle::{Change, Inner};
use crate::network::forward::Asked;
use crate::type_config::{ChangeMembers, RaftMetrics};

/// Looks are at least this far apart, however busy the node is.
const PAUSE: Duration = Duration::from_millis(50);
/// What is done without being asked is done in time, or the next time.
const LIMIT: Duration = Duration::from_secs(5);

/// What the leader has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Chore {
    /// A change of voters was left half done.
    Finish,
    /// Its own entry is not what it should be.
    NoteMyself,
    Promote(u64),
}

/// Cares for the group until the node stops. `configured`: those that are to have a vote.
pub(crate) async fn care(inner: Arc<Inner>, configured: BTreeSet<NodeId>) {
    let mut watch = inner.raft.metrics();
    let mut followed = None;
    loop {
        let metrics = watch.borrow_watched().clone();
        let membership = &metrics.membership_config;
        if followed.as_ref() != Some(membership) {
            inner.peers.follow(membership);
            followed = Some(Arc::clone(membership));
        }
        if let Some(chore) = chore(&inner, &metrics, &configured) {
            inner.do_chore(&chore).await;
        }
        tokio::time::sleep(PAUSE).await;
        if watch.changed().await.is_err() {
            return;
        }
    }
}

fn chore(inner: &Inner, metrics: &RaftMetrics, configured: &BTreeSet<NodeId>) -> Option<Chore> {
    if metrics.current_leader != Some(metrics.id) {
        return None;
    }
    let membership = metrics.membership_config.membership();
    if membership.get_joint_config().len() > 1 {
        return Some(Chore::Finish);
    }
    if configured.is_empty() {
        // A group of one may be known by no address at all.
        return None;
    }
    if membership
        .get_node(&metrics.id)
        .is_some_and(|noted| *noted != inner.peers.myself())
    {
        return Some(Chore::NoteMyself);
    }
    let mut learners = membership.learner_ids();
    let ready = |id: &u64| configured.contains(&NodeId(*id)) && has_caught_up(metrics, *id);
    learners.find(ready).map(Chore::Promote)
}

impl Inner {
    async fn do_chore(&self, chore: &Chore) {
        let deadline = Instant::now() + LIMIT;
        let done = match chore {
            Chore::Promote(id) => {
                let node_id = NodeId(*id);
                self.change_here(&Change::Promote { node_id }, deadline)
                    .await
            }
            Chore::Finish | Chore::NoteMyself => {
                // Whoever changes the group just now ends it himself.
                let Ok(_changing) = self.changing.try_lock() else {
                    return;
                };
                match chore {
                    Chore::NoteMyself => {
                        let myself = self.peers.myself();
                        self.readdress(self.me().0, myself, deadline).await
                    }
                    Chore::Finish | Chore::Promote(_) => {
                        let nothing = ChangeMembers::AddVoterIds(BTreeSet::new());
                        self.commit_change(nothing, true, deadline).await
                    }
                }
            }
        };
        match done {
            Asked::Done { .. } => tracing::info!(chore = ?chore, "the group was put right"),
            Asked::NotLeading => {}
            Asked::Refused { reason } | Asked::Later { reason } => {
                tracing::warn!(chore = ?chore, reason, "the group was not put right");
            }
        }
    }
}

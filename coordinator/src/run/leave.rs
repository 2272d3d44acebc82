//! Leaving a cluster for a while, in order: sessions and leadership go to others before the process
//! does, so that nobody has to wait for a lease or an election.
//!
//! **Invariant:** only an attempt: what is not handed over in time is taken over by the others as
//! after a kill. Every step is bounded.

use std::time::Duration;

use libra_actors::ports::{Proposed, RegistryPort};
use libra_actors::supervisor::Node as Actors;
use libra_proto::registry::{DrainNode, command};
use libra_raft::Handle;
use tokio::time::timeout;

use crate::adapters::RaftRegistry;
use crate::bootstrap::Identity;

/// How long all sessions together may take to move.
const SESSIONS_LIMIT: Duration = Duration::from_secs(3);
/// How long another node may take to lead.
const LEADERSHIP_LIMIT: Duration = Duration::from_secs(2);

/// Hands over what this node has; its actors go on with what stays.
pub(super) async fn leave(
    handle: &Handle,
    registry: &RaftRegistry,
    identity: &Identity,
    actors: &Actors,
) {
    let drain = async {
        drain(registry, identity, actors).await;
        let drained = actors.drain(SESSIONS_LIMIT).await;
        if drained.left > 0 {
            tracing::warn!(sessions = drained.left, "sessions not handed over in time");
        }
    };
    if timeout(SESSIONS_LIMIT, drain).await.is_err() {
        tracing::warn!("sessions not handed over in time");
    }
    if timeout(LEADERSHIP_LIMIT, abdicate(handle)).await.is_err() {
        tracing::warn!("leadership not handed over in time");
    }
}

/// Has the registry move this node's sessions.
async fn drain(registry: &RaftRegistry, identity: &Identity, actors: &Actors) {
    loop {
        let drain = DrainNode {
            node_id: registry.node_id().0,
            boot_id: identity.boot_id(),
            draining: true,
            unreachable: actors.detector().unreachable(),
        };
        match registry.propose(command::Kind::DrainNode(drain)).await {
            Proposed::Applied(_) => return,
            Proposed::Rejected(rejection) => {
                tracing::warn!(code = ?rejection.code(), "sessions not handed over: refused");
                return;
            }
            // It may be proposed again.
            Proposed::Unknown(reason) => tracing::debug!(reason, "sessions not handed over yet"),
        }
    }
}

/// Has the voter lead that lacks the fewest entries, if this node leads.
async fn abdicate(handle: &Handle) {
    let status = handle.status();
    if status.leader != Some(status.node_id) {
        return;
    }
    let others = status.members.iter();
    let others = others.filter(|member| member.voter && member.node_id != status.node_id);
    let nearest = others.min_by_key(|member| member.lag.unwrap_or(u64::MAX));
    if let Some(next) = nearest
        && let Err(error) = handle.transfer_leader(next.node_id).await
    {
        tracing::warn!(%error, "leadership not handed over");
    }
}

//! Leaving a cluster for a while, in order: sessions and leadership go to others before the process
//! does, so that nobody has to wait for a lease or an election.
//!
//! **Invariant:** only an attempt: what is not handed over in time is taken over by the others as
//! after a kill. Every step is bounded.

use std::future::Future;
use std::time::Duration;

use libra_actors::ports::{Proposed, RegistryPort};
use libra_actors::supervisor::Node as Actors;
use libra_proto::registry::{DrainNode, Rejection, RejectionCode, command};
use libra_raft::Handle;
use tokio::time::{sleep, timeout};

use crate::adapters::RaftRegistry;
use crate::bootstrap::Identity;
use crate::peer::LeaseTerms;

/// How long all sessions together may take to move.
const SESSIONS_LIMIT: Duration = Duration::from_secs(3);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(50);
/// How long another node may take to lead.
const LEADERSHIP_LIMIT: Duration = Duration::from_secs(2);

/// Hands over what this node has; its actors go on with what stays.
pub(super) async fn leave(
    handle: &Handle,
    registry: &RaftRegistry,
    identity: &Identity,
    actors: &Actors,
    terms: &LeaseTerms,
) {
    identity.leave();
    let drain = async {
        drain(registry, identity, terms).await;
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
async fn drain(registry: &RaftRegistry, identity: &Identity, terms: &LeaseTerms) {
    let attempt = || {
        // Read each time: the node may have come back as another start of it just before it left.
        let drain = DrainNode {
            node_id: registry.node_id().0,
            boot_id: identity.boot_id(),
            draining: true,
            unreachable: terms.unreachable(),
        };
        registry.propose(command::Kind::DrainNode(drain))
    };
    if let Err(rejection) = until_drained(attempt).await {
        tracing::warn!(code = ?rejection.code(), "sessions not handed over: refused");
    }
}

/// Attempts until one is applied, or refused for good. That the registry knows another start of
/// this node is not for good: its registration may be on its way.
async fn until_drained<F: Future<Output = Proposed>>(
    mut attempt: impl FnMut() -> F,
) -> Result<(), Box<Rejection>> {
    loop {
        match attempt().await {
            Proposed::Applied(_) => return Ok(()),
            Proposed::Rejected(rejection) if rejection.code() == RejectionCode::StaleBoot => {
                tracing::debug!("sessions not handed over yet: known as another start");
            }
            Proposed::Rejected(rejection) => return Err(rejection),
            // It may be proposed again.
            Proposed::Unknown(reason) => tracing::debug!(reason, "sessions not handed over yet"),
        }
        // A full disk refuses at once.
        sleep(PAUSE).await;
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: RejectionCode) -> Proposed {
        Proposed::Rejected(Box::new(Rejection {
            code: code.into(),
            ..Rejection::default()
        }))
    }

    /// What came of it within a second, and how many attempts were made.
    async fn drained(
        mut answer: impl FnMut(usize) -> Proposed,
    ) -> (Option<Result<(), Box<Rejection>>>, usize) {
        let mut made = 0;
        let attempt = || {
            made += 1;
            std::future::ready(answer(made))
        };
        let drained = timeout(Duration::from_secs(1), until_drained(attempt)).await;
        (drained.ok(), made)
    }

    #[tokio::test(start_paused = true)]
    async fn a_registry_that_refuses_at_once_is_not_asked_all_the_time() {
        let (drained, made) = drained(|_| Proposed::Unknown("the disk is full".to_owned())).await;
        assert_eq!(drained, None);
        assert!((10..=21).contains(&made), "{made} attempts in a second");
    }

    #[tokio::test(start_paused = true)]
    async fn a_start_that_is_not_yet_registered_is_waited_for() {
        let applied = || Proposed::Applied(Box::default());
        let (result, made) = drained(|turn| match turn {
            3 => applied(),
            _ => refused(RejectionCode::StaleBoot),
        })
        .await;
        assert_eq!((result, made), (Some(Ok(())), 3));
        let (result, made) = drained(|_| refused(RejectionCode::UnknownNode)).await;
        assert!(matches!(result, Some(Err(_))), "{result:?}");
        assert_eq!(made, 1);
    }
}

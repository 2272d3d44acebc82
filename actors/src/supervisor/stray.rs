//! A session that was given to this node although its endpoint is not among this node's own: it
//! goes on to the next one that is UP, by id and around, so that each of them has its turn.
//!
//! **Invariant:** it is failed only where no other node is UP, or when it has come back here too
//! often: then nobody has its endpoint.

use std::sync::Arc;
use std::time::Duration;

use libra_proto::registry::{MoveSession, NodeRecord, command};
use libra_proto::types::SessionId;
use ractor::ActorRef;
use tokio::time::sleep;

use crate::ports::{Proposed, SessionView};
use crate::pump::Attached;

use super::handler::fail;
use super::restart::Verdict;
use super::sessions::{Message, State};

/// Between two proposals of the same move.
const PAUSE: Duration = Duration::from_secs(1);

/// Proposes that the session be another node's.
pub(super) fn send_on(
    me: &ActorRef<Message>,
    state: &mut State,
    id: &SessionId,
    view: &SessionView,
) {
    let registry = Arc::clone(&state.arguments.ports.registry);
    let (endpoint, epoch) = (&view.session.endpoint, view.session.epoch);
    let why = format!("its endpoint {endpoint} is not among this node's spark.remote");
    let Some(to) = next(registry.node_id().0, &registry.nodes()) else {
        return fail(me, state, id, epoch, why);
    };
    let lives = |id: &SessionId| {
        let view = registry.session(id);
        view.is_some_and(|view| view.session.state().is_owned())
    };
    state.strayed.retain(|id, _| lives(id));
    let (policy, now_ms) = (state.arguments.policy, state.now_ms());
    let history = state.strayed.entry(id.clone()).or_default();
    let wait = match history.crashed(&policy, now_ms) {
        Verdict::Restart(wait) => wait,
        Verdict::GiveUp => return fail(me, state, id, epoch, format!("{why}, nor others'")),
    };
    tracing::warn!(session_id = %id, to, why, "session sent on to another node");
    let command = command::Kind::MoveSession(MoveSession {
        session_id: id.to_string(),
        epoch,
        to_node: to,
        ..MoveSession::default()
    });
    let (me, moved, lease) = (me.clone(), id.clone(), state.arguments.ports.lease.clone());
    let task = tokio::spawn(async move {
        sleep(wait).await;
        loop {
            let _ = lease.held().await;
            match registry.propose(command.clone()).await {
                Proposed::Applied(_) => break,
                Proposed::Rejected(rejection) => {
                    tracing::debug!(session_id = %moved, ?rejection, "session not sent on");
                    sleep(PAUSE).await;
                    break;
                }
                Proposed::Unknown(reason) => {
                    tracing::debug!(session_id = %moved, reason, "session not sent on yet");
                    sleep(PAUSE).await;
                }
            }
        }
        let _ = me.cast(Message::Vacant(moved));
    });
    state
        .vacating
        .insert(id.clone(), Attached(task.abort_handle()));
}

/// The node that is UP and follows `this` one, by id and around; `None` if there is no other.
fn next(this: u64, nodes: &[NodeRecord]) -> Option<u64> {
    let up = nodes.iter().filter(|node| node.state().is_up());
    let others = up.map(|node| node.node_id).filter(|id| *id != this);
    others.min_by_key(|id| (*id < this, *id))
}

#[cfg(test)]
mod tests {
    use libra_proto::registry::NodeState;

    use super::*;

    #[test]
    fn every_node_that_is_up_has_its_turn() {
        let node = |node_id, state: NodeState| NodeRecord {
            node_id,
            state: state.into(),
            ..NodeRecord::default()
        };
        let nodes = [
            node(1, NodeState::Up),
            node(2, NodeState::Up),
            node(3, NodeState::Draining),
            node(4, NodeState::Down),
            node(5, NodeState::Up),
        ];
        for (this, expected) in [(1, 2), (2, 5), (3, 5), (5, 1), (9, 1)] {
            assert_eq!(next(this, &nodes), Some(expected), "after {this}");
        }
        assert_eq!(next(1, &nodes[..1]), None);
        assert_eq!(next(1, &nodes[2..4]), None);
    }
}

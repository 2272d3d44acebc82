//! Gives this node's sessions to others where this one has lost the way to their Spark and others
//! have not: a fault of the network between one node and Spark, which no lease shows.
//!
//! **Invariant:** a session is given to a node only that is UP and has not said that it does not
//! reach the session's endpoint either. Where nobody reaches it the session stays: its owner waits.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use libra_actors::ports::{Proposed, RegistryPort};
use libra_proto::registry::{MoveSession, NodeRecord, Unreachable, command};
use tokio::time::{MissedTickBehavior, interval};

use crate::adapters::RaftRegistry;
use crate::peer::LeaseTerms;
use crate::service::Reachability;

/// How often it is looked.
const EVERY: Duration = Duration::from_millis(500);
/// How long an endpoint has to be out of reach. Longer than another node needs to see the same and
/// to tell: one that is down for all is nobody's reason to move.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// Looks for endpoints out of reach, for ever.
pub(crate) async fn run(registry: RaftRegistry, terms: LeaseTerms, reachability: Reachability) {
    let mut watch = Watch::default();
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let down = reachability
            .all()
            .filter(|(name, _)| reachability.is_down(name));
        let down = down.map(|(name, _)| name.to_owned()).collect();
        let lost = watch.look(down, Instant::now());
        for endpoint in &lost {
            let node = registry.node_id().0;
            let able = able(node, endpoint, &registry.nodes(), &terms.unreachable());
            give_away(&registry, endpoint, &able).await;
        }
    }
}

/// Since when endpoints are out of reach.
#[derive(Debug, Default)]
struct Watch(BTreeMap<String, Instant>);

impl Watch {
    /// Notes which are now; gives those that have been for long enough.
    fn look(&mut self, down: BTreeSet<String>, now: Instant) -> Vec<String> {
        self.0.retain(|endpoint, _| down.contains(endpoint));
        for endpoint in down {
            self.0.entry(endpoint).or_insert(now);
        }
        let long = self.0.iter().filter(|(_, since)| now - **since >= PATIENCE);
        long.map(|(endpoint, _)| endpoint.clone()).collect()
    }
}

/// Nodes beside `this` that may take sessions of an endpoint.
fn able(this: u64, endpoint: &str, nodes: &[NodeRecord], said: &[Unreachable]) -> Vec<u64> {
    let up = nodes.iter().filter(|node| node.state().is_up());
    let others = up.map(|node| node.node_id).filter(|id| *id != this);
    let reaches = |id: &u64| {
        let mut said = said.iter();
        !said.any(|said| said.node_id == *id && said.endpoint == endpoint)
    };
    others.filter(reaches).collect()
}

/// Proposes that this node's sessions of an endpoint be others', evenly.
async fn give_away(registry: &RaftRegistry, endpoint: &str, able: &[u64]) {
    let mut turns = able.iter().cycle();
    for id in registry.owned_sessions() {
        let view = registry.session(&id);
        let Some(view) = view.filter(|view| view.session.endpoint == endpoint) else {
            continue;
        };
        let Some(to) = turns.next() else {
            return;
        };
        tracing::warn!(session_id = %id, endpoint, to, "endpoint out of reach: session given away");
        let command = command::Kind::MoveSession(MoveSession {
            session_id: id.to_string(),
            epoch: view.session.epoch,
            to_node: *to,
            ..MoveSession::default()
        });
        match registry.propose(command).await {
            Proposed::Applied(_) => {}
            Proposed::Rejected(rejection) => {
                tracing::debug!(session_id = %id, ?rejection, "session not given away");
            }
            // Without a leader all the others would take as long; the next look tries again.
            Proposed::Unknown(reason) => {
                tracing::debug!(session_id = %id, reason, "session not given away yet");
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use libra_proto::registry::NodeState;

    use super::*;

    #[test]
    fn an_endpoint_is_lost_once_it_has_been_out_of_reach_for_long() {
        let mut watch = Watch::default();
        let start = Instant::now();
        let down = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
        assert!(watch.look(down(&["a"]), start).is_empty());
        let late = start + PATIENCE;
        assert_eq!(watch.look(down(&["a", "b"]), late), ["a"]);
        // It was back in between: time runs anew.
        assert!(watch.look(down(&["b"]), late).is_empty());
        assert_eq!(watch.look(down(&["a", "b"]), late + PATIENCE), ["b"]);
    }

    #[test]
    fn sessions_go_only_to_nodes_that_reach_their_endpoint() {
        let node = |node_id, state: NodeState| NodeRecord {
            node_id,
            state: state.into(),
            ..NodeRecord::default()
        };
        let nodes = [
            node(1, NodeState::Up),
            node(2, NodeState::Up),
            node(3, NodeState::Up),
            node(4, NodeState::Down),
        ];
        let said = |node_id| Unreachable {
            node_id,
            endpoint: "sc://spark:15002".to_owned(),
        };
        let of = |said: &[Unreachable]| able(1, "sc://spark:15002", &nodes, said);
        assert_eq!(of(&[said(1)]), [2, 3]);
        assert_eq!(of(&[said(1), said(2)]), [3]);
        assert!(of(&[said(1), said(2), said(3)]).is_empty());
        let other = Unreachable {
            node_id: 2,
            endpoint: "sc://other:15002".to_owned(),
        };
        assert_eq!(of(&[other]), [2, 3]);
    }
}

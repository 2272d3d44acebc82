//! A statement whose result cannot be stored here: its session goes to a node that perhaps can, whose
//! runner attaches to the operation and stores the result itself.
//!
//! **Invariant:** whoever leaves a statement leaves its operation as it is in Spark. A node that could
//! not store the result is not chosen again, and no result is passed on more than [`PASSED_ON_MOST`]
//! times, whatever else moves the session meanwhile: then it is lost.

use std::collections::BTreeSet;
use std::time::Duration;

use libra_proto::registry::{MoveSession, NodeRecord, RejectionCode, StatementRecord, command};
use libra_proto::types::{ErrorClass, SessionId};
use tokio::time::sleep;

use crate::lease::Owner;
use crate::ports::Proposed;

use super::machine::End;
use super::runner::{Outcome, Runner};

/// So often the result of one statement is passed on.
const PASSED_ON_MOST: usize = 8;
/// Between two proposals of which the first has no answer, at first and at most.
const PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Runner {
    /// Leaves the statement to another node; where there is none that can be tried, ends it and has
    /// it stopped in Spark: its result is lost.
    pub(super) async fn leave(&self, cause: String) -> Outcome {
        if let Some(outcome) = self.give_away(&cause).await {
            return outcome;
        }
        let end = End::Failed(ErrorClass::ResultLost.error(cause));
        self.finish(end, None, true).await
    }

    /// Gives the session to a node that perhaps can store the result, however often that has to be
    /// proposed; `None` if there is no such node.
    pub(super) async fn give_away(&self, cause: &str) -> Option<Outcome> {
        let id: SessionId = self.statement.session_id.parse().ok()?;
        let registry = &self.ports.registry;
        let this = registry.node_id().0;
        let mut refused = BTreeSet::from([this]);
        let mut pause = PAUSE;
        loop {
            // A node whose disk is full has no lease for long: then others decide where it goes.
            if self.fence.pass().await == Owner::Another {
                return Some(Outcome::NotOurs);
            }
            let view = registry.session(&id);
            let view = view.filter(|view| view.session.epoch == self.epoch.0);
            let running = view.map(|view| view.running).unwrap_or_default();
            let Some(statement) = running.iter().find(|s| s.job == self.statement.job) else {
                return Some(Outcome::NotOurs);
            };
            let to = next(this, &refused, statement, &registry.nodes())?;
            let command = command::Kind::MoveSession(MoveSession {
                session_id: id.to_string(),
                epoch: self.epoch.0,
                to_node: to,
                not_stored: self.statement.job,
                ..MoveSession::default()
            });
            match registry.propose(command).await {
                Proposed::Applied(_) => {
                    tracing::warn!(job_id = %self.job(), session_id = %id, to, cause,
                        "a result cannot be stored here: session given away");
                    return Some(Outcome::NotOurs);
                }
                Proposed::Rejected(rejection) => match rejection.code() {
                    RejectionCode::StaleEpoch => return Some(Outcome::NotOurs),
                    code => {
                        tracing::debug!(job_id = %self.job(), to, ?code, "session not given away");
                        refused.insert(to);
                    }
                },
                Proposed::Unknown(reason) => {
                    tracing::debug!(job_id = %self.job(), to, reason, "session not given away yet");
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }
}

/// Who is tried next: a node that is UP, has not refused and has not failed to store the result before.
/// One that holds a copy of it first, for there is room; then by id, beginning after `this` one.
fn next(
    this: u64,
    refused: &BTreeSet<u64>,
    statement: &StatementRecord,
    nodes: &[NodeRecord],
) -> Option<u64> {
    if statement.not_stored_on.len() >= PASSED_ON_MOST {
        return None;
    }
    let up = nodes.iter().filter(|node| node.state().is_up());
    let able = |id: &u64| !refused.contains(id) && !statement.not_stored_on.contains(id);
    let able: BTreeSet<u64> = up.map(|node| node.node_id).filter(able).collect();
    let mut copies = statement.replicas.iter().copied();
    let around = || able.iter().copied().min_by_key(|id| (*id < this, *id));
    copies.find(|id| able.contains(id)).or_else(around)
}

#[cfg(test)]
mod tests {
    use libra_proto::registry::NodeState;

    use super::*;

    #[test]
    fn who_holds_a_copy_is_tried_first_and_nobody_who_could_not_store_it() {
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
            node(5, NodeState::Draining),
        ];
        let cases: [(&[u64], &[u64], Option<u64>); 8] = [
            (&[2, 1], &[], Some(1)),
            (&[2], &[], Some(3)),
            (&[2, 4], &[], Some(3)),
            (&[2, 5, 1], &[], Some(1)),
            (&[2, 1], &[1], Some(3)),
            (&[2, 1, 3], &[1, 3], None),
            (&[2, 1], &[2, 1], Some(3)),
            (&[2, 1], &[2; PASSED_ON_MOST], None),
        ];
        for (replicas, not_stored_on, expected) in cases {
            let statement = StatementRecord {
                replicas: replicas.to_vec(),
                not_stored_on: not_stored_on.to_vec(),
                ..StatementRecord::default()
            };
            let refused = BTreeSet::from([2]);
            let found = next(2, &refused, &statement, &nodes);
            assert_eq!(found, expected, "{replicas:?} without {not_stored_on:?}");
            let all = BTreeSet::from([1, 2, 3]);
            assert_eq!(next(2, &all, &statement, &nodes), None);
        }
    }
}

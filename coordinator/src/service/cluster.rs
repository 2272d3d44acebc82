//! The cluster as this node sees it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use libra_actors::lease::{Liveness, Observed};
use libra_proto::registry::{NodeRecord, NodeState as RecordedState};
use libra_proto::types::NodeId;

use super::{ComponentHealth, Service};
use crate::clock::now_ms;

/// Who watches the other nodes.
pub trait NodeWatch: Debug + Send + Sync + 'static {
    /// What is known of each node; `None` on a node that does not lead.
    fn observe(&self) -> Option<Vec<Observed>>;
}

/// The cluster.
#[derive(Debug, Clone)]
pub struct ClusterSnapshot {
    /// Its name.
    pub name: String,
    /// Who leads, as far as this node knows.
    pub leader: Option<NodeId>,
    /// The Raft term.
    pub term: u64,
    /// All nodes, by id.
    pub nodes: Vec<NodeSnapshot>,
}

/// One node.
#[derive(Debug, Clone)]
pub struct NodeSnapshot {
    /// As it registered.
    pub record: NodeRecord,
    /// What it is in the Raft group.
    pub role: NodeRole,
    /// How it is.
    pub state: NodeState,
    /// How many live sessions it owns.
    pub sessions: usize,
    /// When it was last heard of, milliseconds since the Unix epoch.
    pub last_seen_ms: u64,
}

/// What a node is in the Raft group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeRole {
    /// Leads.
    Leader,
    /// Has a vote.
    Follower,
    /// Has none.
    Learner,
}

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    /// It works.
    Up,
    /// It has not been heard of for a while.
    Suspect,
    /// Its lease is over.
    Down,
    /// It is shutting down.
    Draining,
}

/// This node's part of what runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NodeLoad {
    /// Its live sessions.
    pub sessions: u64,
    /// How many live sessions the cluster may have.
    pub max_sessions: u64,
    /// Its running statements.
    pub running: u64,
    /// Statements that wait in its sessions.
    pub queued: u64,
}

impl Service {
    /// The cluster, as far as this node knows, at once.
    #[must_use]
    pub fn cluster(&self) -> ClusterSnapshot {
        let status = self.inner.raft.status();
        let learners: BTreeSet<NodeId> = status
            .members
            .iter()
            .filter(|member| !member.voter)
            .map(|member| member.node_id)
            .collect();
        let records: Vec<(NodeRecord, usize)> = self.view(|registry| {
            let live = |node: &NodeRecord| {
                let owned = registry.sessions_owned_by(NodeId(node.node_id));
                owned.filter(|session| session.state().is_live()).count()
            };
            registry.nodes().map(|n| (n.clone(), live(n))).collect()
        });
        let observed = self.observed();
        let nodes = records.into_iter().map(|(record, sessions)| {
            let this = record.node_id == status.node_id.0;
            let id = NodeId(record.node_id);
            let role = if status.leader == Some(id) {
                NodeRole::Leader
            } else if learners.contains(&id) {
                NodeRole::Learner
            } else {
                NodeRole::Follower
            };
            NodeSnapshot {
                role,
                state: self.state_of(&record, this, observed.get(&id)),
                sessions,
                last_seen_ms: last_seen(&record, this, observed.get(&id)),
                record,
            }
        });
        ClusterSnapshot {
            name: self.inner.options.cluster_name.clone(),
            leader: status.leader,
            term: status.term,
            nodes: nodes.collect(),
        }
    }

    /// What this node knows of the others, if it leads.
    fn observed(&self) -> BTreeMap<NodeId, Observed> {
        let watch = self.inner.options.watch.as_ref();
        let observed = watch.and_then(|watch| watch.observe()).unwrap_or_default();
        observed
            .into_iter()
            .map(|node| (node.node_id, node))
            .collect()
    }

    /// What the registry holds, what this node knows of itself, and a leader of the others.
    fn state_of(&self, record: &NodeRecord, this: bool, observed: Option<&Observed>) -> NodeState {
        match record.state() {
            RecordedState::Down => NodeState::Down,
            RecordedState::Draining => NodeState::Draining,
            RecordedState::Up | RecordedState::Unspecified => {
                let liveness = observed.map(|node| node.state);
                if this && self.inner.draining.is_cancelled() {
                    NodeState::Draining
                } else if matches!(liveness, Some(Liveness::Suspect | Liveness::Down)) {
                    NodeState::Suspect
                } else {
                    NodeState::Up
                }
            }
        }
    }

    /// This node's part of what runs.
    #[must_use]
    pub fn node_load(&self) -> NodeLoad {
        let node = self.inner.options.node_id;
        self.view(|registry| {
            let settings = registry.settings();
            let mut load = NodeLoad {
                max_sessions: settings.map_or(0, |s| u64::from(s.max_sessions)),
                ..NodeLoad::default()
            };
            for session in registry.sessions_owned_by(node) {
                load.sessions += u64::from(session.state().is_live());
                let counts = session.session_id.parse().map(|id| registry.counts(&id));
                let counts = counts.unwrap_or_default();
                load.running += counts.running;
                load.queued += counts.queued;
            }
            load
        })
    }

    pub(super) fn raft_health(&self) -> ComponentHealth {
        let status = self.inner.raft.status();
        let up = status.leader.is_some() && status.failure.is_none() && !status.disk_full;
        let health = ComponentHealth {
            up,
            ..ComponentHealth::default()
        };
        let health = health
            .with("leader", status.leader.map(|leader| leader.0))
            .with("term", status.term)
            .with("appliedIndex", status.applied_index)
            .with("lastLogIndex", status.last_log_index);
        match status.failure {
            Some(failure) => health.with("failure", failure),
            None => health,
        }
    }
}

/// When the node was last heard of, as far as this node knows: a leader hears of all.
fn last_seen(record: &NodeRecord, this: bool, observed: Option<&Observed>) -> u64 {
    if this {
        return now_ms();
    }
    match observed {
        Some(node) => {
            let ago = u64::try_from(node.heard_ago.as_millis()).unwrap_or(u64::MAX);
            now_ms().saturating_sub(ago)
        }
        None => record.state_since_ms.max(record.registered_at_ms),
    }
}

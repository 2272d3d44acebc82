//! The cluster as this node sees it.

use std::collections::BTreeSet;

use libra_proto::registry::{NodeRecord, NodeState as RecordedState};
use libra_proto::types::NodeId;

use super::{ComponentHealth, Service};
use crate::clock::now_ms;

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
                state: self.state_of(&record, this),
                sessions,
                last_seen_ms: if this || role == NodeRole::Leader {
                    now_ms()
                } else {
                    record.registered_at_ms
                },
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

    /// What the registry holds, and what this node knows of itself.
    fn state_of(&self, record: &NodeRecord, this: bool) -> NodeState {
        match record.state() {
            RecordedState::Down => NodeState::Down,
            RecordedState::Draining => NodeState::Draining,
            RecordedState::Up | RecordedState::Unspecified => {
                if this && self.inner.draining.is_cancelled() {
                    NodeState::Draining
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

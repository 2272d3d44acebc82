//! The cluster as its leader knows it.

use std::collections::{BTreeMap, BTreeSet};

use libra_actors::lease::{Liveness, Observed};
use libra_proto::admin::{
    ClusterStatusRequest, ClusterStatusResponse, Node, NodeRole, NodeState, Totals,
    TriggerSnapshotRequest, TriggerSnapshotResponse,
};
use libra_proto::registry::{self, NodeRecord};
use libra_proto::types::{NodeId, SessionId};
use libra_raft::registry::Registry;
use libra_raft::{Member, SnapshotError, Status};

use super::AdminService;
use super::call::Call;
use super::convert::member;
use super::problem::Problem;
use super::reason::Reason;
use crate::clock::now_ms;
use crate::service::NodeWatch;

impl AdminService {
    /// The leader knows more; where it does not answer, this node does.
    pub(super) async fn answer_cluster_status(
        &self,
        call: &Call,
        asked: ClusterStatusRequest,
    ) -> Result<ClusterStatusResponse, Problem> {
        if !asked.local
            && let Some(leader) = self.other_leader(call)
        {
            let ask = |mut client: super::Client, message| async move {
                client.cluster_status(message).await
            };
            match self.pass_on(call, leader, asked, ask).await {
                Ok(answer) => return Ok(answer),
                Err(problem) => tracing::debug!(?problem, "the leader does not say how it is"),
            }
        }
        self.status_here(asked.with_state_hash).await
    }

    async fn status_here(&self, with_state_hash: bool) -> Result<ClusterStatusResponse, Problem> {
        let status = self.handle.status();
        let observed = self.terms.observe();
        let from_leader = observed.is_some();
        let observed: BTreeMap<NodeId, Observed> = observed
            .unwrap_or_default()
            .into_iter()
            .map(|node| (node.node_id, node))
            .collect();
        let mut answer = self.view(|registry| ClusterStatusResponse {
            nodes: self.nodes(registry, &status, &observed),
            applied_index: registry.applied_index(),
            feature_level: registry.feature_level(),
            totals: Some(totals(registry)),
            ..ClusterStatusResponse::default()
        });
        if with_state_hash {
            (answer.applied_index, answer.state_hash) = self.state_hash().await?;
        }
        Ok(ClusterStatusResponse {
            cluster_name: self.facts.cluster_name.clone(),
            node_id: status.node_id.0,
            leader: status.leader.map_or(0, |leader| leader.0),
            term: status.term,
            last_log_index: status.last_log_index,
            members: status.members.into_iter().map(member).collect(),
            from_leader,
            ..answer
        })
    }

    /// Reads everything: not under the registry's lock.
    async fn state_hash(&self) -> Result<(u64, u64), Problem> {
        let registry = self.view(Registry::clone);
        let hashed =
            tokio::task::spawn_blocking(move || (registry.applied_index(), registry.state_hash()));
        let hashed = hashed.await;
        hashed.map_err(|error| Problem::new(Reason::Internal, error.to_string()))
    }

    fn nodes(
        &self,
        registry: &Registry,
        status: &Status,
        observed: &BTreeMap<NodeId, Observed>,
    ) -> Vec<Node> {
        let members: BTreeMap<NodeId, &Member> = status
            .members
            .iter()
            .map(|member| (member.node_id, member))
            .collect();
        let registered = registry.nodes().map(|node| NodeId(node.node_id));
        let all: BTreeSet<NodeId> = members.keys().copied().chain(registered).collect();
        let node = |id: NodeId| {
            let (member, record) = (members.get(&id).copied(), registry.node(id));
            let observed = observed.get(&id);
            let is_here = id == self.this_node();
            let mut node = shown(registry, id, member, record);
            node.role = role(status, id, member).into();
            node.state = state(record, observed.map(|node| node.state)).into();
            if let Some(observed) = observed {
                let heard = millis(observed.heard_ago);
                node.heard_ms_ago = Some(if is_here { 0 } else { heard });
                let left = self.facts.lease.saturating_sub(observed.heard_ago);
                node.lease_left_ms = Some(millis(left));
                node.unreachable_endpoints = observed.unreachable.iter().cloned().collect();
            }
            node
        };
        all.into_iter().map(node).collect()
    }

    /// Has this node, or another, write a snapshot.
    pub(super) async fn answer_trigger_snapshot(
        &self,
        call: &Call,
        asked: TriggerSnapshotRequest,
    ) -> Result<TriggerSnapshotResponse, Problem> {
        if let Some(node) = self.another(asked.node_id) {
            let ask = |mut client: super::Client, message| async move {
                client.trigger_snapshot(message).await
            };
            return self.pass_on(call, node, asked, ask).await;
        }
        let began = now_ms();
        let taken = self.handle.take_snapshot(call.left()).await;
        let taken = taken.map_err(|error| match error {
            SnapshotError::TimedOut { .. } if self.handle.is_disk_full() => Problem::new(
                Reason::NoSnapshot,
                "the disk is full: no snapshot is written",
            ),
            SnapshotError::TimedOut { .. } => Problem::outcome_unknown(&error.to_string()),
            SnapshotError::Stopped => Problem::new(Reason::Stopped, error.to_string()),
        })?;
        tracing::info!(
            index = taken.index,
            written = taken.written,
            took_ms = now_ms().saturating_sub(began),
            "snapshot asked for"
        );
        Ok(TriggerSnapshotResponse {
            node_id: self.this_node().0,
            snapshot_index: taken.index,
            written: taken.written,
        })
    }
}

fn shown(
    registry: &Registry,
    id: NodeId,
    member: Option<&Member>,
    record: Option<&NodeRecord>,
) -> Node {
    let record = record.cloned().unwrap_or_default();
    let live = registry
        .sessions_owned_by(id)
        .filter(|session| session.state().is_live());
    let (mut sessions, mut running) = (0, 0);
    for session in live {
        sessions += 1;
        let counts = session.session_id.parse::<SessionId>();
        running += counts.map_or(0, |id| registry.counts(&id).running);
    }
    Node {
        node_id: id.0,
        state_since_ms: record.state_since_ms,
        http: record.http,
        grpc: member.map_or(record.grpc, |member| member.address.clone()),
        voter: member.is_some_and(|member| member.voter),
        lag: member.and_then(|member| member.lag),
        version: record.version,
        feature_level: record.feature_level,
        sessions,
        running,
        boot_id: record.boot_id,
        registered_at_ms: record.registered_at_ms,
        store_uuid: record.store_uuid,
        ..Node::default()
    }
}

fn role(status: &Status, id: NodeId, member: Option<&Member>) -> NodeRole {
    match member {
        None => NodeRole::None,
        Some(_) if status.leader == Some(id) => NodeRole::Leader,
        Some(member) if member.voter => NodeRole::Follower,
        Some(_) => NodeRole::Learner,
    }
}

/// What the registry holds, and what a leader sees beside it.
fn state(record: Option<&NodeRecord>, seen: Option<Liveness>) -> NodeState {
    let Some(record) = record else {
        return NodeState::Unregistered;
    };
    match (record.state(), seen) {
        (registry::NodeState::Down, _) => NodeState::Down,
        (registry::NodeState::Draining, _) => NodeState::Draining,
        (
            registry::NodeState::Up | registry::NodeState::Unspecified,
            Some(Liveness::Suspect | Liveness::Down),
        ) => NodeState::Suspect,
        (registry::NodeState::Up | registry::NodeState::Unspecified, Some(Liveness::Up) | None) => {
            NodeState::Up
        }
    }
}

fn totals(registry: &Registry) -> Totals {
    let settings = registry.settings().copied().unwrap_or_default();
    let totals = registry.totals();
    Totals {
        live_sessions: registry.live_session_count() as u64,
        max_sessions: settings.max_sessions.into(),
        queued: totals.queued,
        running: totals.running,
        slots_per_endpoint: settings.slots.into(),
        ended: totals.ended,
        cleanups: totals.cleanups,
    }
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_suspects_before_the_registry_says_down() {
        let record = |state: registry::NodeState| NodeRecord {
            state: state.into(),
            ..NodeRecord::default()
        };
        let (up, down, draining) = (
            record(registry::NodeState::Up),
            record(registry::NodeState::Down),
            record(registry::NodeState::Draining),
        );
        for (record, seen, expected) in [
            (None, None, NodeState::Unregistered),
            (Some(&up), None, NodeState::Up),
            (Some(&up), Some(Liveness::Up), NodeState::Up),
            (Some(&up), Some(Liveness::Suspect), NodeState::Suspect),
            (Some(&up), Some(Liveness::Down), NodeState::Suspect),
            (Some(&down), Some(Liveness::Up), NodeState::Down),
            (
                Some(&draining),
                Some(Liveness::Suspect),
                NodeState::Draining,
            ),
        ] {
            assert_eq!(state(record, seen), expected, "{record:?} {seen:?}");
        }
    }
}

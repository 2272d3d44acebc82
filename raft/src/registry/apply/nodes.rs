//! Nodes: how they come, fall, rest and leave. What they own goes with that.

use libra_proto::admin::{self, FailedOver, NodeRegistered, NodeRemoved, NodeStateChanged, event};
use libra_proto::registry::{
    DrainNode, NodeDown, NodeRecord, NodeState, RegisterNode, Rejection, RejectionCode, RemoveNode,
};
use libra_proto::types::NodeId;

use super::levels::known_by;
use super::{Outcome, Step, done, malformed};
use crate::registry::error::{over_limit, reject};

impl Step<'_> {
    /// A node says where it is. One that started anew is UP, and so is one that was given up:
    /// what it owns by now is its own, and no more.
    pub(super) fn register_node(&mut self, command: &RegisterNode) -> Outcome {
        let told = command.node.clone().ok_or_else(|| malformed("node"))?;
        if told.node_id == 0 {
            return Err(malformed("node_id"));
        }
        let level = self.registry.feature_level();
        if known_by(&told) < level {
            let node = told.node_id.to_string();
            return Err(over_limit(RejectionCode::FeatureLevel, node, level.into()));
        }
        let known = self.registry.records.nodes.get(&told.node_id);
        let mut node = standing(known, told, self.now);
        if known == Some(&node) {
            return Ok(done(false));
        }
        let before = known.map(NodeRecord::state);
        node.registered_at_ms = self.now;
        self.tell(event::Kind::NodeRegistered(NodeRegistered {
            node_id: node.node_id,
            boot_id: node.boot_id.clone(),
            http: node.http.clone(),
            grpc: node.grpc.clone(),
            version: node.version.clone(),
        }));
        if let Some(before) = before {
            self.tell_of_node(node.node_id, before, node.state());
        }
        self.put_node(node);
        self.settle(&[]);
        Ok(done(true))
    }

    /// The node's lease is over: others get what it owns.
    pub(super) fn node_down(&mut self, command: &NodeDown) -> Outcome {
        let node = self.node_at(command.node_id, &command.boot_id)?;
        let changed = self.set_node_state(&node, NodeState::Down);
        let at = self.events.len();
        let sessions_moved = self.settle(&command.unreachable);
        if changed || sessions_moved > 0 {
            let left = self.registry.session_load(NodeId(command.node_id));
            let failed_over = FailedOver {
                node_id: command.node_id,
                sessions_moved,
                sessions_left: left as u64,
            };
            // Told before what it brings about.
            self.events.insert(at, event::Kind::FailedOver(failed_over));
        }
        Ok(done(changed))
    }

    /// The node takes no more sessions, or takes them again. One that is DOWN takes none as it is,
    /// and only its own word brings it back.
    pub(super) fn drain_node(&mut self, command: &DrainNode) -> Outcome {
        let any_boot = command.boot_id.is_empty();
        let node = if any_boot {
            self.node(command.node_id)?.clone()
        } else {
            self.node_at(command.node_id, &command.boot_id)?
        };
        let next = match (node.state(), command.draining) {
            (NodeState::Down, _) => NodeState::Down,
            (NodeState::Unspecified | NodeState::Up | NodeState::Draining, true) => {
                NodeState::Draining
            }
            (NodeState::Unspecified | NodeState::Up | NodeState::Draining, false) => NodeState::Up,
        };
        let changed = self.set_node_state(&node, next);
        self.settle(&command.unreachable);
        Ok(done(changed))
    }

    /// Forgets the node. Copies of results that it holds stay named: making new ones is not
    /// decided here.
    pub(super) fn remove_node(&mut self, command: &RemoveNode) -> Outcome {
        let changed = self
            .registry
            .records
            .nodes
            .remove(&command.node_id)
            .is_some();
        if changed {
            self.note_settings();
            self.tell(event::Kind::NodeRemoved(NodeRemoved {
                node_id: command.node_id,
            }));
            self.settle(&[]);
        }
        Ok(done(changed))
    }

    pub(super) fn node(&self, id: u64) -> Result<&NodeRecord, Rejection> {
        let found = self.registry.records.nodes.get(&id);
        found.ok_or_else(|| reject(RejectionCode::UnknownNode, id.to_string()))
    }

    /// The node, if it may take sessions.
    pub(super) fn up_node(&self, id: u64) -> Result<u64, Rejection> {
        if self.node(id)?.state().is_up() {
            Ok(id)
        } else {
            Err(reject(RejectionCode::NoNode, id.to_string()))
        }
    }

    /// The node in that life of its process: what is said of an earlier one no longer holds.
    fn node_at(&self, id: u64, boot_id: &str) -> Result<NodeRecord, Rejection> {
        let node = self.node(id)?;
        if node.boot_id == boot_id {
            Ok(node.clone())
        } else {
            Err(reject(RejectionCode::StaleBoot, id.to_string()))
        }
    }

    fn set_node_state(&mut self, node: &NodeRecord, state: NodeState) -> bool {
        let same = node.state() == state || (node.state().is_up() && state.is_up());
        if !same {
            self.tell_of_node(node.node_id, node.state(), state);
            self.put_node(NodeRecord {
                state: state.into(),
                state_since_ms: self.now,
                ..node.clone()
            });
        }
        !same
    }

    fn tell_of_node(&mut self, node_id: u64, before: NodeState, after: NodeState) {
        let (before, after) = (shown(before), shown(after));
        if before != after {
            self.tell(event::Kind::NodeStateChanged(NodeStateChanged {
                node_id,
                before: before.into(),
                after: after.into(),
            }));
        }
    }

    fn put_node(&mut self, node: NodeRecord) {
        self.registry.records.nodes.insert(node.node_id, node);
        self.note_settings();
    }
}

/// A node's state as operators are told of it.
fn shown(state: NodeState) -> admin::NodeState {
    match state {
        NodeState::Unspecified | NodeState::Up => admin::NodeState::Up,
        NodeState::Down => admin::NodeState::Down,
        NodeState::Draining => admin::NodeState::Draining,
    }
}

/// What a node is that says so now: UP, unless the same process rests.
fn standing(known: Option<&NodeRecord>, told: NodeRecord, now: u64) -> NodeRecord {
    let same = known.filter(|known| known.boot_id == told.boot_id);
    let state = match same.map(NodeRecord::state) {
        Some(NodeState::Draining) => NodeState::Draining,
        Some(NodeState::Unspecified | NodeState::Up | NodeState::Down) | None => NodeState::Up,
    };
    let since = same.filter(|known| known.state() == state);
    NodeRecord {
        registered_at_ms: known.map_or(now, |known| known.registered_at_ms),
        state: state.into(),
        state_since_ms: since.map_or(now, |known| known.state_since_ms),
        ..told
    }
}

//! How the node and what it needs are.

use std::collections::BTreeMap;

use libra_proto::registry::{Mode, NodeState};
use libra_proto::types::{NodeId, SessionId};
use libra_raft::registry::{Registry, SHARED_SESSION};
use serde_json::Value;

use super::{Consistency, Patience, Service};

/// How one component is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ComponentHealth {
    /// Whether it works.
    pub up: bool,
    /// What else can be said of it.
    pub details: BTreeMap<String, Value>,
}

impl ComponentHealth {
    /// With one more thing to say.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.details.insert(name.to_owned(), value.into());
        self
    }
}

/// A component that `/actuator/health` shows.
pub trait HealthProbe: Send + Sync + 'static {
    /// Its name in the answer (`spark`, `disk`).
    fn name(&self) -> &'static str;
    /// How it is, at once: what takes time is asked in the background.
    fn check(&self) -> ComponentHealth;
}

/// All components, by name.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// The components.
    pub components: BTreeMap<&'static str, ComponentHealth>,
}

impl Health {
    /// Whether all of them work.
    #[must_use]
    pub fn up(&self) -> bool {
        self.components.values().all(|component| component.up)
    }
}

impl Service {
    /// How the node's components are, as far as is known at once.
    #[must_use]
    pub fn health(&self) -> Health {
        let mut components = BTreeMap::from([("raft", self.raft_health())]);
        for probe in &self.inner.probes {
            components.insert(probe.name(), probe.check());
        }
        Health { components }
    }

    /// Whether requests should come here: a leader is known, this node has applied everything up
    /// to a read index, the cluster knows it as its node, and writes are accepted. Spark's state does
    /// not matter.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn ready(&self, patience: Patience) -> Result<(), &'static str> {
        if self.refuse_while_draining().is_err() {
            return Err("the node is shutting down");
        }
        let node_id = self.options().node_id;
        let read = self.catch_up(Consistency::Linearizable(patience)).await;
        read.map_err(|_| "no leader answers")?;
        self.view(|registry| match registry.settings() {
            // Nothing could be given to it, and an operator could not name it.
            _ if registry.node(node_id).is_none() => Err("the node is not registered"),
            _ if is_draining(registry, node_id) => Err("the node is drained"),
            None => Err("the registry has no settings yet"),
            // A statement would be refused for its pool.
            Some(_) if registry.pools().next().is_none() => Err("the pools are not made yet"),
            Some(settings) if settings.mode() == Mode::Shared && !has_shared(registry) => {
                Err("the shared session is not made yet")
            }
            Some(_) => Ok(()),
        })
    }
}

fn is_draining(registry: &Registry, node_id: NodeId) -> bool {
    let node = registry.node(node_id);
    node.is_some_and(|node| node.state() == NodeState::Draining)
}

fn has_shared(registry: &Registry) -> bool {
    let id = SHARED_SESSION.parse::<SessionId>();
    id.is_ok_and(|id| registry.session(&id).is_some())
}

//! What the service may be set to.

use std::sync::Arc;
use std::time::Duration;

use libra_proto::types::NodeId;

use super::{NodeWatch, Reachability};

/// How the service of a node works.
#[derive(Debug, Clone)]
pub struct ServiceOptions {
    /// This node.
    pub node_id: NodeId,
    /// `libra.cluster.name`.
    pub cluster_name: String,
    /// The names of the Spark Connect endpoints, `sc://host:port`, without secrets.
    pub endpoints: Vec<String>,
    /// Which of them take connections.
    pub reachability: Reachability,
    /// Who watches the other nodes, while this one leads.
    pub watch: Option<Arc<dyn NodeWatch>>,
    /// The longest statement text, in bytes (`libra.limits.code-bytes`).
    pub code_bytes: usize,
    /// Idle timeout of a session that does not say its own; zero = never.
    pub session_timeout: Duration,
    /// How long a request waits for a leader, from its arrival.
    pub leader_wait: Duration,
    /// How many requests may wait for statements at once.
    pub max_waiters: usize,
}

impl ServiceOptions {
    /// Options with every default.
    #[must_use]
    pub fn new(node_id: NodeId, cluster_name: impl Into<String>, endpoints: Vec<String>) -> Self {
        Self {
            node_id,
            cluster_name: cluster_name.into(),
            reachability: Reachability::new(endpoints.iter().cloned()),
            watch: None,
            endpoints,
            code_bytes: 256 << 10,
            session_timeout: Duration::from_secs(30 * 60),
            leader_wait: Duration::from_secs(2),
            max_waiters: 10_000,
        }
    }
}

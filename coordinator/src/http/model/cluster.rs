//! The cluster, as the API shows it.

use serde::Serialize;

use super::Timestamp;

/// The cluster, as this node sees it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Cluster)]
pub struct ClusterView {
    /// `libra.cluster.name`.
    #[schema(example = "libra")]
    pub cluster_name: String,
    /// The leader's node id, or null while none is known.
    pub leader: Option<u64>,
    /// The Raft term.
    pub term: u64,
    /// All nodes, by id.
    pub nodes: Vec<NodeView>,
}

/// One coordinator.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Node)]
pub struct NodeView {
    /// Its id.
    #[schema(example = 1)]
    pub node_id: u64,
    /// Its REST address.
    #[schema(example = "127.0.0.1:8080")]
    pub http: String,
    /// Its address for peers and administration.
    #[schema(example = "127.0.0.1:9090")]
    pub grpc: String,
    /// `leader`, `follower` or `learner`.
    #[schema(example = "leader")]
    pub role: &'static str,
    /// `up`, `suspect`, `down` or `draining`.
    #[schema(example = "up")]
    pub state: &'static str,
    /// How many live sessions it owns.
    pub sessions: u64,
    /// When it was last heard of.
    pub last_seen: Timestamp,
}

//! `/cluster`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};

use super::{Head, mark_stale};
use crate::http::Api;
use crate::http::model::{ClusterView, NodeView, Timestamp};
use crate::http::problem::Problem;
use crate::service::{ClusterSnapshot, NodeRole, NodeSnapshot, NodeState};

/// Shows the cluster as this node sees it, at once.
#[utoipa::path(get, path = "/api/v1/cluster", operation_id = "getCluster", tag = "cluster",
    params(("stale" = Option<bool>, Query, description = "Makes no difference here")),
    responses((status = 200, description = "The cluster", body = ClusterView)))]
pub(crate) async fn get(State(api): State<Api>, head: Head) -> Result<Response, Problem> {
    let mut query = head.read_query(&[]);
    query.flag("stale");
    query.finish()?;
    let view = Json(cluster(api.service().cluster()));
    Ok(mark_stale(&api, view.into_response()))
}

fn cluster(snapshot: ClusterSnapshot) -> ClusterView {
    ClusterView {
        cluster_name: snapshot.name,
        leader: snapshot.leader.map(|leader| leader.0),
        term: snapshot.term,
        nodes: snapshot.nodes.into_iter().map(node).collect(),
    }
}

fn node(snapshot: NodeSnapshot) -> NodeView {
    NodeView {
        node_id: snapshot.record.node_id,
        http: snapshot.record.http,
        grpc: snapshot.record.grpc,
        role: match snapshot.role {
            NodeRole::Leader => "leader",
            NodeRole::Follower => "follower",
            NodeRole::Learner => "learner",
        },
        state: match snapshot.state {
            NodeState::Up => "up",
            NodeState::Suspect => "suspect",
            NodeState::Down => "down",
            NodeState::Draining => "draining",
        },
        sessions: snapshot.sessions as u64,
        last_seen: Timestamp::at(snapshot.last_seen_ms),
    }
}

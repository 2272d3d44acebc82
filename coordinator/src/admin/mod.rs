//! The operator's gRPC service, `libra.admin.v1.Admin`, on every node alike.
//!
//! **Invariant:** it decides nothing: a change goes to the registry's group, which refuses what
//! cannot be; every call may be repeated, and every wait is bounded by the group's own limits.

mod convert;

use futures::stream::BoxStream;
use libra_actors::ports::{Proposed, RegistryPort};
use libra_proto::admin::admin_server::{Admin, AdminServer};
use libra_proto::admin::{
    AddNodeRequest, AddNodeResponse, BackupRequest, BackupResponse, CancelStatementsRequest,
    CancelStatementsResponse, CloseSessionRequest, CloseSessionResponse, ClusterStatusRequest,
    ClusterStatusResponse, DiagnoseRequest, DiagnoseResponse, DrainNodeRequest, DrainNodeResponse,
    GetSessionRequest, GetSessionResponse, GetStatementRequest, GetStatementResponse,
    ListPoolsRequest, ListPoolsResponse, ListSessionsRequest, ListSessionsResponse,
    ListStatementsRequest, ListStatementsResponse, MoveSessionRequest, MoveSessionResponse,
    PausePoolRequest, PausePoolResponse, PromoteNodeRequest, PromoteNodeResponse,
    RebalanceSessionsRequest, RebalanceSessionsResponse, RemoveNodeRequest, RemoveNodeResponse,
    RemovePoolRequest, RemovePoolResponse, RestoreRequest, RestoreResponse, ResumePoolRequest,
    ResumePoolResponse, SetPoolRequest, SetPoolResponse, TransferLeadershipRequest,
    TransferLeadershipResponse, TriggerSnapshotRequest, TriggerSnapshotResponse,
    UndrainNodeRequest, UndrainNodeResponse, WatchEventsRequest, WatchEventsResponse,
};
use libra_proto::registry::{RejectionCode, RemoveNode, command};
use libra_proto::types::NodeId;
use libra_raft::Handle;
use tonic::{Request, Response, Status, Streaming};

use crate::adapters::RaftRegistry;
use crate::config::Address;
use convert::{change_failed, member, outcome_unknown};

/// The service of one node.
#[derive(Clone)]
pub(crate) struct AdminService {
    handle: Handle,
    registry: RaftRegistry,
    cluster_name: String,
}

impl AdminService {
    pub(crate) fn new(handle: Handle, registry: RaftRegistry, cluster_name: String) -> Self {
        Self {
            handle,
            registry,
            cluster_name,
        }
    }

    /// The service for a server of gRPC.
    pub(crate) fn into_server(self) -> AdminServer<Self> {
        AdminServer::new(self)
    }

    fn members(&self) -> Vec<libra_proto::admin::Member> {
        self.handle
            .status()
            .members
            .into_iter()
            .map(member)
            .collect()
    }

    /// The registry forgets the node, and gives its sessions to others, before it leaves the group:
    /// done the other way round, a failure in between would leave sessions with nobody.
    async fn forget(&self, node: NodeId) -> Result<(), Status> {
        let remove = command::Kind::RemoveNode(RemoveNode { node_id: node.0 });
        match self.registry.propose(remove).await {
            Proposed::Applied(_) => Ok(()),
            Proposed::Rejected(rejection) if rejection.code() == RejectionCode::UnknownNode => {
                Ok(())
            }
            Proposed::Rejected(rejection) => Err(Status::failed_precondition(format!(
                "node {node}: refused by the registry: {:?}",
                rejection.code()
            ))),
            Proposed::Unknown(reason) => Err(outcome_unknown(&reason)),
        }
    }
}

#[tonic::async_trait]
impl Admin for AdminService {
    async fn cluster_status(
        &self,
        _request: Request<ClusterStatusRequest>,
    ) -> Result<Response<ClusterStatusResponse>, Status> {
        let status = self.handle.status();
        let (applied_index, state_hash) = {
            let registry = self.handle.view(libra_raft::registry::Registry::clone);
            // Reads everything: not under the registry's lock.
            let hashed = tokio::task::spawn_blocking(move || {
                (registry.applied_index(), registry.state_hash())
            });
            hashed
                .await
                .map_err(|error| Status::internal(error.to_string()))?
        };
        Ok(Response::new(ClusterStatusResponse {
            cluster_name: self.cluster_name.clone(),
            node_id: status.node_id.0,
            leader: status.leader.map_or(0, |leader| leader.0),
            term: status.term,
            applied_index,
            state_hash,
            members: self.members(),
            ..ClusterStatusResponse::default()
        }))
    }

    async fn add_node(
        &self,
        request: Request<AddNodeRequest>,
    ) -> Result<Response<AddNodeResponse>, Status> {
        let AddNodeRequest { node_id, address } = request.into_inner();
        let node = node_of(node_id)?;
        if address.parse::<Address>().is_err() {
            let allowed = crate::config::InvalidAddress;
            let problem = format!("address: `{address}` is not allowed, but: {allowed}");
            return Err(Status::invalid_argument(problem));
        }
        let added = self.handle.add_learner(node, address).await;
        added.map_err(|error| change_failed(&error))?;
        let members = self.members();
        Ok(Response::new(AddNodeResponse { members }))
    }

    async fn promote_node(
        &self,
        request: Request<PromoteNodeRequest>,
    ) -> Result<Response<PromoteNodeResponse>, Status> {
        let node = node_of(request.into_inner().node_id)?;
        let promoted = self.handle.promote(node).await;
        promoted.map_err(|error| change_failed(&error))?;
        let members = self.members();
        Ok(Response::new(PromoteNodeResponse { members }))
    }

    async fn remove_node(
        &self,
        request: Request<RemoveNodeRequest>,
    ) -> Result<Response<RemoveNodeResponse>, Status> {
        let node = node_of(request.into_inner().node_id)?;
        let members = self.handle.status().members;
        let voters = members.iter().filter(|member| member.voter);
        if voters.clone().count() == 1 && voters.clone().all(|voter| voter.node_id == node) {
            let problem = format!("node {node} is the last voter of its cluster");
            return Err(Status::failed_precondition(problem));
        }
        self.forget(node).await?;
        let removed = self.handle.remove(node).await;
        removed.map_err(|error| change_failed(&error))?;
        // It may have come back in between. This node itself hears nothing of the group any more.
        if node != self.registry.node_id() {
            self.forget(node).await?;
        }
        let members = self.members();
        Ok(Response::new(RemoveNodeResponse { members }))
    }

    async fn transfer_leadership(
        &self,
        _request: Request<TransferLeadershipRequest>,
    ) -> Result<Response<TransferLeadershipResponse>, Status> {
        Err(due())
    }

    async fn drain_node(
        &self,
        _request: Request<DrainNodeRequest>,
    ) -> Result<Response<DrainNodeResponse>, Status> {
        Err(due())
    }

    async fn undrain_node(
        &self,
        _request: Request<UndrainNodeRequest>,
    ) -> Result<Response<UndrainNodeResponse>, Status> {
        Err(due())
    }

    async fn trigger_snapshot(
        &self,
        _request: Request<TriggerSnapshotRequest>,
    ) -> Result<Response<TriggerSnapshotResponse>, Status> {
        Err(due())
    }

    async fn diagnose(
        &self,
        _request: Request<DiagnoseRequest>,
    ) -> Result<Response<DiagnoseResponse>, Status> {
        Err(due())
    }

    async fn list_sessions(
        &self,
        _request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        Err(due())
    }

    async fn get_session(
        &self,
        _request: Request<GetSessionRequest>,
    ) -> Result<Response<GetSessionResponse>, Status> {
        Err(due())
    }

    async fn move_session(
        &self,
        _request: Request<MoveSessionRequest>,
    ) -> Result<Response<MoveSessionResponse>, Status> {
        Err(due())
    }

    async fn rebalance_sessions(
        &self,
        _request: Request<RebalanceSessionsRequest>,
    ) -> Result<Response<RebalanceSessionsResponse>, Status> {
        Err(due())
    }

    async fn close_session(
        &self,
        _request: Request<CloseSessionRequest>,
    ) -> Result<Response<CloseSessionResponse>, Status> {
        Err(due())
    }

    async fn list_statements(
        &self,
        _request: Request<ListStatementsRequest>,
    ) -> Result<Response<ListStatementsResponse>, Status> {
        Err(due())
    }

    async fn get_statement(
        &self,
        _request: Request<GetStatementRequest>,
    ) -> Result<Response<GetStatementResponse>, Status> {
        Err(due())
    }

    async fn cancel_statements(
        &self,
        _request: Request<CancelStatementsRequest>,
    ) -> Result<Response<CancelStatementsResponse>, Status> {
        Err(due())
    }

    async fn list_pools(
        &self,
        _request: Request<ListPoolsRequest>,
    ) -> Result<Response<ListPoolsResponse>, Status> {
        Err(due())
    }

    async fn set_pool(
        &self,
        _request: Request<SetPoolRequest>,
    ) -> Result<Response<SetPoolResponse>, Status> {
        Err(due())
    }

    async fn remove_pool(
        &self,
        _request: Request<RemovePoolRequest>,
    ) -> Result<Response<RemovePoolResponse>, Status> {
        Err(due())
    }

    async fn pause_pool(
        &self,
        _request: Request<PausePoolRequest>,
    ) -> Result<Response<PausePoolResponse>, Status> {
        Err(due())
    }

    async fn resume_pool(
        &self,
        _request: Request<ResumePoolRequest>,
    ) -> Result<Response<ResumePoolResponse>, Status> {
        Err(due())
    }

    type WatchEventsStream = BoxStream<'static, Result<WatchEventsResponse, Status>>;

    async fn watch_events(
        &self,
        _request: Request<WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        Err(due())
    }

    type BackupStream = BoxStream<'static, Result<BackupResponse, Status>>;

    async fn backup(
        &self,
        _request: Request<BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        Err(due())
    }

    async fn restore(
        &self,
        _request: Request<Streaming<RestoreRequest>>,
    ) -> Result<Response<RestoreResponse>, Status> {
        Err(due())
    }
}

fn due() -> Status {
    Status::unimplemented("not built yet")
}

fn node_of(id: u64) -> Result<NodeId, Status> {
    if id == 0 {
        let problem = "node_id: `0` is not allowed, but: a number from 1";
        return Err(Status::invalid_argument(problem));
    }
    Ok(NodeId(id))
}

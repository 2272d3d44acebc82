//! The service's calls: each is done within its time, and its failure becomes a status.

use std::pin::Pin;

use futures::Stream;
use libra_proto::admin::admin_server::Admin;
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
use tonic::{Request, Response, Status, Streaming};

use super::AdminService;
use super::call::{Call, LONG, USUAL};

/// What a streaming call answers.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Admin for AdminService {
    type WatchEventsStream = Answers<WatchEventsResponse>;
    type BackupStream = Answers<BackupResponse>;

    async fn cluster_status(
        &self,
        request: Request<ClusterStatusRequest>,
    ) -> Result<Response<ClusterStatusResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_cluster_status(&call, request.into_inner());
        Ok(Response::new(call.within(false, work).await?))
    }

    async fn add_node(
        &self,
        request: Request<AddNodeRequest>,
    ) -> Result<Response<AddNodeResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_add_node(&call, request.into_inner());
        Ok(Response::new(call.within(true, work).await?))
    }

    async fn promote_node(
        &self,
        request: Request<PromoteNodeRequest>,
    ) -> Result<Response<PromoteNodeResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_promote_node(&call, request.into_inner());
        Ok(Response::new(call.within(true, work).await?))
    }

    async fn remove_node(
        &self,
        request: Request<RemoveNodeRequest>,
    ) -> Result<Response<RemoveNodeResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_remove_node(&call, request.into_inner());
        Ok(Response::new(call.within(true, work).await?))
    }

    async fn transfer_leadership(
        &self,
        request: Request<TransferLeadershipRequest>,
    ) -> Result<Response<TransferLeadershipResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_transfer_leadership(&call, request.into_inner());
        Ok(Response::new(call.within(true, work).await?))
    }

    async fn drain_node(
        &self,
        request: Request<DrainNodeRequest>,
    ) -> Result<Response<DrainNodeResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_drain_node(&call, request.into_inner());
        Ok(Response::new(call.within(true, work).await?))
    }

    async fn undrain_node(
        &self,
        request: Request<UndrainNodeRequest>,
    ) -> Result<Response<UndrainNodeResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_undrain_node(&call, request.into_inner());
        Ok(Response::new(call.within(true, work).await?))
    }

    async fn trigger_snapshot(
        &self,
        request: Request<TriggerSnapshotRequest>,
    ) -> Result<Response<TriggerSnapshotResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_trigger_snapshot(&call, request.into_inner());
        Ok(Response::new(call.within(true, work).await?))
    }

    async fn diagnose(
        &self,
        request: Request<DiagnoseRequest>,
    ) -> Result<Response<DiagnoseResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_diagnose(&call, request.into_inner());
        Ok(Response::new(call.within(false, work).await?))
    }

    async fn list_sessions(
        &self,
        request: Request<ListSessionsRequest>,
    ) -> Result<Response<ListSessionsResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_list_sessions(&call, request.into_inner());
        Ok(Response::new(call.within(false, work).await?))
    }

    async fn get_session(
        &self,
        request: Request<GetSessionRequest>,
    ) -> Result<Response<GetSessionResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_get_session(&call, request.into_inner());
        Ok(Response::new(call.within(false, work).await?))
    }

    async fn move_session(
        &self,
        request: Request<MoveSessionRequest>,
    ) -> Result<Response<MoveSessionResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_move_session(&call, request.into_inner());
        Ok(Response::new(call.within(true, work).await?))
    }

    async fn rebalance_sessions(
        &self,
        request: Request<RebalanceSessionsRequest>,
    ) -> Result<Response<RebalanceSessionsResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_rebalance_sessions(&call, request.into_inner());
        Ok(Response::new(call.within(true, work).await?))
    }

    async fn close_session(
        &self,
        request: Request<CloseSessionRequest>,
    ) -> Result<Response<CloseSessionResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_close_session(&call, request.into_inner());
        Ok(Response::new(call.within(true, work).await?))
    }

    async fn list_statements(
        &self,
        request: Request<ListStatementsRequest>,
    ) -> Result<Response<ListStatementsResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_list_statements(&call, request.into_inner());
        Ok(Response::new(call.within(false, work).await?))
    }

    async fn get_statement(
        &self,
        request: Request<GetStatementRequest>,
    ) -> Result<Response<GetStatementResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_get_statement(&call, request.into_inner());
        Ok(Response::new(call.within(false, work).await?))
    }

    async fn cancel_statements(
        &self,
        request: Request<CancelStatementsRequest>,
    ) -> Result<Response<CancelStatementsResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_cancel_statements(&call, request.into_inner());
        Ok(Response::new(call.within(true, work).await?))
    }

    async fn list_pools(
        &self,
        request: Request<ListPoolsRequest>,
    ) -> Result<Response<ListPoolsResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_list_pools(&call, request.into_inner());
        Ok(Response::new(call.within(false, work).await?))
    }

    async fn set_pool(
        &self,
        request: Request<SetPoolRequest>,
    ) -> Result<Response<SetPoolResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_set_pool(&call, request.into_inner());
        Ok(Response::new(call.within(true, work).await?))
    }

    async fn remove_pool(
        &self,
        request: Request<RemovePoolRequest>,
    ) -> Result<Response<RemovePoolResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_remove_pool(&call, request.into_inner());
        Ok(Response::new(call.within(true, work).await?))
    }

    async fn pause_pool(
        &self,
        request: Request<PausePoolRequest>,
    ) -> Result<Response<PausePoolResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_pause_pool(&call, request.into_inner());
        Ok(Response::new(call.within(true, work).await?))
    }

    async fn resume_pool(
        &self,
        request: Request<ResumePoolRequest>,
    ) -> Result<Response<ResumePoolResponse>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_resume_pool(&call, request.into_inner());
        Ok(Response::new(call.within(true, work).await?))
    }

    async fn watch_events(
        &self,
        request: Request<WatchEventsRequest>,
    ) -> Result<Response<Self::WatchEventsStream>, Status> {
        let call = Call::of(request.metadata(), USUAL);
        let work = self.answer_watch_events(&call, request.into_inner());
        let events = call.within(false, work).await?;
        Ok(Response::new(Box::pin(events)))
    }

    async fn backup(
        &self,
        request: Request<BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        let call = Call::of(request.metadata(), LONG);
        let BackupRequest {} = request.into_inner();
        let parts = call.within(false, self.answer_backup(&call)).await?;
        Ok(Response::new(Box::pin(parts)))
    }

    async fn restore(
        &self,
        request: Request<Streaming<RestoreRequest>>,
    ) -> Result<Response<RestoreResponse>, Status> {
        let call = Call::of(request.metadata(), LONG);
        let work = Box::pin(self.answer_restore(&call, request.into_inner()));
        Ok(Response::new(call.within(true, work).await?))
    }
}

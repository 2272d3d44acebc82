//! What openraft sends to one peer.

use std::future::Future;
use std::iter;
use std::sync::Arc;
use std::time::Duration;

use futures::{Stream, StreamExt};
use libra_proto::raft as wire;
use libra_proto::raft::raft_client::RaftClient;
use openraft::base::{BoxFuture, BoxStream};
use openraft::errors::ReplicationClosed;
use openraft::network::{Backoff, RPCOption};
use openraft::raft::TransferLeaderError;
use openraft::{OptionalSend, RPCTypes, RaftNetworkFactory, RaftNetworkV2};
use tonic::transport::Channel;
use tonic::{Response, Status};

use super::append::{self, Window};
use super::peers::{Lane, Peers};
use super::snapshot_send;
use super::wire::{appended_from, transfer_to, vote_request_to, vote_response_from};
use crate::store::snapshot_file::SnapshotFile;
use crate::type_config::{
    AppendRequest, AppendResponse, NetworkError, RpcError, Snapshot, SnapshotResponse,
    StreamAppendResult, StreamingError, Timeout, TransferLeaderRequest, TransferLeaderResponse,
    TypeConfig, Unreachable, Vote, VoteRequest, VoteResponse,
};

/// Between attempts at a peer that cannot be reached: soon at first, and never long, so that a peer
/// that is back is noticed.
pub(crate) const BACKOFF: [Duration; 3] = [
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
];

/// Makes the clients that openraft asks for.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    peers: Arc<Peers>,
}

impl Network {
    pub(crate) fn new(peers: Arc<Peers>) -> Self {
        Self { peers }
    }

    fn client(&self, target: u64, lane: Lane) -> Client {
        Client {
            peers: Arc::clone(&self.peers),
            target,
            lane,
            failures: 0,
        }
    }
}

impl RaftNetworkFactory<TypeConfig> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: u64, node: &crate::type_config::Peer) -> Client {
        self.peers.note(target, node);
        self.client(target, Lane::Log)
    }

    async fn new_heartbeat_client(
        &mut self,
        target: u64,
        node: &crate::type_config::Peer,
    ) -> Client {
        self.peers.note(target, node);
        self.client(target, Lane::Control)
    }

    async fn new_snapshot_client(
        &mut self,
        target: u64,
        node: &crate::type_config::Peer,
    ) -> Client {
        self.peers.note(target, node);
        self.client(target, Lane::Snapshot)
    }
}

/// One peer, for one purpose.
#[derive(Debug)]
pub(crate) struct Client {
    peers: Arc<Peers>,
    target: u64,
    lane: Lane,
    /// Streams in a row that could not be opened.
    failures: usize,
}

impl Client {
    /// Holds up the next attempt at a stream that could not be opened. openraft waits by
    /// [`RaftNetworkV2::backoff`] only between requests of a stream, and one that is refused before
    /// it takes any would be tried again at once, thousands of times a second.
    async fn pause(&mut self) {
        let last = BACKOFF.len() - 1;
        tokio::time::sleep(BACKOFF[self.failures.min(last)]).await;
        self.failures = self.failures.saturating_add(1);
    }

    fn route(&self, lane: Lane) -> Result<(RaftClient<Channel>, wire::Envelope), Unreachable> {
        self.peers
            .member(self.target, lane)
            .map_err(|error| Unreachable::new(&error))
    }

    fn timed_out(&self, action: RPCTypes, timeout: Duration) -> RpcError {
        RpcError::Timeout(Timeout {
            action,
            id: self.peers.me.node_id.0,
            target: self.target,
            timeout,
        })
    }

    /// Waits for a unary answer for as long as openraft does.
    async fn unary<T>(
        &self,
        action: RPCTypes,
        option: &RPCOption,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, RpcError> {
        let limit = option.soft_ttl();
        match tokio::time::timeout(limit, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(unreachable(&status).into()),
            Err(_elapsed) => Err(self.timed_out(action, limit)),
        }
    }

    async fn ask_vote(
        &self,
        rpc: &VoteRequest,
        pre_vote: bool,
        option: &RPCOption,
    ) -> Result<VoteResponse, RpcError> {
        let (mut client, envelope) = self.route(Lane::Control)?;
        let request = vote_request_to(rpc, pre_vote, envelope);
        let call = client.vote(request);
        let response = self.unary(RPCTypes::Vote, option, call).await?;
        vote_response_from(&response).map_err(|error| NetworkError::new(&error).into())
    }
}

/// Every failure of a peer is one to wait after, however short.
pub(super) fn unreachable(status: &Status) -> Unreachable {
    Unreachable::from_string(format!("{}: {}", status.code(), status.message()))
}

impl RaftNetworkV2<TypeConfig> for Client {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        rpc: AppendRequest,
        option: RPCOption,
    ) -> Result<AppendResponse, RpcError> {
        let limit = option.soft_ttl();
        let answer = async {
            let requests = futures::stream::iter([rpc]);
            let mut answers = self.stream_append(requests, option).await?;
            answers.next().await.transpose()
        };
        let answer = tokio::time::timeout(limit, answer).await;
        match answer {
            Ok(Ok(Some(result))) => Ok(result.into()),
            Ok(Ok(None)) => Err(NetworkError::from_string("no answer").into()),
            Ok(Err(error)) => Err(error),
            Err(_elapsed) => Err(self.timed_out(RPCTypes::AppendEntries, limit)),
        }
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<'s, Result<BoxStream<'s, Result<StreamAppendResult, RpcError>>, RpcError>>
    where
        S: Stream<Item = AppendRequest> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            let (mut client, envelope) = self.route(self.lane)?;
            let window = Arc::new(Window::default());
            let requests = append::requests(input, envelope, Arc::clone(&window));
            // The answer's head comes at once, whenever the first request does.
            let limit = option.hard_ttl().max(append::OPEN_LIMIT);
            let opened = tokio::time::timeout(limit, client.append(requests)).await;
            let answers = match opened {
                Ok(Ok(response)) => response.into_inner(),
                Ok(Err(status)) => {
                    self.pause().await;
                    return Err(unreachable(&status).into());
                }
                Err(_elapsed) => return Err(self.timed_out(RPCTypes::AppendEntries, limit)),
            };
            self.failures = 0;
            let this = &*self;
            let results = futures::stream::unfold(Some(answers), move |answers| {
                let window = Arc::clone(&window);
                async move {
                    let mut answers = answers?;
                    let answered = append::next_answer(&mut answers, &window).await;
                    let result = match answered {
                        Ok(Some(answer)) => {
                            appended_from(&answer).map_err(|e| NetworkError::new(&e).into())
                        }
                        Ok(None) => return None,
                        Err(append::Silence::Failed(status)) => Err(unreachable(&status).into()),
                        Err(append::Silence::TooLong(limit)) => {
                            Err(this.timed_out(RPCTypes::AppendEntries, limit))
                        }
                    };
                    // After a refusal or a failure nothing follows.
                    let goes_on = matches!(result, Ok(Ok(_)));
                    Some((result, goes_on.then_some(answers)))
                }
            });
            let results: BoxStream<'s, _> = Box::pin(results);
            Ok(results)
        })
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest,
        option: RPCOption,
    ) -> Result<VoteResponse, RpcError> {
        self.ask_vote(&rpc, false, &option).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest,
        option: RPCOption,
    ) -> Result<VoteResponse, RpcError> {
        self.ask_vote(&rpc, true, &option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse, StreamingError> {
        let (client, envelope) = self.route(self.lane)?;
        let patience = option.soft_ttl();
        let sending = snapshot_send::send(client, envelope, &vote, snapshot, patience);
        let sent = tokio::select! {
            sent = sending => sent,
            closed = cancel => return Err(StreamingError::Closed(closed)),
        };
        match sent {
            Ok(vote) => Ok(SnapshotResponse::new(vote)),
            Err(snapshot_send::SendError::TimedOut { limit }) => {
                Err(self.timed_out(RPCTypes::InstallSnapshot, limit).into())
            }
            Err(error) => Err(Unreachable::new(&error).into()),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse, RpcError> {
        let (mut client, envelope) = self.route(Lane::Control)?;
        let call = client.transfer_leader(transfer_to(&request, envelope));
        let answer = self.unary(RPCTypes::TransferLeader, &option, call).await?;
        if answer.refused.is_empty() {
            return Ok(Ok(()));
        }
        tracing::info!(
            node_id = self.target,
            reason = answer.refused,
            "leadership not taken over"
        );
        let expected = request.last_log_id().copied();
        let actual = None;
        Ok(Err(TransferLeaderError::LogNotFlushed { expected, actual }))
    }

    fn backoff(&self) -> Option<Backoff> {
        let last = BACKOFF[BACKOFF.len() - 1];
        Some(Backoff::new(BACKOFF.into_iter().chain(iter::repeat(last))))
    }
}

//! What other nodes ask of this one: `libra.raft.v1.Raft`.
//!
//! **Invariant:** a message is looked at only if it is for this node, in this cluster, with this very
//! store: a node that was wiped votes for nobody and acknowledges nothing as the node it was. What
//! is refused so has had no effect (FAILED_PRECONDITION).

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use futures::{Stream, StreamExt};
use libra_proto::raft as wire;
use libra_proto::raft::raft_server::{Raft as RaftRpc, RaftServer};
use libra_proto::registry::Command;
use libra_proto::types::NodeId;
use openraft::errors::RaftError;
use openraft::raft::StreamAppendError;
use prost::Message;
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;
use tonic::{Request, Response, Status, Streaming};

use super::forward::Asked;
use super::snapshot_receive::{self, Announced};
use super::wire::{append_from, appended_to, transfer_from, vote_request_from, vote_response_to};
use crate::error::{ProposeError, ReadError};
use crate::handle::{Attempt, Change, Inner};
use crate::store::codec::vote_to_disk;
use crate::type_config::{Raft, StreamAppendResult};

/// What a node answers other nodes with; see [`crate::Node::service`].
pub type RaftService = RaftServer<Service>;

/// The service behind [`RaftService`]. It does not keep its node running.
#[derive(Clone)]
pub struct Service {
    inner: Weak<Inner>,
    /// One snapshot is received at a time.
    receiving: Arc<Semaphore>,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

/// Answers to log entries that may wait to be sent.
const ANSWERS: usize = 64;
/// A request that was passed on before is not passed on again.
const MAX_HOPS: u32 = 0;

pub(crate) fn service(inner: &Arc<Inner>, max_message_bytes: usize) -> RaftService {
    let service = Service {
        inner: Arc::downgrade(inner),
        receiving: Arc::new(Semaphore::new(1)),
    };
    RaftServer::new(service)
        .max_decoding_message_size(max_message_bytes)
        .max_encoding_message_size(max_message_bytes)
}

impl Service {
    fn running(&self) -> Result<Arc<Inner>, Status> {
        let inner = self.inner.upgrade().filter(|inner| !inner.is_stopped());
        inner.ok_or_else(|| Status::failed_precondition("the registry is stopped"))
    }

    /// The node, if a message is for it.
    fn addressed(&self, envelope: Option<&wire::Envelope>) -> Result<Arc<Inner>, Status> {
        let inner = self.running()?;
        match inner.peers.misdirected(envelope) {
            None => Ok(inner),
            Some(reason) => Err(Status::failed_precondition(reason)),
        }
    }
}

fn malformed(error: impl fmt::Display) -> Status {
    Status::invalid_argument(error.to_string())
}

fn failed<E: std::error::Error>(error: &RaftError<crate::type_config::TypeConfig, E>) -> Status {
    Status::unavailable(error.to_string())
}

fn check_hops(hops: u32) -> Result<(), Status> {
    if hops > MAX_HOPS {
        return Err(Status::failed_precondition("passed on too often"));
    }
    Ok(())
}

fn deadline(timeout_ms: u32, limit: Duration) -> Instant {
    Instant::now() + Duration::from_millis(timeout_ms.into()).min(limit)
}

/// Gives a stream of log entries to openraft, and its answers to `answers`, until the stream ends,
/// nobody wants the answers, or the node stops.
async fn take_entries(
    service: Service,
    mut requests: Streaming<wire::AppendRequest>,
    answers: &mpsc::Sender<Result<wire::AppendResponse, Status>>,
) -> Result<(), Status> {
    let Some(first) = requests.message().await? else {
        return Ok(());
    };
    let inner = service.addressed(first.envelope.as_ref())?;
    let raft = inner.raft.clone();
    let heard = Arc::clone(&inner.heard);
    let mut stopping = inner.stopping.subscribe();
    drop(inner);
    let first = futures::stream::once(async { Ok(first) });
    // A request that cannot be read ends the stream, after the answers to those before it.
    let requests = first.chain(requests).map(|request| match request {
        Ok(request) => append_from(request).map_err(malformed),
        Err(status) => Err(status),
    });
    let requests = requests.scan((), |(), request| {
        let request = request.inspect_err(|status| {
            tracing::debug!(reason = status.message(), "a stream of log entries ended");
        });
        std::future::ready(request.ok())
    });
    let mut results = std::pin::pin!(raft.stream_append(requests));
    loop {
        let result = tokio::select! {
            result = results.next() => result,
            () = answers.closed() => None,
            _stopped = stopping.wait_for(|stopping| *stopping) => None,
        };
        let answer = match result {
            Some(Ok(result)) => {
                if is_of_the_leader(&result) {
                    heard.note();
                }
                Ok(appended_to(&result))
            }
            Some(Err(fatal)) => Err(Status::unavailable(fatal.to_string())),
            None => return Ok(()),
        };
        if answers.send(answer).await.is_err() {
            return Ok(());
        }
    }
}

/// Whether it was the leader's request, whatever came of it.
fn is_of_the_leader(result: &StreamAppendResult) -> bool {
    match result {
        Ok(_) | Err(StreamAppendError::Conflict(_)) => true,
        Err(StreamAppendError::HigherVote(_)) => false,
    }
}

#[tonic::async_trait]
impl RaftRpc for Service {
    type AppendStream = Pin<Box<dyn Stream<Item = Result<wire::AppendResponse, Status>> + Send>>;

    async fn append(
        &self,
        request: Request<Streaming<wire::AppendRequest>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        let (sender, receiver) = mpsc::channel(ANSWERS);
        let (service, requests) = (self.clone(), request.into_inner());
        tokio::spawn(async move {
            if let Err(status) = take_entries(service, requests, &sender).await {
                // Whoever asked may have left.
                let _ = sender.send(Err(status)).await;
            }
        });
        // The answer's head leaves at once, whenever the first request comes.
        let answers = futures::stream::unfold(receiver, |mut receiver| async move {
            let answer = receiver.recv().await?;
            Some((answer, receiver))
        });
        Ok(Response::new(Box::pin(answers)))
    }

    async fn vote(
        &self,
        request: Request<wire::VoteRequest>,
    ) -> Result<Response<wire::VoteResponse>, Status> {
        let request = request.into_inner();
        let inner = self.addressed(request.envelope.as_ref())?;
        if !inner.succession.votes_yet(inner.started.elapsed()) {
            let reason = "started a moment ago: it may have heard a leader before";
            return Err(Status::unavailable(reason));
        }
        let asked = vote_request_from(&request).map_err(malformed)?;
        let answer = if request.pre_vote {
            Box::pin(inner.raft.pre_vote(asked)).await
        } else {
            Box::pin(inner.raft.vote(asked)).await
        };
        let answer = answer.map_err(|error| failed(&error))?;
        Ok(Response::new(vote_response_to(&answer)))
    }

    async fn install_snapshot(
        &self,
        request: Request<Streaming<wire::SnapshotPart>>,
    ) -> Result<Response<wire::SnapshotResponse>, Status> {
        let mut parts = request.into_inner();
        let start = snapshot_receive::first(&mut parts).await?;
        let inner = self.addressed(start.envelope.as_ref())?;
        let Ok(_receiving) = self.receiving.try_acquire() else {
            return Err(Status::resource_exhausted(
                "another snapshot is being received",
            ));
        };
        let announced = Announced::read(&start)?;
        let raft: Raft = inner.raft.clone();
        let snapshots = Arc::clone(&inner.snapshots);
        drop(inner);
        let answer = snapshot_receive::install(raft, snapshots, announced, parts).await?;
        Ok(Response::new(wire::SnapshotResponse {
            vote: Some(vote_to_disk(&answer.vote)),
        }))
    }

    async fn transfer_leader(
        &self,
        request: Request<wire::TransferLeaderRequest>,
    ) -> Result<Response<wire::TransferLeaderResponse>, Status> {
        let request = request.into_inner();
        let inner = self.addressed(request.envelope.as_ref())?;
        let asked = transfer_from(&request).map_err(malformed)?;
        inner
            .succession
            .note_hand_over(asked.from_leader().leader_id.term + 1);
        let answer = Box::pin(inner.raft.handle_transfer_leader(asked)).await;
        let refused = match answer {
            Ok(Ok(())) => String::new(),
            Ok(Err(error)) => error.to_string(),
            Err(fatal) => return Err(Status::unavailable(fatal.to_string())),
        };
        Ok(Response::new(wire::TransferLeaderResponse { refused }))
    }

    async fn propose(
        &self,
        request: Request<wire::ProposeRequest>,
    ) -> Result<Response<wire::ProposeResponse>, Status> {
        let request = request.into_inner();
        let inner = self.addressed(request.envelope.as_ref())?;
        check_hops(request.hops)?;
        let command = Command::decode(request.command.as_slice())
            .map_err(|error| Status::failed_precondition(error.to_string()))?;
        let deadline = deadline(request.timeout_ms, inner.limit);
        let result = Box::pin(inner.propose_for(command, deadline)).await;
        let result = Some(propose_result(&inner, result));
        Ok(Response::new(wire::ProposeResponse { result }))
    }

    async fn read_index(
        &self,
        request: Request<wire::ReadIndexRequest>,
    ) -> Result<Response<wire::ReadIndexResponse>, Status> {
        use wire::read_index_response::Result as Answer;
        let request = request.into_inner();
        let inner = self.addressed(request.envelope.as_ref())?;
        let deadline = deadline(request.timeout_ms, inner.limit);
        let answer = match inner.read_here(deadline).await {
            Ok(Attempt::Answer(index)) => Answer::Index(index),
            Ok(Attempt::NotLeading(_)) | Err(ReadError::NotLeader { .. }) => {
                Answer::NotLeader(inner.leader_to_wire())
            }
            Err(ReadError::TimedOut { .. }) => Answer::TimedOut(wire::TimedOut {}),
            Err(ReadError::Stopped) => Answer::Stopped(wire::Stopped {}),
        };
        Ok(Response::new(wire::ReadIndexResponse {
            result: Some(answer),
        }))
    }

    async fn change_members(
        &self,
        request: Request<wire::ChangeMembersRequest>,
    ) -> Result<Response<wire::ChangeMembersResponse>, Status> {
        use wire::change_members_response::Result as Answer;
        let request = request.into_inner();
        let inner = self.addressed(request.envelope.as_ref())?;
        check_hops(request.hops)?;
        let change = request
            .change
            .map(Change::from_wire)
            .ok_or_else(|| Status::failed_precondition("no change that is known here"))?;
        let deadline = Instant::now() + Duration::from_millis(request.timeout_ms.into());
        let answer = match Box::pin(inner.change_here(&change, deadline)).await {
            Asked::Done { index } => Answer::Index(index),
            Asked::NotLeading => Answer::NotLeader(inner.leader_to_wire()),
            Asked::Refused { reason } => Answer::Refused(reason),
            Asked::Later { reason } => Answer::Later(reason),
        };
        Ok(Response::new(wire::ChangeMembersResponse {
            result: Some(answer),
        }))
    }

    async fn hello(
        &self,
        request: Request<wire::HelloRequest>,
    ) -> Result<Response<wire::HelloResponse>, Status> {
        let answer = self.running()?.answer_hello(request.get_ref());
        Ok(Response::new(answer))
    }

    async fn join(
        &self,
        request: Request<wire::JoinRequest>,
    ) -> Result<Response<wire::JoinResponse>, Status> {
        use wire::join_response::Result as Answer;
        let request = request.into_inner();
        let inner = self.running()?;
        let cluster = request.envelope.as_ref().map(|e| e.cluster_name.as_str());
        if cluster != Some(inner.peers.me.cluster_name.as_str()) {
            return Err(Status::failed_precondition("a node of another cluster"));
        }
        let node_id = request.node_id;
        let answer = match Box::pin(inner.join_here(request)).await {
            Asked::Done { .. } => Answer::Joined(wire::Joined {
                voter: inner.has_vote(NodeId(node_id)),
            }),
            Asked::NotLeading => Answer::NotLeader(inner.leader_to_wire()),
            Asked::Refused { reason } => Answer::Refused(reason),
            Asked::Later { reason } => Answer::Later(reason),
        };
        Ok(Response::new(wire::JoinResponse {
            result: Some(answer),
        }))
    }
}

fn propose_result(
    inner: &Inner,
    result: Result<Attempt<(libra_proto::registry::Applied, u64)>, ProposeError>,
) -> wire::propose_response::Result {
    use wire::propose_response::Result as Answer;
    match result {
        Ok(Attempt::Answer((applied, index))) => Answer::Proposed(wire::Proposed {
            applied: applied.encode_to_vec(),
            index,
        }),
        Ok(Attempt::NotLeading(_)) | Err(ProposeError::NotLeader { .. }) => {
            Answer::NotLeader(inner.leader_to_wire())
        }
        Err(ProposeError::Unknown { reason }) => Answer::Unknown(reason),
        Err(ProposeError::Stopped) => Answer::Stopped(wire::Stopped {}),
        Err(ProposeError::TooLarge { bytes, limit }) => Answer::TooLarge(wire::TooLarge {
            bytes: bytes as u64,
            limit: limit as u64,
        }),
        Err(ProposeError::DiskFull {
            path,
            free_bytes,
            needed_bytes,
        }) => Answer::DiskFull(wire::DiskFull {
            path: path.display().to_string(),
            free_bytes,
            needed_bytes,
        }),
    }
}

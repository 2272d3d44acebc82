//! What openraft sends from node to node, given to whoever carries it.
//!
//! **Invariant:** nothing here decides or delays; what is not answered in time is a time-out to
//! openraft, what is not delivered an unreachable peer.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use openraft::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft::network::{Backoff, RPCOption};
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, TransferLeaderRequest,
    TransferLeaderResponse, VoteRequest, VoteResponse,
};
use openraft::{OptionalSend, RaftNetworkFactory, RaftNetworkV2};

use super::{Runtime, SimTypes};
use crate::network::client::BACKOFF;
use crate::store::snapshot_file::SnapshotFile;
use crate::type_config::{Peer, Snapshot, SnapshotMeta, Vote};

/// The shortest time that an answer is waited for; openraft's own is that of a heartbeat.
const PATIENCE: Duration = Duration::from_millis(400);

/// A message of openraft's.
#[derive(Clone)]
pub struct Message(pub(super) Request);

#[derive(Clone)]
pub(super) enum Request {
    Append(AppendEntriesRequest<SimTypes>),
    Vote(VoteRequest<SimTypes>),
    PreVote(VoteRequest<SimTypes>),
    Snapshot {
        vote: Vote,
        meta: SnapshotMeta,
        file: Arc<Vec<u8>>,
    },
    Transfer(TransferLeaderRequest<SimTypes>),
}

/// The answer to a message of openraft's.
pub struct Answer(pub(super) Response);

pub(super) enum Response {
    Append(AppendEntriesResponse<SimTypes>),
    Vote(VoteResponse<SimTypes>),
    Snapshot(SnapshotResponse<SimTypes>),
    Transfer(TransferLeaderResponse<SimTypes>),
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("answer")
    }
}

impl Message {
    /// What kind of message it is.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match &self.0 {
            Request::Append(append) if append.entries.is_empty() => "heartbeat",
            Request::Append(_) => "append",
            Request::Vote(_) => "vote",
            Request::PreVote(_) => "pre-vote",
            Request::Snapshot { .. } => "snapshot",
            Request::Transfer(_) => "transfer",
        }
    }
}

/// The answer, or nothing when it could not be delivered. It may also never come.
pub type Carried = Pin<Box<dyn Future<Output = Option<Answer>> + Send>>;

/// Brings messages from one node to another.
pub trait Carrier: Send + Sync + 'static {
    /// Brings `message` to node `to` and its answer back.
    fn carry(&self, to: u64, message: Message) -> Carried;
}

/// Makes the clients that openraft asks for.
#[derive(Clone)]
pub(super) struct Network(pub(super) Arc<dyn Carrier>);

impl RaftNetworkFactory<SimTypes> for Network {
    type Network = Client;

    async fn new_client(&mut self, target: u64, _node: &Peer) -> Client {
        Client {
            carrier: Arc::clone(&self.0),
            target,
        }
    }
}

/// One peer.
pub(super) struct Client {
    carrier: Arc<dyn Carrier>,
    target: u64,
}

type Failure = RPCError<SimTypes>;

fn unreachable(reason: &str) -> Unreachable<SimTypes> {
    Unreachable::from_string(reason)
}

impl Client {
    async fn ask(&self, request: Request, option: &RPCOption) -> Result<Response, Failure> {
        let carried = self.carrier.carry(self.target, Message(request));
        // A peer that does not answer is one to wait after, as in production.
        match Runtime::within(option.soft_ttl().max(PATIENCE), carried).await {
            Some(Some(answer)) => Ok(answer.0),
            Some(None) => Err(unreachable("not delivered").into()),
            None => Err(unreachable("no answer in time").into()),
        }
    }

    async fn ask_vote(
        &self,
        request: Request,
        option: &RPCOption,
    ) -> Result<VoteResponse<SimTypes>, Failure> {
        match self.ask(request, option).await? {
            Response::Vote(answer) => Ok(answer),
            Response::Append(_) | Response::Snapshot(_) | Response::Transfer(_) => Err(crossed()),
        }
    }
}

fn crossed() -> Failure {
    unreachable("an answer to something else").into()
}

impl RaftNetworkV2<SimTypes> for Client {
    type SnapshotData = SnapshotFile;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<SimTypes>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<SimTypes>, Failure> {
        match self.ask(Request::Append(rpc), &option).await? {
            Response::Append(answer) => Ok(answer),
            Response::Vote(_) | Response::Snapshot(_) | Response::Transfer(_) => Err(crossed()),
        }
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<SimTypes>,
        option: RPCOption,
    ) -> Result<VoteResponse<SimTypes>, Failure> {
        self.ask_vote(Request::Vote(rpc), &option).await
    }

    async fn pre_vote(
        &mut self,
        rpc: VoteRequest<SimTypes>,
        option: RPCOption,
    ) -> Result<VoteResponse<SimTypes>, Failure> {
        self.ask_vote(Request::PreVote(rpc), &option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        _cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<SimTypes>, StreamingError<SimTypes>> {
        let file = std::fs::read(&snapshot.snapshot.path);
        let file = file.map_err(|error| unreachable(&error.to_string()))?;
        let request = Request::Snapshot {
            vote,
            meta: snapshot.meta,
            file: Arc::new(file),
        };
        match self.ask(request, &option).await {
            Ok(Response::Snapshot(answer)) => Ok(answer),
            Ok(Response::Append(_) | Response::Vote(_) | Response::Transfer(_)) => {
                Err(unreachable("an answer to something else").into())
            }
            Err(error) => Err(unreachable(&error.to_string()).into()),
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<SimTypes>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<SimTypes>, Failure> {
        match self.ask(Request::Transfer(request), &option).await? {
            Response::Transfer(answer) => Ok(answer),
            Response::Append(_) | Response::Vote(_) | Response::Snapshot(_) => Err(crossed()),
        }
    }

    fn backoff(&self) -> Option<Backoff> {
        let last = BACKOFF[BACKOFF.len() - 1];
        Some(Backoff::new(
            BACKOFF.into_iter().chain(std::iter::repeat(last)),
        ))
    }
}

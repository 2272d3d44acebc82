//! What other nodes call here.
//!
//! **Invariant:** nothing is done before the call has been checked; a stream is made as fast as it
//! is taken, and ends when the node stops.

use std::error::Error;
use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use libra_proto::peer::peer_server::{Peer, PeerServer};
use libra_proto::peer::store_result_request::Kind;
use libra_proto::peer::{
    CopyResultRequest, CopyResultResponse, FindResultRequest, FindResultResponse, Index,
    LiveUpdate, ReadResultRequest, ReadResultResponse, StoreResultRequest, StoreResultResponse,
    WatchLiveRequest,
};
use libra_proto::trace;
use libra_proto::types::{Epoch, JobId, NodeId};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};
use tracing::Span;

use super::calls::Caller;
use super::channels::{CONNECTION_WINDOW, PING_EVERY, PING_LIMIT, STREAM_WINDOW};
use super::live::updates;
use crate::live::Live;
use crate::results::{CopyPlace, ReadError, ReceiveError, Receiving, ResultStore, Serving};

/// How long opening a file for another node may take.
const OPEN_LIMIT: Duration = Duration::from_secs(60);
/// How long a stream may stay without its first request.
const FIRST_LIMIT: Duration = Duration::from_secs(5);

/// This node, as others call it.
#[derive(Debug, Clone)]
pub struct PeerService {
    caller: Caller,
    results: ResultStore,
    live: Live,
    closing: CancellationToken,
}

/// Sets a server up for what [`super::Peers`] expects: windows per stream, and pings that find out
/// a connection whose other side is gone.
#[must_use]
pub fn listening(server: Server) -> Server {
    server
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keepalive_interval(Some(PING_EVERY))
        .http2_keepalive_timeout(Some(PING_LIMIT))
        .tcp_nodelay(true)
}

impl PeerService {
    /// A service of this node; its endless streams end once `closing` is cancelled.
    #[must_use]
    pub fn new(
        caller: Caller,
        results: ResultStore,
        live: Live,
        closing: CancellationToken,
    ) -> Self {
        Self {
            caller,
            results,
            live,
            closing,
        }
    }

    /// The service for a server of gRPC.
    #[must_use]
    pub fn into_server(self) -> PeerServer<Self> {
        PeerServer::new(self)
    }

    /// The stream, until the node stops.
    fn until_closing<T: 'static>(
        &self,
        stream: impl Stream<Item = Result<T, Status>> + Send + 'static,
    ) -> Response<Answers<T>> {
        let closing = self.closing.clone().cancelled_owned();
        Response::new(Box::pin(stream.take_until(closing)))
    }
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Peer for PeerService {
    type ReadResultStream = Answers<ReadResultResponse>;
    type WatchLiveStream = Answers<LiveUpdate>;
    type StoreResultStream = Answers<StoreResultResponse>;

    async fn read_result(
        &self,
        request: Request<ReadResultRequest>,
    ) -> Result<Response<Self::ReadResultStream>, Status> {
        let request = request.into_inner();
        self.caller.check(request.call.as_ref())?;
        let file = request.file.ok_or_else(|| missing("file"))?;
        let opening = self.results.serve(file, &request);
        let serving = tokio::time::timeout(OPEN_LIMIT, opening).await;
        let serving = serving.map_err(|_| Status::deadline_exceeded("opening the file"))?;
        let serving = serving.map_err(unreadable)?;
        let index = request.with_index.then(|| {
            let (rows, places) = serving.index().marks();
            let index = Some(Index { rows, places });
            let data = bytes::Bytes::new();
            Ok(ReadResultResponse { index, data })
        });
        let parts = stream::iter(index).chain(parts(serving));
        Ok(Response::new(Box::pin(parts)))
    }

    async fn watch_live(
        &self,
        request: Request<WatchLiveRequest>,
    ) -> Result<Response<Self::WatchLiveStream>, Status> {
        self.caller.check(request.get_ref().call.as_ref())?;
        Ok(self.until_closing(updates(self.live.clone())))
    }

    async fn store_result(
        &self,
        request: Request<Streaming<StoreResultRequest>>,
    ) -> Result<Response<Self::StoreResultStream>, Status> {
        let mut requests = request.into_inner();
        let opened = tokio::time::timeout(FIRST_LIMIT, requests.message()).await;
        let first = opened.map_err(|_| Status::deadline_exceeded("the first request"))??;
        let Some(Kind::Open(open)) = first.and_then(|first| first.kind) else {
            return Err(missing("open"));
        };
        self.caller.check(open.call.as_ref())?;
        let (job, epoch) = (JobId(open.job), Epoch(open.epoch));
        let receiving = self.results.receive(job, epoch).await;
        let (receiving, place) = receiving.map_err(not_taken)?;
        // The copy's span lasts as long as its stream.
        let span = trace::child(|| copy_span(job, epoch));
        let answers = answers(receiving, place, requests);
        let answers = answers.inspect(move |_| {
            let _held = &span;
        });
        Ok(self.until_closing(answers))
    }

    async fn find_result(
        &self,
        request: Request<FindResultRequest>,
    ) -> Result<Response<FindResultResponse>, Status> {
        let request = request.into_inner();
        self.caller.check(request.call.as_ref())?;
        let finding = self.results.find(JobId(request.job), Epoch(request.epoch));
        let file = finding.await.map_err(not_taken)?;
        Ok(Response::new(FindResultResponse { file }))
    }

    async fn copy_result(
        &self,
        request: Request<CopyResultRequest>,
    ) -> Result<Response<CopyResultResponse>, Status> {
        let request = request.into_inner();
        self.caller.check(request.call.as_ref())?;
        let file = request.file.ok_or_else(|| missing("file"))?;
        let copying = self.results.copy_sealed(file, NodeId(request.holder));
        let holder = copying.await.map_err(|error| {
            let cause = error.source().map(|source| format!(": {source}"));
            Status::unavailable(format!("{error}{}", cause.unwrap_or_default()))
        })?;
        let store_uuid = holder.store_uuid;
        Ok(Response::new(CopyResultResponse { store_uuid }))
    }
}

/// A copy coming in, until it is whole or its owner is gone.
fn copy_span(job: JobId, epoch: Epoch) -> Span {
    tracing::debug_span!(target: trace::TARGET, "result.copy", job_id = %job, epoch = epoch.0)
}

fn missing(what: &str) -> Status {
    Status::invalid_argument(format!("the call has no `{what}`"))
}

/// The bytes of a file, read as they are sent.
fn parts(
    serving: Serving,
) -> impl Stream<Item = Result<ReadResultResponse, Status>> + Send + 'static {
    stream::try_unfold(serving, |mut serving| async {
        let next = serving.next().await.map_err(unreadable)?;
        let part = next.map(|data| ReadResultResponse { index: None, data });
        Ok(part.map(|part| (part, serving)))
    })
}

/// Takes a copy in, and says how far it is durable, until its owner is gone.
fn answers(
    receiving: Receiving,
    place: CopyPlace,
    requests: Streaming<StoreResultRequest>,
) -> impl Stream<Item = Result<StoreResultResponse, Status>> + Send + 'static {
    let first = stream::iter([Ok(answer(place))]);
    let rest = stream::try_unfold(
        (receiving, requests),
        |(mut receiving, mut requests)| async {
            while let Some(request) = requests.message().await? {
                let Some(Kind::Append(append)) = request.kind else {
                    return Err(missing("append"));
                };
                let taken = receiving.append(append).await.map_err(not_taken)?;
                if let Some(place) = taken {
                    return Ok(Some((answer(place), (receiving, requests))));
                }
            }
            Ok(None)
        },
    );
    first.chain(rest)
}

fn answer(place: CopyPlace) -> StoreResultResponse {
    StoreResultResponse {
        length: place.length,
        hash: place.hash,
    }
}

fn not_taken(error: ReceiveError) -> Status {
    let cause = error.source().map(|source| format!(": {source}"));
    let told = format!("{error}{}", cause.unwrap_or_default());
    match error {
        ReceiveError::Superseded { .. } => Status::aborted(told),
        ReceiveError::Fault { .. } => Status::failed_precondition(told),
        ReceiveError::Busy { .. } | ReceiveError::BrokenOff { .. } => Status::unavailable(told),
    }
}

fn unreadable(error: ReadError) -> Status {
    let told = error.to_string();
    match error {
        ReadError::NotHere { .. } => Status::not_found(told),
        ReadError::Damaged { .. } => Status::data_loss(told),
        ReadError::Io { .. } | ReadError::Unsupported { .. } => Status::unavailable(told),
    }
}

//! What other nodes call here.
//!
//! **Invariant:** nothing is done before the call has been checked; a stream is made as fast as it
//! is taken, and ends when the node stops.

use std::pin::Pin;
use std::time::Duration;

use futures::{Stream, StreamExt, stream};
use libra_proto::peer::peer_server::{Peer, PeerServer};
use libra_proto::peer::{
    CopyResultRequest, CopyResultResponse, FindResultRequest, FindResultResponse, Index,
    LiveUpdate, ReadResultRequest, ReadResultResponse, StoreResultRequest, StoreResultResponse,
    WatchLiveRequest,
};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};

use super::calls::Caller;
use super::channels::{CONNECTION_WINDOW, PING_EVERY, PING_LIMIT, STREAM_WINDOW};
use super::live::updates;
use crate::live::Live;
use crate::results::{ReadError, ResultStore, Serving};

/// How long opening a file for another node may take.
const OPEN_LIMIT: Duration = Duration::from_secs(60);

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
        _request: Request<Streaming<StoreResultRequest>>,
    ) -> Result<Response<Self::StoreResultStream>, Status> {
        Err(Status::unimplemented("copies of results"))
    }

    async fn find_result(
        &self,
        _request: Request<FindResultRequest>,
    ) -> Result<Response<FindResultResponse>, Status> {
        Err(Status::unimplemented("copies of results"))
    }

    async fn copy_result(
        &self,
        _request: Request<CopyResultRequest>,
    ) -> Result<Response<CopyResultResponse>, Status> {
        Err(Status::unimplemented("copies of results"))
    }
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

fn unreadable(error: ReadError) -> Status {
    let told = error.to_string();
    match error {
        ReadError::NotHere { .. } => Status::not_found(told),
        ReadError::Damaged { .. } => Status::data_loss(told),
        ReadError::Io { .. } | ReadError::Unsupported { .. } => Status::unavailable(told),
    }
}

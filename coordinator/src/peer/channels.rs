//! The calls to other nodes.
//!
//! **Invariant:** one channel per node and kind of traffic, kept and made anew only when the node
//! has another address: rows never stand in the way of a short call. No wait without a limit.

use std::collections::HashMap;
use std::fmt::{self, Debug, Formatter};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libra_proto::peer::peer_client::PeerClient;
use libra_proto::peer::{
    CopyResultRequest, FileId, FindResultRequest, LiveUpdate, ReadResultRequest,
    ReadResultResponse, StoreResultRequest, StoreResultResponse, WatchLiveRequest,
};
use libra_proto::types::{Epoch, JobId, NodeId};
use tonic::transport::{Channel, Endpoint};
use tonic::{Response, Status, Streaming};

use super::calls::Caller;
use super::{PeerDirectory, PeerError, PeerNode};

/// Of one stream, what may be under way without having been taken: a slow reader holds back the
/// other side, and what is held for it here stays below 2 MiB with the message in hand.
pub(super) const STREAM_WINDOW: u32 = 512 << 10;
/// Streams share a connection without holding each other back: each has its own window.
pub(super) const CONNECTION_WINDOW: u32 = (1 << 31) - 1;
/// How often a connection is tried out, and how long the other side has to answer.
pub(super) const PING_EVERY: Duration = Duration::from_secs(2);
pub(super) const PING_LIMIT: Duration = Duration::from_secs(2);

/// How others are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerOptions {
    /// How calls are signed.
    pub caller: Caller,
    /// For a connection.
    pub connect_limit: Duration,
    /// For a short call, and for the next part of a stream whose other side has all it needs.
    pub answer_limit: Duration,
    /// For a sign of life of a node that is to hold a copy of a result being written.
    pub copy_patience: Duration,
}

impl PeerOptions {
    /// The usual limits.
    #[must_use]
    pub fn new(caller: Caller) -> Self {
        Self {
            caller,
            connect_limit: Duration::from_secs(1),
            answer_limit: Duration::from_secs(3),
            copy_patience: Duration::from_secs(1),
        }
    }
}

/// The other nodes. Cheap to clone.
#[derive(Clone)]
pub struct Peers {
    inner: Arc<Inner>,
}

struct Inner {
    options: PeerOptions,
    directory: Box<dyn PeerDirectory>,
    kept: Mutex<HashMap<NodeId, Kept>>,
}

/// The channels to one node.
#[derive(Clone)]
struct Kept {
    address: String,
    calls: Channel,
    rows: Channel,
}

impl Debug for Peers {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let options = &self.inner.options;
        f.debug_struct("Peers")
            .field("options", options)
            .finish_non_exhaustive()
    }
}

impl Peers {
    /// The nodes of a directory; nothing is connected before it is needed.
    #[must_use]
    pub fn new(options: PeerOptions, directory: impl PeerDirectory) -> Self {
        Self {
            inner: Arc::new(Inner {
                options,
                directory: Box::new(directory),
                kept: Mutex::default(),
            }),
        }
    }

    /// This node.
    #[must_use]
    pub fn this_node(&self) -> NodeId {
        self.inner.options.caller.node_id
    }

    /// All other nodes that are not known to be down.
    #[must_use]
    pub fn others(&self) -> Vec<PeerNode> {
        let mut nodes = self.inner.directory.nodes();
        nodes.retain(|node| node.node_id != self.this_node());
        nodes
    }

    /// Another node; `None` for one that is not known.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<PeerNode> {
        self.inner.directory.node(id)
    }

    /// How long a short call may take.
    #[must_use]
    pub fn answer_limit(&self) -> Duration {
        self.inner.options.answer_limit
    }

    /// How long a node that is to hold a copy may leave its owner without a sign of life.
    #[must_use]
    pub fn copy_patience(&self) -> Duration {
        self.inner.options.copy_patience
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.inner.options.caller
    }

    fn kept(&self, node: NodeId) -> Result<Kept, PeerError> {
        let known = self.inner.directory.node(node);
        let address = known.ok_or(PeerError::Unknown { node })?.address;
        let mut kept = self
            .inner
            .kept
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept.get(&node)
            && found.address == address
        {
            return Ok(found.clone());
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}"));
        let endpoint = endpoint.map_err(|_| PeerError::Address {
            node,
            address: address.clone(),
        })?;
        let endpoint = endpoint
            .connect_timeout(self.inner.options.connect_limit)
            .tcp_keepalive(Some(PING_EVERY))
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_LIMIT)
            .keep_alive_while_idle(true)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW);
        let made = Kept {
            address,
            calls: endpoint.connect_lazy(),
            rows: endpoint.connect_lazy(),
        };
        kept.insert(node, made.clone());
        Ok(made)
    }

    /// The channel for short calls.
    pub(crate) fn calls_channel(&self, node: NodeId) -> Result<Channel, PeerError> {
        Ok(self.kept(node)?.calls)
    }

    fn calls(&self, node: NodeId) -> Result<PeerClient<Channel>, PeerError> {
        Ok(PeerClient::new(self.kept(node)?.calls))
    }

    fn rows(&self, node: NodeId) -> Result<PeerClient<Channel>, PeerError> {
        Ok(PeerClient::new(self.kept(node)?.rows))
    }

    /// Begins to read a stored result on `node`, within `limit`.
    ///
    /// # Errors
    /// When the node does not answer, or has not that very file.
    pub(crate) async fn read_result(
        &self,
        node: NodeId,
        limit: Duration,
        mut request: ReadResultRequest,
    ) -> Result<Streaming<ReadResultResponse>, PeerError> {
        request.call = self.caller().call(node);
        let mut client = self.rows(node)?;
        within(node, limit, client.read_result(request)).await
    }

    /// Begins to watch the live signs of `node`.
    ///
    /// # Errors
    /// When the node does not answer.
    pub(crate) async fn watch_live(
        &self,
        node: NodeId,
    ) -> Result<Streaming<LiveUpdate>, PeerError> {
        let call = self.caller().call(node);
        let mut client = self.calls(node)?;
        let watching = client.watch_live(WatchLiveRequest { call });
        within(node, self.answer_limit(), watching).await
    }

    /// Begins to write a copy of a result to `node`.
    ///
    /// # Errors
    /// When the node does not answer, or refuses the copy.
    pub async fn store_result(
        &self,
        node: NodeId,
        limit: Duration,
        requests: impl futures::Stream<Item = StoreResultRequest> + Send + 'static,
    ) -> Result<Streaming<StoreResultResponse>, PeerError> {
        let mut client = self.rows(node)?;
        within(node, limit, client.store_result(requests)).await
    }

    /// Asks `node` how far it has a result, and has it refuse older writers from now on.
    ///
    /// # Errors
    /// When the node does not answer.
    pub async fn find_result(
        &self,
        node: NodeId,
        limit: Duration,
        job: JobId,
        epoch: Epoch,
    ) -> Result<Option<FileId>, PeerError> {
        let request = FindResultRequest {
            call: self.caller().call(node),
            job: job.0,
            epoch: epoch.0,
        };
        let mut client = self.calls(node)?;
        let found = within(node, limit, client.find_result(request)).await?;
        Ok(found.file)
    }

    /// Has `node` fetch a sealed result from `holder`, and says which store has it now.
    ///
    /// # Errors
    /// When the node does not answer, or could not get it.
    pub async fn copy_result(
        &self,
        node: NodeId,
        limit: Duration,
        file: FileId,
        holder: NodeId,
    ) -> Result<String, PeerError> {
        let request = CopyResultRequest {
            call: self.caller().call(node),
            file: Some(file),
            holder: holder.0,
        };
        let mut client = self.calls(node)?;
        let copied = within(node, limit, client.copy_result(request)).await?;
        Ok(copied.store_uuid)
    }
}

async fn within<T>(
    node: NodeId,
    limit: Duration,
    call: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, PeerError> {
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(PeerError::failed(node, status)),
        Err(_) => Err(PeerError::TimedOut { node, limit }),
    }
}

/// The next message of a stream; `None` at its end.
pub(crate) async fn next_within<T>(
    node: NodeId,
    limit: Duration,
    stream: &mut Streaming<T>,
) -> Result<Option<T>, PeerError> {
    match tokio::time::timeout(limit, stream.message()).await {
        Ok(Ok(message)) => Ok(message),
        Ok(Err(status)) => Err(PeerError::failed(node, status)),
        Err(_) => Err(PeerError::TimedOut { node, limit }),
    }
}

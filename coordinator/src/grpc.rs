//! The gRPC listener: Raft, peers, administration, on one port.
//!
//! **Invariant:** it is served before this node is in a group, because forming one needs it; what
//! each service takes and refuses is the service's own affair.

use std::io;
use std::time::Duration;

use futures::Stream;
use libra_raft::RaftService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::Connected;

use crate::admin::AdminService;
use crate::peer::{LeaseService, PeerService, listening};
use crate::telemetry::traces::TracedCalls;

/// How long calls of other nodes may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// What is served.
pub(crate) struct Services {
    pub(crate) raft: RaftService,
    pub(crate) peer: PeerService,
    pub(crate) leases: LeaseService,
    pub(crate) admin: AdminService,
}

/// Connections to the gRPC port, of whatever network.
pub trait Incoming: Stream<Item = io::Result<Self::Connection>> + Send + 'static {
    /// One of them.
    type Connection: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static;
}

impl<S, C> Incoming for S
where
    S: Stream<Item = io::Result<C>> + Send + 'static,
    C: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
{
    type Connection = C;
}

/// Serves until `closing` is cancelled; then calls under way end before it does.
pub(crate) fn start(
    incoming: impl Incoming,
    services: Services,
    closing: CancellationToken,
) -> JoinHandle<Result<(), tonic::transport::Error>> {
    let router = listening(Server::builder())
        .layer(TracedCalls)
        .add_service(services.raft)
        .add_service(services.peer.into_server())
        .add_service(services.leases.into_server())
        .add_service(services.admin.into_server());
    tokio::spawn(async move {
        router
            .serve_with_incoming_shutdown(incoming, closing.cancelled_owned())
            .await
    })
}

/// Waits until calls under way have ended, within a limit.
pub(crate) async fn end(mut server: JoinHandle<Result<(), tonic::transport::Error>>) {
    if timeout(GRACE, &mut server).await.is_err() {
        server.abort();
    }
}

//! The gRPC listener: Raft, peers, administration, on one port.
//!
//! **Invariant:** it is served before this node is in a group, because forming one needs it; what
//! each service takes and refuses is the service's own affair.

use std::time::Duration;

use libra_raft::RaftService;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;

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

/// Serves until `closing` is cancelled; then calls under way end before it does.
pub(crate) fn start(
    listener: TcpListener,
    services: Services,
    closing: CancellationToken,
) -> JoinHandle<Result<(), tonic::transport::Error>> {
    let router = listening(Server::builder())
        .layer(TracedCalls)
        .add_service(services.raft)
        .add_service(services.peer.into_server())
        .add_service(services.leases.into_server())
        .add_service(services.admin.into_server());
    // The server sets it only on sockets that it has bound itself.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
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

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
use tonic_reflection::server::{v1, v1alpha};

use crate::admin::{AdminService, say_not_ready, serve_health};
use crate::peer::{LeaseService, PeerService, listening};
use crate::service::Service;

/// How long calls of other nodes may take to end.
const GRACE: Duration = Duration::from_secs(2);

/// What is served.
pub(crate) struct Services {
    pub(crate) raft: RaftService,
    pub(crate) peer: PeerService,
    pub(crate) leases: LeaseService,
    pub(crate) admin: AdminService,
    /// Whose readiness is told.
    pub(crate) service: Service,
}

/// Serves until `closing` is cancelled; then calls under way end before it does.
pub(crate) fn start(
    listener: TcpListener,
    services: Services,
    closing: CancellationToken,
) -> JoinHandle<Result<(), tonic::transport::Error>> {
    let (health, health_server) = tonic_health::server::health_reporter();
    let router = listening(Server::builder())
        .add_service(services.raft)
        .add_service(services.peer.into_server())
        .add_service(services.leases.into_server())
        .add_service(services.admin.into_server())
        .add_service(health_server);
    let router = match reflection() {
        Ok((v1, v1alpha)) => router.add_service(v1).add_service(v1alpha),
        Err(error) => {
            tracing::error!(%error, "no server reflection");
            router
        }
    };
    // The server sets it only on sockets that it has bound itself.
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    tokio::spawn(async move {
        say_not_ready(&health).await;
        let told = serve_health(health, services.service);
        let served = router.serve_with_incoming_shutdown(incoming, closing.cancelled_owned());
        tokio::select! {
            served = served => served,
            () = told => Ok(()),
        }
    })
}

/// What the listener says of itself to those who ask: the operator's service and its health, in both
/// versions of the protocol.
fn reflection() -> Result<
    (
        v1::ServerReflectionServer<impl v1::ServerReflection>,
        v1alpha::ServerReflectionServer<impl v1alpha::ServerReflection>,
    ),
    tonic_reflection::server::Error,
> {
    let builder = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(libra_proto::admin::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    Ok((builder().build_v1()?, builder().build_v1alpha()?))
}

/// Waits until calls under way have ended, within a limit.
pub(crate) async fn end(mut server: JoinHandle<Result<(), tonic::transport::Error>>) {
    if timeout(GRACE, &mut server).await.is_err() {
        server.abort();
    }
}

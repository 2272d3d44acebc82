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
use tonic_reflection::server::{v1, v1alpha};

use crate::admin::{AdminService, say_not_ready, serve_health};
use crate::peer::{LeaseService, PeerService, listening};
use crate::service::Service;
use crate::telemetry::traces::TracedCalls;

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
    let (health, health_server) = tonic_health::server::health_reporter();
    let router = listening(Server::builder())
        .layer(TracedCalls)
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

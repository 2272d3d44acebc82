//! What a coordinator stands on: its sockets, its ways to others, and what its log lies on.
//!
//! **Invariant:** both sockets are bound before anything else starts, so that an address that is
//! taken is told at once; what others are told is an address that somebody can connect to, or what
//! was configured as one. Nothing but this decides that the network is TCP.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use libra_actors::Dial;
use libra_raft::store::backing::Backing;
use libra_raft::{Connector, Node, Options, StartError, TcpConnector};
use tokio::net::{TcpListener, TcpStream};
use tonic::transport::server::TcpIncoming;

use super::RunError;
use crate::config::{Address, Config};
use crate::results::Threads;

/// What a coordinator stands on; all but the network of [`Ground::bind`] is for simulations.
pub struct Ground<I> {
    /// Where REST is served; `None` = it is not.
    pub http: Option<TcpListener>,
    /// Connections to the gRPC port.
    pub grpc: I,
    /// Where others reach REST.
    pub public_http: String,
    /// Where others reach gRPC.
    pub public_grpc: String,
    /// The way to other nodes' registries; `None` = TCP.
    pub connector: Option<Arc<dyn Connector>>,
    /// The way to all else that speaks gRPC.
    pub dial: Dial,
    /// The way to find out whether somebody listens at a host and port.
    pub knock: Knock,
    /// Under simulated time, what the registry's log lies on; `None` = sled, in the data directory.
    pub disk: Option<SimulatedDisk>,
}

/// A disk under simulated time: nothing waits for it on a thread, and only the registry's log is
/// really simulated; results, snapshots and the marker lie in the data directory.
#[derive(Debug, Clone)]
pub struct SimulatedDisk {
    /// The registry's log.
    pub log: Arc<dyn Backing>,
    /// How long making it durable takes.
    pub sync_takes: Duration,
}

/// Whether a connection to a host and port can be opened.
pub type Knock = fn(String, u16) -> BoxFuture<'static, bool>;

impl Ground<TcpIncoming> {
    /// Binds the sockets of the configuration.
    pub(super) async fn bind(config: &Config) -> Result<Self, RunError> {
        let node = &config.node;
        let http = listen("libra.node.http", &node.http).await?;
        let grpc = listen("libra.node.grpc", &node.grpc).await?;
        Ok(Self {
            public_http: public(&http, &node.http, node.advertise_http.as_ref()),
            public_grpc: public(&grpc, &node.grpc, node.advertise_grpc.as_ref()),
            http: Some(http),
            // The server sets it only on sockets that it has bound itself.
            grpc: TcpIncoming::from(grpc).with_nodelay(Some(true)),
            connector: None,
            dial: Dial::TCP,
            knock: knock_over_tcp,
            disk: None,
        })
    }
}

impl<I> Ground<I> {
    /// Starts the registry's node on it.
    pub(super) async fn start_raft(&self, mut options: Options) -> Result<Node, StartError> {
        let tcp = || Arc::new(TcpConnector::new(options.election_max)) as Arc<dyn Connector>;
        let connector = self.connector.clone().unwrap_or_else(tcp);
        match &self.disk {
            None => Node::start_with(options, connector).await,
            Some(disk) => {
                options.simulated_disk = Some(disk.sync_takes);
                Node::start_on_with(options, Arc::clone(&disk.log), connector).await
            }
        }
    }

    pub(super) fn threads(&self) -> Threads {
        match self.disk {
            None => Threads::Own,
            Some(_) => Threads::Callers,
        }
    }
}

fn knock_over_tcp(host: String, port: u16) -> BoxFuture<'static, bool> {
    async move { TcpStream::connect((host, port)).await.is_ok() }.boxed()
}

async fn listen(key: &'static str, address: &Address) -> Result<TcpListener, RunError> {
    let bound = TcpListener::bind((address.host(), address.port())).await;
    bound.map_err(|source| RunError::Listen {
        key,
        address: address.to_string(),
        source,
    })
}

/// What is advertised, else what is bound: with port 0 only the listener knows it.
fn public(bound: &TcpListener, configured: &Address, advertised: Option<&Address>) -> String {
    match (advertised, bound.local_addr()) {
        (Some(advertised), _) => advertised.to_string(),
        (None, Ok(bound)) => bound.to_string(),
        (None, Err(_)) => configured.to_string(),
    }
}

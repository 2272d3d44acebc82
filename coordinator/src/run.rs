//! A coordinator from start to stop: the one place that puts the parts together.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use libra_actors::session::{self, DefaultConf};
use libra_actors::spark::{ClientError, ClientOptions, Endpoint, EndpointError};
use libra_actors::supervisor::{Node as Actors, NodeOptions, Policy};
use libra_proto::registry::Mode;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::adapters::RaftRegistry;
use crate::bootstrap::{self, BootstrapError, Identity};
use crate::config::Config;
use crate::http::{self, HttpOptions, Metrics};
use crate::live::Live;
use crate::pool_metrics::PoolMetrics;
use crate::results::{Limits, ResultStore, StoreOptions};
use crate::service::{Service, ServiceOptions};
use crate::upkeep::{self, Probes, SessionLog};

/// How long the registry may take to find a leader and catch up before the start is called off.
const CATCH_UP_LIMIT: Duration = Duration::from_secs(60);
/// How long actors may take to stop.
const ACTORS_LIMIT: Duration = Duration::from_secs(5);

/// A coordinator that did not start, or could not go on.
#[derive(Debug, Error)]
pub enum RunError {
    /// The REST address cannot be bound.
    #[error("libra.node.http: cannot listen at {address}")]
    Listen {
        /// The address.
        address: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// An endpoint of `spark.remote` cannot be used.
    #[error("spark.remote")]
    Endpoint(#[from] EndpointError),
    /// A client of an endpoint cannot be made.
    #[error("spark.remote")]
    Client(#[from] ClientError),
    /// There is none.
    #[error("spark.remote: no endpoint; at least one is needed")]
    NoEndpoint,
    /// The registry did not start.
    #[error("the registry did not start")]
    Registry(#[from] libra_raft::StartError),
    /// The registry found no leader, or did not catch up.
    #[error("the registry did not become ready within {CATCH_UP_LIMIT:?}")]
    NotReady,
    /// The folder of the results cannot be made.
    #[error("the result store did not open")]
    Results(#[source] std::io::Error),
    /// The registry did not go along with the start.
    #[error("starting")]
    Bootstrap(#[from] BootstrapError),
    /// The actors did not start.
    #[error("the actors did not start")]
    Actors(#[from] libra_actors::supervisor::StartError),
    /// The node's own actors crash again and again.
    #[error("the node's actors crash again and again; see the log")]
    ActorsGaveUp,
}

/// Runs a coordinator until `shutdown` completes, then stops it in order: no new requests, those
/// under way end, actors stop (statements go on in Spark), the registry is flushed.
///
/// # Errors
/// When it cannot start, or cannot go on.
///
/// # Cancel safety
/// Dropping it is like a kill: nothing acknowledged is lost.
pub async fn run(
    config: Config,
    warnings: Vec<String>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    libra_actors::failpoint::configure();
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let endpoints = endpoints(&config)?;
    let listener = listen(&config).await?;
    let raft = libra_raft::Node::start(raft_options(&config)).await?;
    let served = serve(&config, endpoints, listener, &raft, shutdown).await;
    if let Err(error) = raft.shutdown().await {
        tracing::error!(%error, "the registry was not flushed on the way out");
    }
    tracing::info!("stopped");
    served
}

async fn serve(
    config: &Config,
    endpoints: Vec<Endpoint>,
    listener: TcpListener,
    raft: &libra_raft::Node,
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let node = config.node.id;
    let live = Live::default();
    let store_uuid = raft.handle().status().store_uuid.to_string();
    let results = ResultStore::open(results_options(config, store_uuid.clone()))
        .await
        .map_err(RunError::Results)?;
    let probes = Probes::start(config, &endpoints);
    let service = Service::start(
        raft.handle(),
        results.clone(),
        live.clone(),
        probes.shown.clone(),
        service_options(config, &endpoints, &probes),
    );
    let identity = identity(config, &listener, store_uuid);
    let metrics = prometheus::Registry::new();
    let pool_metrics = PoolMetrics::new(&metrics, raft.handle());
    let (stop_http, http_server) = start_http(config, listener, service.clone(), metrics);

    let registry = RaftRegistry::new(raft.handle(), node);
    tokio::time::timeout(CATCH_UP_LIMIT, caught_up(&raft.handle()))
        .await
        .map_err(|_| RunError::NotReady)?;
    let http_address = identity.http.clone();
    let session_log = SessionLog::new(raft.handle(), node);
    bootstrap::register(&registry, config, identity).await?;
    if config.session.mode == Mode::Shared {
        if endpoints.len() > 1 {
            probes.first_look().await;
        }
        let endpoint = service.next_endpoint().map_err(|_| RunError::NoEndpoint)?;
        bootstrap::ensure_shared_session(&registry, &endpoint).await?;
    }
    let mut upkeep = upkeep::start(config, service.clone(), registry.clone(), results.clone());
    upkeep.also(session_log.run());
    match pool_metrics {
        Ok(metrics) => upkeep.also(metrics.follow(raft.handle(), node)),
        Err(error) => tracing::error!(%error, "metrics of pools could not be registered"),
    }
    let mut actors = Actors::start(NodeOptions {
        registry: Arc::new(registry),
        results: Arc::new(results),
        live: Arc::new(live),
        endpoints,
        client: ClientOptions::default(),
        conf: DefaultConf::new(config.spark.conf.clone()),
        session: session::Options::default(),
        restart: Policy::default(),
        lease: None,
    })
    .await?;
    tracing::info!(node_id = node.0, http = http_address, "ready");

    let outcome = tokio::select! {
        () = shutdown => Ok(()),
        _ = actors.ended() => Err(RunError::ActorsGaveUp),
    };
    tracing::info!("stopping");
    service.drain();
    stop_http.send_replace(true);
    // The server ends by its own grace; a panic in it has been logged where it happened.
    let _ = http_server.await;
    drop(upkeep);
    if outcome.is_ok() {
        actors.stop(ACTORS_LIMIT).await;
    }
    outcome
}

fn start_http(
    config: &Config,
    listener: TcpListener,
    service: Service,
    metrics: prometheus::Registry,
) -> (watch::Sender<bool>, JoinHandle<std::io::Result<()>>) {
    let options = http_options(config);
    let router = http::router_with(service, options.clone(), Metrics::new(metrics));
    let (stop, mut stopping) = watch::channel(false);
    let server = tokio::spawn(async move {
        let stopped = async {
            // An error means that the sender is gone, and the server stops all the same.
            let _ = stopping.wait_for(|stop| *stop).await;
        };
        http::serve(listener, router, &options, stopped).await
    });
    (stop, server)
}

/// Waits until this node has applied all that was ever acknowledged: actors that looked earlier
/// could take an old `running` statement for a new one.
async fn caught_up(handle: &libra_raft::Handle) {
    while handle.read_index().await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn listen(config: &Config) -> Result<TcpListener, RunError> {
    let address = config.node.http.to_string();
    TcpListener::bind(&address)
        .await
        .map_err(|source| RunError::Listen { address, source })
}

fn endpoints(config: &Config) -> Result<Vec<Endpoint>, RunError> {
    let parsed = config
        .spark
        .remote
        .iter()
        .map(|remote| Endpoint::parse(remote.reveal()));
    Ok(parsed.collect::<Result<_, _>>()?)
}

fn identity(config: &Config, listener: &TcpListener, store_uuid: String) -> Identity {
    let bound = listener.local_addr().map(|address| address.to_string());
    let http = match (&config.node.advertise_http, bound) {
        (Some(advertised), _) => advertised.to_string(),
        (None, Ok(bound)) => bound,
        (None, Err(_)) => config.node.http.to_string(),
    };
    Identity {
        http,
        grpc: config.node.public_grpc().to_string(),
        store_uuid,
    }
}

fn raft_options(config: &Config) -> libra_raft::Options {
    let mut options = libra_raft::Options::new(
        config.cluster.name.clone(),
        config.node.id,
        config.node.data_dir.join("raft"),
    );
    options.advertise = config.node.public_grpc().to_string();
    options.heartbeat = config.cluster.heartbeat;
    options.election_min = config.cluster.election_min;
    options.election_max = config.cluster.election_max;
    options
}

fn results_options(config: &Config, store_uuid: String) -> StoreOptions {
    StoreOptions {
        dir: config.node.data_dir.join("results"),
        node_id: config.node.id,
        store_uuid,
        limits: Limits {
            max_rows: config.results.max_rows,
            max_bytes: config.results.max_bytes,
        },
    }
}

fn service_options(config: &Config, endpoints: &[Endpoint], probes: &Probes) -> ServiceOptions {
    let names = endpoints
        .iter()
        .map(|endpoint| endpoint.name().to_owned())
        .collect();
    let mut options = ServiceOptions::new(config.node.id, config.cluster.name.clone(), names);
    options.reachability = probes.reachability.clone();
    options.code_bytes = config.limits.code_bytes;
    // A long poll is a request in work, an event stream is an open stream: these are the limits.
    let (requests, streams) = (
        config.limits.concurrent_requests,
        config.limits.open_streams,
    );
    options.max_waiters = requests.saturating_add(streams);
    options.session_timeout = config.session.idle_timeout.unwrap_or_default();
    options
}

fn http_options(config: &Config) -> HttpOptions {
    HttpOptions {
        body_bytes: config.limits.body_bytes,
        header_bytes: config.limits.header_bytes,
        max_requests: config.limits.concurrent_requests,
        max_streams: config.limits.open_streams,
        request_deadline: config.limits.request_timeout,
        stalled_reader: config.limits.stalled_reader,
        cors_origins: config.http.cors_origins.clone(),
        ..HttpOptions::default()
    }
}

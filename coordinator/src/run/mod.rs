//! A coordinator from start to stop: the one place that puts the parts together.
//!
//! - [`Ground`]: its sockets and its ways to others. `options`: what each part is set to.
//! - `start`: from an open registry to a node that may serve. `leave`: the way back.

mod ground;
mod leave;
mod options;
mod start;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use libra_actors::session::{self, DefaultConf};
use libra_actors::spark::{CallObserver, ClientError, ClientOptions, Endpoint, EndpointError};
use libra_actors::supervisor::{Node as Actors, NodeOptions, Policy};
use libra_raft::FormError;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::adapters::{RaftRegistry, RegisteredNodes, Renewing};
use crate::admin::{self, AdminService};
use crate::bootstrap::{BootstrapError, Identity};
use crate::config::Config;
pub use crate::grpc::Incoming;
use crate::grpc::{self, Services};
use crate::http::{self, Metrics};
use crate::live::Live;
use crate::node_metrics::{self, LeaseSlot, SparkMetrics};
use crate::peer::{self, Caller, LeaseService, LeaseTerms, PeerOptions, PeerService, Peers};
use crate::pool_metrics::PoolMetrics;
use crate::results::ResultStore;
use crate::service::Service;
use crate::telemetry::TraceError;
use crate::upkeep::{self, ClusterLog, Probes, SessionLog};
pub use ground::{Ground, Knock, SimulatedDisk};
use start::Start;

/// How long actors may take to stop.
const ACTORS_LIMIT: Duration = Duration::from_secs(5);

/// A coordinator that did not start, or could not go on.
#[derive(Debug, Error)]
pub enum RunError {
    /// An address cannot be bound.
    #[error("{key}: cannot listen at {address}")]
    Listen {
        /// The key that names it.
        key: &'static str,
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
    /// The collector of traces cannot be used.
    #[error("traces")]
    Traces(#[from] TraceError),
    /// Two metrics have one name.
    #[error("metrics")]
    Metrics(#[from] prometheus::Error),
    /// The registry did not start.
    #[error("the registry did not start")]
    Registry(#[from] libra_raft::StartError),
    /// A node alone did not become ready.
    #[error("still waiting after {limit:?} for {what}: {reason}")]
    NotReady {
        /// The limit.
        limit: Duration,
        /// What it waited for.
        what: &'static str,
        /// What stood in the way last.
        reason: String,
    },
    /// The cluster does not take this node, or has removed it.
    #[error("joining the cluster")]
    Form(#[from] FormError),
    /// The folder of the results cannot be made.
    #[error("the result store did not open")]
    Results(#[source] std::io::Error),
    /// The file that is written before each renewal of this node's lease cannot be opened.
    #[error("the lease's file did not open")]
    Lease(#[source] std::io::Error),
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
    let ground = Ground::bind(&config).await?;
    Box::pin(run_on(config, ground, |_, _| {}, shutdown)).await
}

/// As [`run`], on any ground; `started` gets the way to the registry and the service of the node
/// while it starts, long before it is ready.
///
/// # Errors
/// As [`run`].
///
/// # Cancel safety
/// As [`run`].
pub async fn run_on<I: Incoming>(
    config: Config,
    ground: Ground<I>,
    started: impl FnOnce(libra_raft::Handle, Service),
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let spark = Arc::new(SparkMetrics::new()?);
    let endpoints = endpoints(&config, &spark)?;
    let options = options::raft(&config, &ground.public_grpc);
    let raft = ground.start_raft(options).await?;
    let served = serve(
        &config,
        (endpoints, spark),
        ground,
        &raft,
        started,
        shutdown,
    )
    .await;
    if let Err(error) = raft.shutdown().await {
        tracing::error!(%error, "the registry was not flushed on the way out");
    }
    tracing::info!("stopped");
    served
}

async fn serve<I: Incoming>(
    config: &Config,
    (endpoints, spark): (Vec<Endpoint>, Arc<SparkMetrics>),
    ground: Ground<I>,
    raft: &libra_raft::Node,
    started: impl FnOnce(libra_raft::Handle, Service),
    shutdown: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let node = config.node.id;
    let mut shutdown = pin!(shutdown);
    let live = Live::default();
    let store_uuid = raft.handle().status().store_uuid;
    let threads = ground.threads();
    let results = ResultStore::open_on(options::results(config, store_uuid.clone()), threads)
        .await
        .map_err(RunError::Results)?;
    let probes = Probes::start(config, &endpoints, ground.knock);
    let terms = LeaseTerms::new(raft.handle());
    let service = Service::start(
        raft.handle(),
        results.clone(),
        live.clone(),
        probes.shown.clone(),
        options::service(config, &endpoints, &probes, &terms),
    );
    started(raft.handle(), service.clone());
    let registry = RaftRegistry::new(raft.handle(), node);
    let caller = Caller {
        cluster_name: config.cluster.name.clone(),
        node_id: node,
    };
    let options = PeerOptions {
        dial: ground.dial,
        ..PeerOptions::new(caller.clone())
    };
    let peers = Peers::new(options, RegisteredNodes::new(raft.handle()));
    results.join(peers.clone());
    results.note_replicas(Arc::new(registry.clone()));

    let conf = DefaultConf::new(config.spark.conf.clone());
    let identity = Identity::new(ground.public_http, ground.public_grpc, store_uuid);
    let closing = CancellationToken::new();
    let services = Services {
        raft: raft.service(),
        leases: LeaseService::new(caller.clone(), terms.clone()),
        peer: PeerService::new(caller, results.clone(), live.clone(), closing.clone()),
        admin: AdminService::new(admin::Parts {
            handle: raft.handle(),
            service: service.clone(),
            peers: peers.clone(),
            terms: terms.clone(),
            identity: identity.clone(),
            task_pools: conf.task_pools(),
            facts: options::facts(config, &endpoints),
            closing: closing.clone(),
        }),
        service: service.clone(),
    };
    let grpc_server = grpc::start(ground.grpc, services, closing.clone());
    let metrics = prometheus::Registry::new();
    let pool_metrics = PoolMetrics::new(&metrics, raft.handle());
    let session_log = SessionLog::new(&metrics, raft.handle(), node);
    let lease_slot = LeaseSlot::default();
    let sources = node_metrics::Sources {
        handle: raft.handle(),
        reachability: probes.reachability.clone(),
        data_dir: config.node.data_dir.clone(),
        spark,
        results: results.metrics().clone(),
        lease: Arc::clone(&lease_slot),
    };
    node_metrics::register(&metrics, sources)?;
    let http = ground.http;
    let http = http.map(|listener| start_http(config, listener, service.clone(), metrics));

    let start = Start {
        config,
        raft,
        service: &service,
        registry: &registry,
        probes: &probes,
        identity: &identity,
    };
    let mut outcome = Ok(());
    let mut running = None;
    if start.until(shutdown.as_mut()).await? {
        let mut upkeep = upkeep::start(service.clone(), registry.clone(), results.clone());
        upkeep.also(session_log?.run());
        upkeep.also(ClusterLog::new(raft.handle()).run());
        upkeep.also(upkeep::note_leadership(registry.clone()));
        upkeep.also(peer::relay(peers.clone(), live.clone()));
        upkeep.also(upkeep::repair(
            registry.clone(),
            peers.clone(),
            results.metrics().clone(),
        ));
        let reached = probes.reachability.clone();
        upkeep.also(upkeep::cut_off(registry.clone(), terms.clone(), reached));
        upkeep.also(pool_metrics?.follow(raft.handle(), node));
        let renewing = Renewing {
            handle: raft.handle(),
            registry: registry.clone(),
            peers,
            terms: terms.clone(),
            identity: identity.clone(),
            reachability: probes.reachability.clone(),
            limit: config.cluster.lease,
        };
        let mut actors = Actors::start(NodeOptions {
            registry: Arc::new(registry.clone()),
            results: Arc::new(results),
            live: Arc::new(live),
            endpoints,
            client: ClientOptions {
                dial: ground.dial,
                ..ClientOptions::default()
            },
            conf,
            session: session::Options::default(),
            restart: Policy::default(),
            lease: options::lease(config, renewing, threads)?,
        })
        .await?;
        terms.count_with(actors.detector(), actors.lease());
        // Only this start of the actors has been here.
        let _ = lease_slot.set(actors.lease());
        tracing::info!(
            node_id = node.0,
            http = identity.http,
            grpc = identity.grpc,
            "ready"
        );
        outcome = tokio::select! {
            () = shutdown => Ok(()),
            _ = actors.ended() => Err(RunError::ActorsGaveUp),
            error = raft.excluded() => Err(error.into()),
        };
        running = Some((upkeep, actors));
    }
    tracing::info!("stopping");
    service.drain();
    if let Some((_, actors)) = &running
        && outcome.is_ok()
        && !config.cluster.peers.is_empty()
    {
        leave::leave(&raft.handle(), &registry, &identity, actors, &terms).await;
    }
    if let Some((stop_http, http_server)) = http {
        stop_http.send_replace(true);
        // The server ends by its own grace; a panic in it has been logged where it happened.
        let _ = http_server.await;
    }
    if let Some((upkeep, actors)) = running {
        drop(upkeep);
        if outcome.is_ok() {
            actors.stop(ACTORS_LIMIT).await;
        }
    }
    closing.cancel();
    grpc::end(grpc_server).await;
    outcome
}

fn start_http(
    config: &Config,
    listener: TcpListener,
    service: Service,
    metrics: prometheus::Registry,
) -> (watch::Sender<bool>, JoinHandle<std::io::Result<()>>) {
    let options = options::http(config);
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

fn endpoints(config: &Config, spark: &Arc<SparkMetrics>) -> Result<Vec<Endpoint>, RunError> {
    let parsed = config
        .spark
        .remote
        .iter()
        .map(|remote| Endpoint::parse(remote.reveal()));
    let observed = parsed.map(|endpoint| {
        let observer: Arc<dyn CallObserver> = Arc::<SparkMetrics>::clone(spark);
        endpoint.map(|endpoint| endpoint.observed_by(observer))
    });
    Ok(observed.collect::<Result<_, _>>()?)
}

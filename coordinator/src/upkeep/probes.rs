//! What `/actuator/health` shows of Spark and of the disk, and where new sessions may go.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use libra_actors::spark::Endpoint;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::config::Config;
use crate::run::Knock;
use crate::service::{ComponentHealth, HealthProbe, Reachability};

/// How often an endpoint is knocked at.
const EVERY: Duration = Duration::from_secs(1);
/// How often is looked whether all have been tried.
const LOOK: Duration = Duration::from_millis(20);
/// How long a knock may take; the first one too, before a node is ready.
const LIMIT: Duration = Duration::from_secs(1);
/// Free space below which the disk is shown as down; the registry refuses writes there too.
const LEAST_FREE_BYTES: u64 = 64 << 20;

/// The probes of a node, and the tasks that feed them; they end when this is dropped.
pub(crate) struct Probes {
    /// To be shown by the service.
    pub(crate) shown: Vec<Arc<dyn HealthProbe>>,
    /// Which endpoints take connections.
    pub(crate) reachability: Reachability,
    _tasks: JoinSet<()>,
}

impl Probes {
    /// Starts to look at `endpoints` and at the disk of the data directory.
    pub(crate) fn start(config: &Config, endpoints: &[Endpoint], way: Knock) -> Self {
        let mut tasks = JoinSet::new();
        let names = endpoints.iter().map(|endpoint| endpoint.name().to_owned());
        let reachability = Reachability::new(names);
        for endpoint in endpoints {
            tasks.spawn(knock(endpoint.clone(), reachability.clone(), way));
        }
        let disk = DiskProbe {
            data_dir: config.node.data_dir.clone(),
        };
        Self {
            shown: vec![Arc::new(SparkProbe(reachability.clone())), Arc::new(disk)],
            reachability,
            _tasks: tasks,
        }
    }

    /// Waits until every endpoint has been tried once.
    pub(crate) async fn first_look(&self) {
        let deadline = Instant::now() + LIMIT;
        while !self.reachability.is_known() && Instant::now() < deadline {
            sleep(LOOK).await;
        }
    }
}

/// Whether each endpoint takes connections.
struct SparkProbe(Reachability);

impl HealthProbe for SparkProbe {
    fn name(&self) -> &'static str {
        "spark"
    }

    /// Up as long as one endpoint is.
    fn check(&self) -> ComponentHealth {
        let mut health = ComponentHealth::default();
        for (name, up) in self.0.all() {
            health.up |= up;
            health = health.with(name, if up { "UP" } else { "DOWN" });
        }
        health
    }
}

async fn knock(endpoint: Endpoint, reachability: Reachability, way: Knock) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let connected = timeout(LIMIT, way(endpoint.host().to_owned(), endpoint.port())).await;
        let up = connected.unwrap_or(false);
        if reachability.set(endpoint.name(), up) {
            tracing::info!(endpoint = endpoint.name(), up, "Spark Connect endpoint");
        }
    }
}

/// Free space of the disk that holds the data directory.
struct DiskProbe {
    data_dir: PathBuf,
}

impl HealthProbe for DiskProbe {
    fn name(&self) -> &'static str {
        "disk"
    }

    fn check(&self) -> ComponentHealth {
        let path = self.data_dir.display().to_string();
        match rustix::fs::statvfs(&self.data_dir) {
            Ok(stat) => {
                let free = stat.f_bavail.saturating_mul(stat.f_frsize);
                let total = stat.f_blocks.saturating_mul(stat.f_frsize);
                let health = ComponentHealth {
                    up: free >= LEAST_FREE_BYTES,
                    ..Default::default()
                };
                health
                    .with("path", path)
                    .with("free", free)
                    .with("total", total)
                    .with("threshold", LEAST_FREE_BYTES)
            }
            Err(error) => ComponentHealth::default()
                .with("path", path)
                .with("error", error.to_string()),
        }
    }
}

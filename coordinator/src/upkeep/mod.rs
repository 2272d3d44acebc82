//! What a node looks after beside its requests and its actors: the health of what it needs, files
//! of results that nobody wants any more, the shared session, sessions whose Spark only others
//! reach, the log lines about sessions, nodes and pools.
//!
//! **Invariant:** none of it is needed for an answer to be right; it may lag or fail.

mod cleaner;
mod cluster_log;
mod cut_off;
mod leader_note;
mod probes;
mod repair;
mod session_log;

use std::time::Duration;

use libra_proto::registry::Mode;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};

use crate::adapters::RaftRegistry;
use crate::bootstrap;
use crate::results::ResultStore;
use crate::service::Service;

pub(crate) use cluster_log::ClusterLog;
pub(crate) use cut_off::run as cut_off;
pub(crate) use leader_note::run as note_leadership;
pub(crate) use probes::Probes;
pub(crate) use repair::run as repair;
pub(crate) use session_log::SessionLog;

/// How often the shared session is looked at.
const SHARED_SESSION_EVERY: Duration = Duration::from_secs(10);

/// The upkeep of a running node; ends when dropped.
pub(crate) struct Upkeep(JoinSet<()>);

impl Upkeep {
    /// Takes one more task, which ends with the others.
    pub(crate) fn also(&mut self, task: impl Future<Output = ()> + Send + 'static) {
        self.0.spawn(task);
    }
}

/// Starts the upkeep.
pub(crate) fn start(service: Service, registry: RaftRegistry, results: ResultStore) -> Upkeep {
    let mut tasks = JoinSet::new();
    tasks.spawn(cleaner::run(registry.clone(), results));
    if registry.settings().map(|settings| settings.mode()) == Some(Mode::Shared) {
        tasks.spawn(keep_shared_session(registry, service));
    }
    Upkeep(tasks)
}

/// Opens the shared session anew when it has failed: everybody depends on it.
async fn keep_shared_session(registry: RaftRegistry, service: Service) {
    let mut clock = interval(SHARED_SESSION_EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        if registry.shared_session_is_live() {
            continue;
        }
        let Ok(endpoint) = service.next_endpoint() else {
            continue;
        };
        match bootstrap::ensure_shared_session(&registry, &endpoint).await {
            Ok(()) => tracing::debug!("the shared session is opened anew"),
            Err(error) => tracing::warn!(%error, "the shared session is not opened anew"),
        }
    }
}

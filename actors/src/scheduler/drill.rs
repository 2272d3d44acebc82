//! A scheduler on its own, for tests and drills.

use std::sync::Arc;
use std::time::Duration;

use ractor::{Actor, ActorRef};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::mandate::Mandate;
use crate::ports::RegistryPort;
use crate::supervisor::{Policy, StartError};

use super::message::Message;
use super::{Arguments, Scheduler};

/// A running scheduler without a node around it.
#[derive(Debug)]
pub struct Drill {
    scheduler: ActorRef<Message>,
    instance: TaskTracker,
}

impl Drill {
    /// Starts a scheduler over that registry, in the term that its node leads now.
    ///
    /// # Errors
    /// When its actor cannot be spawned.
    pub async fn start(
        registry: Arc<dyn RegistryPort>,
        policy: Policy,
    ) -> Result<Self, StartError> {
        let term = registry.leadership().borrow().unwrap_or_default();
        let instance = TaskTracker::new();
        let mandate = Mandate::new(registry, term, &instance);
        let spawned = Actor::spawn(None, Scheduler, Arguments { mandate, policy }).await;
        let (scheduler, _) = spawned.map_err(|error| StartError {
            cause: error.to_string(),
        })?;
        instance.close();
        Ok(Self {
            scheduler,
            instance,
        })
    }

    /// Ends the actor of that pool as a crash would, if it runs.
    pub fn crash_pool(&self, endpoint: &str, pool: &str) {
        self.crash(endpoint, Some(pool));
    }

    /// Ends the arbiter of that endpoint as a crash would, if it runs, and with it its pools.
    pub fn crash_arbiter(&self, endpoint: &str) {
        self.crash(endpoint, None);
    }

    fn crash(&self, endpoint: &str, pool: Option<&str>) {
        // A scheduler that has ended has nothing to crash.
        let _ = self.scheduler.cast(Message::Crash {
            endpoint: endpoint.to_owned(),
            pool: pool.map(str::to_owned),
        });
    }

    /// Whether it still runs: it ends when its actors crash too often, or the registry stops.
    #[must_use]
    pub fn runs(&self) -> bool {
        !matches!(
            self.scheduler.get_status(),
            ractor::ActorStatus::Stopping | ractor::ActorStatus::Stopped
        )
    }

    /// Stops it, and waits until nothing of it runs. Bounded by `limit`.
    pub async fn stop(self, limit: Duration) {
        self.scheduler.stop(None);
        if timeout(limit, self.instance.wait()).await.is_err() {
            tracing::warn!("the scheduler did not stop in time");
        }
    }
}

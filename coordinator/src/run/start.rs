//! From an open registry to a node that may serve: in its group, caught up, registered.
//!
//! **Invariant:** each step may be done again, so that one whose outcome is unknown is repeated.
//! From when the node is registered the leader counts its lease: what waits for anything but the
//! registry comes before.
//! Alone, a node that does not come so far says so and ends; with peers it waits for them and goes
//! on saying what it waits for.

use std::future::Future;
use std::time::Duration;

use libra_proto::registry::Mode;
use libra_raft::{FormError, Handle, Node};
use tokio::time::{Instant, sleep};

use super::RunError;
use crate::adapters::RaftRegistry;
use crate::bootstrap::{self, BootstrapError, Identity};
use crate::config::Config;
use crate::service::Service;
use crate::upkeep::Probes;

/// How long a node alone may take to catch up with its own log.
const ALONE_LIMIT: Duration = Duration::from_secs(60);
/// When a node says for the first time what it waits for, and how often from then on.
const SAY_FIRST: Duration = Duration::from_secs(1);
const SAY_EVERY: Duration = Duration::from_secs(10);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// Patience of one step.
struct Patience {
    what: &'static str,
    ends: Option<Instant>,
    say_at: Instant,
}

impl Patience {
    fn new(what: &'static str, config: &Config) -> Self {
        let now = Instant::now();
        Self {
            what,
            ends: config.cluster.peers.is_empty().then(|| now + ALONE_LIMIT),
            say_at: now + SAY_FIRST,
        }
    }

    /// A failure to be followed by another attempt, unless patience has ended.
    async fn pause(&mut self, reason: &dyn std::fmt::Display) -> Result<(), RunError> {
        let now = Instant::now();
        if self.ends.is_some_and(|ends| ends <= now) {
            return Err(RunError::NotReady {
                limit: ALONE_LIMIT,
                what: self.what,
                reason: reason.to_string(),
            });
        }
        if self.say_at <= now {
            tracing::warn!(%reason, "waiting for {}", self.what);
            self.say_at = now + SAY_EVERY;
        }
        sleep(PAUSE).await;
        Ok(())
    }
}

/// What a start has to do with.
pub(super) struct Start<'a> {
    pub(super) config: &'a Config,
    pub(super) raft: &'a Node,
    pub(super) service: &'a Service,
    pub(super) registry: &'a RaftRegistry,
    pub(super) probes: &'a Probes,
    pub(super) identity: &'a Identity,
}

impl Start<'_> {
    /// Comes to where actors may be started; false if `shutdown` came first. A node with a log may
    /// hear only now that its cluster has it no more, and would wait for ever.
    pub(super) async fn until(self, shutdown: impl Future<Output = ()>) -> Result<bool, RunError> {
        let raft = self.raft;
        tokio::select! {
            started = self.run() => started.map(|()| true),
            () = shutdown => Ok(false),
            error = raft.excluded() => Err(error.into()),
        }
    }

    async fn run(self) -> Result<(), RunError> {
        self.formed().await?;
        self.caught_up(&self.raft.handle()).await?;
        self.endpoints_known().await;
        self.registered().await?;
        self.shared_session().await
    }

    async fn formed(&self) -> Result<(), RunError> {
        let mut patience = Patience::new("the cluster to take this node in", self.config);
        loop {
            match self.raft.formed(SAY_FIRST).await {
                Ok(()) => return Ok(()),
                Err(error @ FormError::TimedOut { .. }) => patience.pause(&error).await?,
                Err(
                    error @ (FormError::Refused { .. }
                    | FormError::Removed { .. }
                    | FormError::Stopped),
                ) => return Err(error.into()),
            }
        }
    }

    /// Waits until this node has applied all that was ever acknowledged: actors that looked earlier
    /// could take an old `running` statement for a new one.
    async fn caught_up(&self, handle: &Handle) -> Result<(), RunError> {
        let mut patience = Patience::new("the registry to catch up", self.config);
        while let Err(error) = handle.read_index().await {
            patience.pause(&error).await?;
        }
        Ok(())
    }

    async fn registered(&self) -> Result<(), RunError> {
        let mut patience = Patience::new("this node to be registered", self.config);
        loop {
            match bootstrap::register(self.registry, self.config, self.identity).await {
                Err(error @ BootstrapError::Unknown { .. }) => patience.pause(&error).await?,
                other => return Ok(other?),
            }
        }
    }

    fn is_shared(&self) -> bool {
        let settings = self.registry.settings();
        let mode = settings.map_or(self.config.session.mode, |settings| settings.mode());
        mode == Mode::Shared
    }

    /// Learns which endpoints are there, if the shared session is to be put on one of several: that
    /// takes seconds where one does not answer.
    async fn endpoints_known(&self) {
        let is_choice = self.config.spark.remote.len() > 1;
        // Alone, the file decides; it has yet to be read into the registry.
        let is_shared = self.is_shared() || self.config.session.mode == Mode::Shared;
        if is_choice && is_shared && !self.registry.shared_session_is_live() {
            self.probes.first_look().await;
        }
    }

    async fn shared_session(&self) -> Result<(), RunError> {
        if !self.is_shared() {
            return Ok(());
        }
        let endpoint = self.service.next_endpoint();
        let endpoint = endpoint.map_err(|_| RunError::NoEndpoint)?;
        let mut patience = Patience::new("the shared session to be made", self.config);
        loop {
            match bootstrap::ensure_shared_session(self.registry, &endpoint).await {
                Err(error @ BootstrapError::Unknown { .. }) => patience.pause(&error).await?,
                other => return Ok(other?),
            }
        }
    }
}

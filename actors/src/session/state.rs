//! What a session actor knows: all of it can be read again from the registry.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use libra_proto::registry::{Incarnation, StatementRecord};
use libra_proto::types::{Epoch, JobId, SessionId};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio_util::task::TaskTracker;

use crate::lease::Fence;
use crate::spark::{Client, ClientOptions, Endpoint, SparkSession};
use crate::statement::Ports;
use crate::statement::machine::Intents;

use super::begun::Begun;
use super::message::Proposal;
use super::{Arguments, DefaultConf, Options};

/// A statement's runner, as the actor holds it.
pub(crate) struct Running {
    pub(crate) intents: watch::Sender<Intents>,
    pub(crate) task: AbortHandle,
}

/// The state of a session actor.
pub(crate) struct State {
    pub(crate) id: SessionId,
    pub(crate) epoch: Epoch,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) client_options: ClientOptions,
    /// The channel: opened when needed, closed after a while of idleness.
    client: Option<Client>,
    pub(crate) conf: Arc<DefaultConf>,
    pub(crate) ports: Ports,
    pub(crate) fence: Fence,
    pub(crate) options: Options,
    pub(crate) tasks: Arc<TaskTracker>,
    pub(crate) poked: Arc<AtomicBool>,
    /// The committed incarnation.
    pub(crate) incarnation: Option<Incarnation>,
    pub(crate) runners: BTreeMap<JobId, Running>,
    /// Running statements that may have been sent already.
    pub(crate) begun: Begun,
    /// Running statements of which Spark said that their session is gone before it had any of them.
    pub(crate) never_sent: BTreeSet<JobId>,
    pub(crate) cleaning: BTreeSet<JobId>,
    /// Proposals under way.
    pub(crate) proposing: BTreeSet<Proposal>,
    /// The Spark session id that is being opened.
    pub(crate) opening: Option<String>,
    /// A keep-alive, or the release, is under way.
    pub(crate) probing: bool,
    pub(crate) releasing: bool,
    /// Attempts at Spark that failed, since one did not.
    pub(crate) failed_attempts: u32,
    /// Proposals of unknown outcome, since the registry answered one.
    pub(crate) unanswered: u32,
    /// The clock of the keep-alive, and its period.
    pub(crate) keep_alive: Option<(Duration, AbortHandle)>,
    /// Tasks of this actor, ended with it.
    pub(crate) helpers: Vec<AbortHandle>,
}

impl State {
    pub(super) fn new(arguments: Arguments) -> Self {
        let Arguments {
            id,
            epoch,
            endpoint,
            client,
            conf,
            ports,
            options,
            tasks,
            poked,
        } = arguments;
        let (lease, registry) = (ports.lease.clone(), Arc::clone(&ports.registry));
        let fence = Fence::new(lease, registry, id.clone(), epoch);
        Self {
            fence,
            id,
            epoch,
            endpoint,
            client_options: client,
            client: None,
            conf,
            ports,
            options,
            tasks,
            poked,
            incarnation: None,
            runners: BTreeMap::new(),
            begun: Begun::default(),
            never_sent: BTreeSet::new(),
            cleaning: BTreeSet::new(),
            proposing: BTreeSet::new(),
            opening: None,
            probing: false,
            releasing: false,
            failed_attempts: 0,
            unanswered: 0,
            keep_alive: None,
            helpers: Vec::new(),
        }
    }

    /// The channel to Spark, opened if there is none.
    pub(super) fn client(&mut self) -> Option<Client> {
        if self.client.is_none() {
            match Client::new(&self.endpoint, self.client_options) {
                Ok(client) => self.client = Some(client),
                Err(error) => tracing::error!(session_id = %self.id, %error, "no channel to Spark"),
            }
        }
        self.client.clone()
    }

    /// The Spark session of the committed incarnation.
    pub(super) fn spark(&mut self) -> Option<SparkSession> {
        let client = self.client()?;
        let incarnation = self.incarnation.as_ref()?;
        Some(self.speaks(&client, incarnation))
    }

    /// The Spark session of an incarnation, spoken to as the owner that this actor is.
    pub(super) fn speaks(&self, client: &Client, incarnation: &Incarnation) -> SparkSession {
        let node = self.ports.registry.node_id();
        client.session(incarnation).spoken_by(node, self.epoch)
    }

    /// Closes the channel if nothing uses it.
    pub(super) fn close_idle_channel(&mut self) {
        let idle = self.runners.is_empty() && self.cleaning.is_empty();
        if idle && self.opening.is_none() && !self.probing && !self.releasing {
            self.client = None;
        }
    }

    /// The Spark session id of the committed incarnation, for reports about it.
    pub(super) fn spark_session_id(&self) -> String {
        self.incarnation
            .as_ref()
            .map(|held| held.spark_session_id.clone())
            .unwrap_or_default()
    }

    /// How long to wait before the next attempt at Spark.
    pub(super) fn backoff(&self) -> Duration {
        self.wait_after(self.failed_attempts)
    }

    /// How long a proposal waits: a registry without a leader answers at once.
    pub(super) fn proposal_backoff(&self) -> Duration {
        self.wait_after(self.unanswered)
    }

    fn wait_after(&self, failures: u32) -> Duration {
        if failures == 0 {
            return Duration::ZERO;
        }
        Duration::from_millis(100_u64 << failures.min(8)).min(self.options.max_backoff)
    }
}

impl Drop for State {
    fn drop(&mut self) {
        for running in self.runners.values() {
            running.task.abort();
        }
        let clock = self.keep_alive.iter().map(|(_, task)| task);
        for helper in self.helpers.iter().chain(clock) {
            helper.abort();
        }
    }
}

/// The intents that a record carries.
pub(super) fn intents_of(statement: &StatementRecord) -> Intents {
    Intents {
        cancel: statement.cancel_requested_at_ms != 0,
        timeout: statement.timed_out_at_ms != 0,
    }
}

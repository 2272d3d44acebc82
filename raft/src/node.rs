//! A node of the registry: starting it, keeping its log short, stopping it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use openraft::Config;
use openraft::errors::{InitializeError, RaftError};
use openraft::storage::RaftLogStorage;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::error::StartError;
use crate::failure::watch_failure;
use crate::formation::{self, Former};
use crate::handle::{Handle, Heard, Inner, ReadQueue, Succession, serve_reads, watch_leadership};
use crate::membership;
use crate::network::client::Network;
use crate::network::connector::{Connector, TcpConnector};
use crate::network::peers::Peers;
use crate::network::service::{self, RaftService};
use crate::options::{Options, SnapshotPolicy};
use crate::store::backing::Backing;
use crate::store::snapshot_dir::SnapshotDir;
use crate::store::state_machine::{Shared, StateMachine};
use crate::store::stats::LogStats;
use crate::store::{self, Store};
use crate::type_config::Raft;

/// How long a follower may be silent while it is sent a snapshot.
const SNAPSHOT_SILENCE: Duration = Duration::from_secs(20);
/// Entries of one message to a follower, if they are small.
const BATCH_ENTRIES: u64 = 4096;

/// A snapshot that has not come about after this time is asked for again.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(30);

/// A running node of the registry.
///
/// Dropping it stops it too, without waiting: what was acknowledged is durable either way, and the
/// directory is free once the last [`Handle`] is gone.
#[derive(Debug)]
pub struct Node {
    handle: Handle,
    service: RaftService,
    store: Option<Store>,
    tasks: Vec<JoinHandle<()>>,
}

impl Node {
    /// Starts a node that reaches others over TCP, as [`Node::start_with`].
    ///
    /// # Errors
    /// As [`Node::start_with`].
    ///
    /// # Cancel safety
    /// As [`Node::start_with`].
    pub async fn start(options: Options) -> Result<Self, StartError> {
        let connector = over_tcp(&options);
        Self::start_with(options, connector).await
    }

    /// Starts a node on its data directory, and returns when its store is open and Raft runs.
    ///
    /// Without peers, the first start makes the directory and forms a group of one; no later start
    /// does so again. With peers, it forms a group with them or joins the one there is, in the
    /// background: for that its [`Node::service`] has to be served; [`Node::formed`] waits.
    /// `connector` leads to other nodes.
    ///
    /// # Errors
    /// [`StartError`] says what was found, what was expected and how to go on.
    ///
    /// # Cancel safety
    /// A start that is dropped half-way may be repeated.
    pub async fn start_with(
        options: Options,
        connector: Arc<dyn Connector>,
    ) -> Result<Self, StartError> {
        options.validate()?;
        let opened = {
            let options = options.clone();
            // Reads the whole log and the newest snapshot.
            tokio::task::spawn_blocking(move || store::open(&options)).await
        };
        let opened = opened.map_err(|panic| raft_error(&options, &panic))?;
        Self::run(options, connector, opened?).await
    }

    /// Starts a node whose log lies on `backing`; everything else lies in its data directory.
    ///
    /// # Errors
    /// As [`Node::start_with`].
    ///
    /// # Cancel safety
    /// As [`Node::start_with`].
    pub async fn start_on(options: Options, backing: Arc<dyn Backing>) -> Result<Self, StartError> {
        let connector = over_tcp(&options);
        Self::start_on_with(options, backing, connector).await
    }

    /// As [`Node::start_on`]; `connector` leads to other nodes.
    ///
    /// # Errors
    /// As [`Node::start_with`].
    ///
    /// # Cancel safety
    /// As [`Node::start_with`].
    pub async fn start_on_with(
        options: Options,
        backing: Arc<dyn Backing>,
        connector: Arc<dyn Connector>,
    ) -> Result<Self, StartError> {
        options.validate()?;
        let opened = store::open_on(&options, backing)?;
        Self::run(options, connector, opened).await
    }

    async fn run(
        options: Options,
        connector: Arc<dyn Connector>,
        (store, state_machine): (Store, StateMachine),
    ) -> Result<Self, StartError> {
        let config = raft_config(&options)?;
        let marker = store.marker.content();
        let had_log = marker.initialised || has_log(&store, &options).await?;
        let peers = Arc::new(Peers::new(&options, &marker.store_uuid, connector));
        let raft = Box::pin(Raft::new(
            options.node_id.0,
            config,
            Network::new(Arc::clone(&peers)),
            store.log.clone(),
            state_machine,
        ))
        .await;
        let raft = raft.map_err(|error| raft_error(&options, &error))?;
        if options.peers.is_empty() {
            form_group_of_one(&raft, &store, &peers, &options).await?;
        }

        let (reads, callers) = ReadQueue::new();
        let reading = serve_reads(
            callers,
            raft.metrics(),
            Arc::clone(&peers),
            options.election_max * 2,
        );
        let inner = Arc::new(Inner {
            shared: Arc::clone(&store.shared),
            marker: Arc::clone(&store.marker),
            space: Arc::clone(&store.space),
            stats: Arc::clone(&store.stats),
            snapshots: Arc::clone(&store.snapshots),
            peers,
            reads,
            leadership: watch::Sender::new(None),
            formation: watch::Sender::new(formation::beginning(&options, had_log)),
            peers_hash: formation::peers_hash(&options),
            had_log,
            heard: Arc::new(Heard::never()),
            succession: Succession::new(had_log, options.election_max),
            started: Instant::now(),
            stopping: watch::Sender::new(false),
            limit: options.propose_timeout,
            lease: options.election_max,
            max_command_bytes: options.max_command_bytes,
            changing: tokio::sync::Mutex::default(),
            raft,
        });
        let shortener = LogShortener {
            raft: inner.raft.clone(),
            shared: Arc::clone(&store.shared),
            snapshots: Arc::clone(&store.snapshots),
            stats: Arc::clone(&store.stats),
            policy: options.snapshot,
        };
        let former = Former::new(Arc::clone(&inner), &options);
        let configured = options.peers.keys().copied().collect();
        let tasks = vec![
            tokio::spawn(shortener.run()),
            tokio::spawn(watch_failure(Arc::clone(&inner), options.on_fatal.clone())),
            tokio::spawn(watch_leadership(Arc::clone(&inner), options.heartbeat)),
            tokio::spawn(membership::care(Arc::clone(&inner), configured)),
            tokio::spawn(membership::hand_over_when_full(Arc::clone(&inner))),
            tokio::spawn(former.run(options.on_fatal.clone())),
            tokio::spawn(reading),
        ];
        Ok(Self {
            service: service::service(&inner, options.max_message_bytes()),
            handle: Handle::new(inner),
            store: Some(store),
            tasks,
        })
    }

    /// What other nodes ask of this one; to be served at its address before it can be in a group
    /// with them. It does not keep the node running.
    #[must_use]
    pub fn service(&self) -> RaftService {
        self.service.clone()
    }

    /// The way to this node.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Stops the node: proposals under way end as unknown, feeds as closed, and the data directory
    /// is free for the next start.
    ///
    /// # Errors
    /// When the last sync failed, or the log could not be let go of in time.
    pub async fn shutdown(mut self) -> io::Result<()> {
        self.stop_tasks();
        // A core that has failed has been told of already.
        let _ = Box::pin(self.handle.inner().raft.shutdown()).await;
        match self.store.take() {
            Some(store) => store.close().await,
            None => Ok(()),
        }
    }

    fn stop_tasks(&self) {
        let inner = self.handle.inner();
        inner.stopping.send_replace(true);
        inner.shared.publisher().close();
        for task in &self.tasks {
            task.abort();
        }
        inner.leadership.send_replace(None);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop_tasks();
    }
}

fn over_tcp(options: &Options) -> Arc<dyn Connector> {
    Arc::new(TcpConnector::new(options.election_max))
}

fn raft_error(options: &Options, error: &impl ToString) -> StartError {
    StartError::Raft {
        path: options.data_dir.clone(),
        reason: error.to_string(),
    }
}

pub(crate) fn raft_config(options: &Options) -> Result<Arc<Config>, StartError> {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let config = Config {
        cluster_name: options.cluster_name.clone(),
        heartbeat_interval: millis(options.heartbeat),
        election_timeout_min: millis(options.election_min),
        election_timeout_max: millis(options.election_max),
        // The log shortener asks for snapshots and purges, see there.
        snapshot_policy: openraft::SnapshotPolicy::Never,
        max_in_snapshot_log_to_keep: u64::MAX,
        // Beyond what the log keeps, a follower is served with a snapshot anyway.
        replication_lag_threshold: options.snapshot.entries.saturating_mul(2),
        // Bounded by bytes when it is read.
        max_payload_entries: BATCH_ENTRIES,
        install_snapshot_timeout: millis(SNAPSHOT_SILENCE),
        enable_pre_vote: Some(true),
        // A leader that comes back must show that it is one before it answers from what it has.
        enable_leader_restore: Some(false),
        ..Config::default()
    };
    let config = config
        .validate()
        .map_err(|error| raft_error(options, &error))?;
    Ok(Arc::new(config))
}

async fn has_log(store: &Store, options: &Options) -> Result<bool, StartError> {
    let state = store.log.clone().get_log_state().await;
    let state = state.map_err(|e| StartError::io("read the log in", &options.data_dir, e))?;
    Ok(state.last_log_id.is_some())
}

/// Forms a group of one, exactly once in the life of a data directory.
async fn form_group_of_one(
    raft: &Raft,
    store: &Store,
    peers: &Peers,
    options: &Options,
) -> Result<(), StartError> {
    if store.marker.content().initialised {
        return Ok(());
    }
    let members = BTreeMap::from([(options.node_id.0, peers.myself())]);
    match Box::pin(raft.initialize(members)).await {
        // Not allowed: a start before this one got so far, and no further.
        Ok(()) | Err(RaftError::APIError(InitializeError::NotAllowed(_))) => {}
        Err(error) => return Err(raft_error(options, &error)),
    }
    let marker = Arc::clone(&store.marker);
    let marked = tokio::task::spawn_blocking(move || marker.set_initialised()).await;
    let marked = marked.map_err(|panic| raft_error(options, &panic))?;
    marked.map_err(|e| StartError::io("write the marker in", &options.data_dir, e))
}

/// Has snapshots built by entries and by bytes, and the log purged up to the *older* of the two
/// that are kept: if the newest turns out damaged, the older one and the log make up for it.
struct LogShortener {
    raft: Raft,
    shared: Arc<Shared>,
    snapshots: Arc<SnapshotDir>,
    stats: Arc<LogStats>,
    policy: SnapshotPolicy,
}

impl LogShortener {
    async fn run(self) {
        let mut applied = self.shared.watch_applied();
        let mut newest = self.snapshots.watch_newest();
        // What was found in the log at the start counts as grown since.
        let mut bytes_at_snapshot = 0;
        let (mut covered, mut newest_bytes) = (*newest.borrow(), self.snapshots.newest_bytes());
        loop {
            if covered != *newest.borrow() {
                (covered, newest_bytes) = (*newest.borrow(), self.snapshots.newest_bytes());
            }
            let grown_entries = applied.borrow_and_update().saturating_sub(covered);
            let appended = self.stats.appended();
            let grown_bytes = appended.saturating_sub(bytes_at_snapshot);
            let is_long = grown_entries >= self.policy.entries
                || (grown_bytes >= self.policy.log_bytes && grown_entries > 0);
            let is_due = is_long && grown_bytes >= newest_bytes / 2;
            if is_due {
                newest.mark_unchanged();
                if self.raft.trigger().snapshot().await.is_err() {
                    return;
                }
                let built = tokio::time::timeout(SNAPSHOT_PATIENCE, newest.changed()).await;
                if matches!(built, Ok(Ok(()))) {
                    bytes_at_snapshot = appended;
                    self.purge().await;
                }
            } else if applied.changed().await.is_err() {
                return;
            }
        }
    }

    async fn purge(&self) {
        if let Some(next) = self.snapshots.purgeable().filter(|next| *next > 0) {
            // An error only says that Raft has stopped.
            let _ = self.raft.trigger().purge_log(next - 1).await;
        }
    }
}

//! A node of the registry: starting it, keeping its log short, stopping it.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use openraft::async_runtime::WatchReceiver;
use openraft::errors::{InitializeError, RaftError};
use openraft::{BasicNode, Config};
use tokio::task::JoinHandle;

use crate::error::{FatalError, StartError};
use crate::handle::{Handle, Inner};
use crate::metrics::failure;
use crate::network::alone::Alone;
use crate::options::{FatalHook, Options, SnapshotPolicy};
use crate::store::backing::Backing;
use crate::store::snapshot_dir::SnapshotDir;
use crate::store::state_machine::{Shared, StateMachine};
use crate::store::stats::LogStats;
use crate::store::{self, Store};
use crate::type_config::Raft;

/// A snapshot that has not come about after this time is asked for again.
const SNAPSHOT_PATIENCE: Duration = Duration::from_secs(30);

/// A running node of the registry.
///
/// Dropping it stops it too, without waiting: what was acknowledged is durable either way, and the
/// directory is free once the last [`Handle`] is gone.
#[derive(Debug)]
pub struct Node {
    handle: Handle,
    store: Option<Store>,
    tasks: Vec<JoinHandle<()>>,
}

impl Node {
    /// Starts a node on its data directory. The first start makes the directory and forms a group
    /// of one; no later start does so again.
    ///
    /// # Errors
    /// [`StartError`] says what was found, what was expected and how to go on.
    ///
    /// # Cancel safety
    /// A start that is dropped half-way may be repeated.
    pub async fn start(options: Options) -> Result<Self, StartError> {
        options.validate()?;
        let opened = {
            let options = options.clone();
            // Reads the whole log and the newest snapshot.
            tokio::task::spawn_blocking(move || store::open(&options)).await
        };
        let opened = opened.map_err(|panic| raft_error(&options, &panic))?;
        Self::run(options, opened?).await
    }

    /// Starts a node whose log lies on `backing`; everything else lies in its data directory.
    ///
    /// # Errors
    /// As [`Node::start`].
    ///
    /// # Cancel safety
    /// As [`Node::start`].
    pub async fn start_on(options: Options, backing: Arc<dyn Backing>) -> Result<Self, StartError> {
        options.validate()?;
        let opened = store::open_on(&options, backing)?;
        Self::run(options, opened).await
    }

    async fn run(
        options: Options,
        (store, state_machine): (Store, StateMachine),
    ) -> Result<Self, StartError> {
        let config = raft_config(&options)?;
        let log = store.log.clone();
        let raft = Box::pin(Raft::new(
            options.node_id.0,
            config,
            Alone,
            log,
            state_machine,
        ))
        .await;
        let raft = raft.map_err(|error| raft_error(&options, &error))?;
        form_group(&raft, &store, &options).await?;

        let inner = Arc::new(Inner {
            raft,
            shared: Arc::clone(&store.shared),
            marker: Arc::clone(&store.marker),
            space: Arc::clone(&store.space),
            stats: Arc::clone(&store.stats),
            stopping: AtomicBool::new(false),
            limit: options.propose_timeout,
            max_command_bytes: options.max_command_bytes,
        });
        let shortener = LogShortener {
            raft: inner.raft.clone(),
            shared: Arc::clone(&store.shared),
            snapshots: Arc::clone(&store.snapshots),
            stats: Arc::clone(&store.stats),
            policy: options.snapshot,
        };
        let tasks = vec![
            tokio::spawn(shortener.run()),
            tokio::spawn(watch_failure(Arc::clone(&inner), options.on_fatal)),
        ];
        Ok(Self {
            handle: Handle::new(inner),
            store: Some(store),
            tasks,
        })
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
        // A core that panicked has been told of already.
        let _ = Box::pin(self.handle.inner().raft.shutdown()).await;
        match self.store.take() {
            Some(store) => store.close().await,
            None => Ok(()),
        }
    }

    fn stop_tasks(&self) {
        let inner = self.handle.inner();
        inner.stopping.store(true, Ordering::Release);
        inner.shared.publisher().close();
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop_tasks();
    }
}

fn raft_error(options: &Options, error: &impl ToString) -> StartError {
    StartError::Raft {
        path: options.data_dir.clone(),
        reason: error.to_string(),
    }
}

fn raft_config(options: &Options) -> Result<Arc<Config>, StartError> {
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

/// Forms a group of one, exactly once in the life of a data directory.
async fn form_group(raft: &Raft, store: &Store, options: &Options) -> Result<(), StartError> {
    if store.marker.content().initialised {
        return Ok(());
    }
    let node = BasicNode::new(&options.advertise);
    let members = BTreeMap::from([(options.node_id.0, node)]);
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

/// Ends the process when Raft has stopped by itself: its log is not to be trusted any more.
async fn watch_failure(inner: Arc<Inner>, on_fatal: FatalHook) {
    let mut metrics = inner.raft.metrics();
    loop {
        let reason = failure(&metrics.borrow_watched());
        if let Some(reason) = reason {
            inner.shared.publisher().close();
            on_fatal.call(&FatalError::Raft { reason });
            return;
        }
        if metrics.changed().await.is_err() {
            return;
        }
    }
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
        loop {
            let grown_entries = applied.borrow_and_update().saturating_sub(*newest.borrow());
            let appended = self.stats.appended();
            let grown_bytes = appended.saturating_sub(bytes_at_snapshot);
            let is_due = grown_entries >= self.policy.entries
                || (grown_bytes >= self.policy.log_bytes && grown_entries > 0);
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

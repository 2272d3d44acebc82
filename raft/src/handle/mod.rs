//! The one way into the registry: propose, read, subscribe, change the group.
//!
//! **Invariant:** nothing is answered that is not applied here, and no wait is without a limit.

mod heard;
mod leadership;
mod members;
mod propose;
mod read;
mod snapshot;
mod succession;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use libra_proto::types::NodeId;
use openraft::async_runtime::WatchReceiver;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::error::ReadError;
use crate::events::Events;
use crate::feed::ChangeFeed;
use crate::metrics::{Formation, Status, failure, members};
use crate::network::peers::Peers;
use crate::registry::Registry;
use crate::store::SyncTimes;
use crate::store::marker::Marker;
use crate::store::snapshot_dir::SnapshotDir;
use crate::store::space::Space;
use crate::store::state_machine::Shared;
use crate::store::stats::LogStats;
use crate::type_config::{ForwardToLeader, LogId, Raft, RaftMetrics};

pub(crate) use heard::Heard;
#[cfg(feature = "simulation")]
pub(crate) use leadership::ASK_AGAIN;
pub(crate) use leadership::led_term;
pub(crate) use leadership::watch_leadership;
pub(crate) use members::Change;
pub(crate) use read::{ReadQueue, serve_reads};
pub use snapshot::TakenSnapshot;
pub use succession::Predecessor;
pub(crate) use succession::Succession;

/// Between two attempts while nobody leads; an election takes some hundred milliseconds.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// A cheap way to a running node; all clones lead to the same one.
#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) raft: Raft,
    pub(crate) shared: Arc<Shared>,
    pub(crate) marker: Arc<Marker>,
    pub(crate) space: Arc<Space>,
    pub(crate) stats: Arc<LogStats>,
    pub(crate) snapshots: Arc<SnapshotDir>,
    pub(crate) peers: Arc<Peers>,
    pub(crate) reads: ReadQueue,
    pub(crate) leadership: watch::Sender<Option<u64>>,
    pub(crate) formation: watch::Sender<Formation>,
    /// Of the peers it is configured with.
    pub(crate) peers_hash: u64,
    /// Its log was not empty when it was opened.
    pub(crate) had_log: bool,
    pub(crate) stopping: watch::Sender<bool>,
    pub(crate) heard: Arc<Heard>,
    pub(crate) succession: Succession,
    /// Of this process's life with its store.
    pub(crate) started: Instant,
    pub(crate) limit: Duration,
    /// The longest time without a leader before an election, and the leader's lease.
    pub(crate) lease: Duration,
    pub(crate) max_command_bytes: usize,
    /// One change of the membership at a time.
    pub(crate) changing: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner").finish_non_exhaustive()
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// What one attempt at the leader came to.
#[derive(Debug)]
pub(crate) enum Attempt<T> {
    /// It was the leader, and this is its answer.
    Answer(T),
    /// Nothing was done: it does not lead (perhaps that node does), or only just does, or could not
    /// be asked.
    NotLeading(Option<NodeId>),
}

impl Inner {
    pub(crate) fn me(&self) -> NodeId {
        self.peers.me.node_id
    }

    /// Whom openraft names as the leader, heard or not.
    fn named_leader(&self) -> Option<NodeId> {
        let metrics = self.raft.metrics();
        metrics.borrow_watched().current_leader.map(NodeId)
    }

    /// Whom this node takes for the leader: itself while a quorum answers it, another while that is
    /// heard.
    pub(crate) fn leader(&self) -> Option<NodeId> {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        let leader = metrics.current_leader.map(NodeId)?;
        let is_there = if leader == self.me() {
            led_term(&metrics, self.lease).is_some()
        } else {
            self.heard.within(self.lease * 2)
        };
        is_there.then_some(leader)
    }

    /// The leader, if it is another node.
    fn other_leader(&self) -> Option<NodeId> {
        self.leader().filter(|leader| *leader != self.me())
    }

    pub(crate) fn is_stopped(&self) -> bool {
        let metrics = self.raft.metrics();
        *self.stopping.borrow() || metrics.borrow_watched().running_state.is_err()
    }

    /// Whether this node is, or was, in a group: nobody may form one with it.
    pub(crate) fn is_initialised(&self) -> bool {
        let metrics = self.raft.metrics();
        self.had_log || metrics.borrow_watched().last_log_index.is_some()
    }

    fn detour<T>(&self, forward: &ForwardToLeader) -> Attempt<T> {
        let me = self.me();
        let leader = forward.leader_id.map(NodeId);
        Attempt::NotLeading(leader.filter(|leader| *leader != me))
    }

    async fn wait_applied_by(&self, index: u64, deadline: Instant) -> Result<(), ReadError> {
        let limit = self.limit;
        let mut applied = self.shared.watch_applied();
        match timeout_at(deadline, applied.wait_for(|next| *next > index)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(ReadError::Stopped),
            Err(_elapsed) => Err(ReadError::TimedOut { limit }),
        }
    }
}

/// Waits a little before another attempt; false when there is no time for one.
async fn pause(deadline: Instant) -> bool {
    if Instant::now() + RETRY_PAUSE >= deadline {
        return false;
    }
    tokio::time::sleep(RETRY_PAUSE).await;
    true
}

impl Handle {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// Waits until the registry here is applied up to `index`, within the node's limit.
    ///
    /// # Errors
    /// [`ReadError::TimedOut`] or [`ReadError::Stopped`].
    ///
    /// # Cancel safety
    /// Nothing happens when the future is dropped.
    pub async fn wait_applied(&self, index: u64) -> Result<(), ReadError> {
        let deadline = Instant::now() + self.inner.limit;
        self.inner.wait_applied_by(index, deadline).await
    }

    /// Reads the registry as it is applied here, which may be behind; see [`Handle::read_index`].
    /// Applying waits for `read`, so it must be short.
    pub fn view<T>(&self, read: impl FnOnce(&Registry) -> T) -> T {
        self.inner.shared.view(read)
    }

    /// Subscribes to changes from now on.
    #[must_use]
    pub fn subscribe(&self) -> ChangeFeed {
        self.inner.shared.publisher().subscribe()
    }

    /// What operators are told of what is applied here.
    #[must_use]
    pub fn events(&self) -> Events {
        self.inner.shared.events()
    }

    /// The term that this node leads, once it has applied everything of before it; none at once when
    /// it leads no more, or no quorum has answered it for as long as its lease.
    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Option<u64>> {
        self.inner.leadership.subscribe()
    }

    /// Who led before this node, which leads `term`, and for how long that node has had no quorum;
    /// `None` where that cannot be concluded.
    #[must_use]
    pub fn predecessor(&self, term: u64) -> Option<Predecessor> {
        let up = self.inner.started.elapsed();
        self.inner.succession.predecessor(term, up)
    }

    /// How far the node is on its way into its group.
    #[must_use]
    pub fn formation(&self) -> watch::Receiver<Formation> {
        self.inner.formation.subscribe()
    }

    /// Who leads, as far as this node knows: cheap, and never waits for a lock or a disk.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        self.inner.leader()
    }

    /// Whether the disk is full: proposals are refused here, and leadership is handed over.
    #[must_use]
    pub fn is_disk_full(&self) -> bool {
        self.inner.space.is_full()
    }

    /// How the node is.
    #[must_use]
    pub fn status(&self) -> Status {
        let inner = &*self.inner;
        // A copy: who looks at them again while he looks at them waits for openraft, which waits for
        // him.
        let metrics = inner.metrics();
        let index = |id: Option<LogId>| id.map_or(0, |id| id.index);
        Status {
            node_id: NodeId(metrics.id),
            leader: inner.leader(),
            term: metrics.current_term,
            role: metrics.state.into(),
            last_log_index: metrics.last_log_index.unwrap_or(0),
            applied_index: self.view(Registry::applied_index),
            durable_index: inner.marker.durable().saturating_sub(1),
            snapshot_index: index(metrics.snapshot),
            purged_index: index(metrics.purged),
            log_bytes: inner.stats.bytes(),
            syncs: inner.stats.syncs(),
            leader_changes: inner.stats.leaders(),
            disk_free_bytes: inner.space.free(),
            disk_full: inner.space.is_full(),
            store_uuid: inner.peers.me.store_uuid.clone(),
            failure: failure(&metrics),
            formation: inner.formation.borrow().clone(),
            members: members(&metrics),
        }
    }

    /// How long the syncs of this node's log have taken; cheap enough to be asked every second.
    #[must_use]
    pub fn sync_times(&self) -> SyncTimes {
        self.inner.stats.sync_times()
    }

    /// Waits until a leader is known; none if that takes longer than `limit`, or the node stops.
    ///
    /// # Cancel safety
    /// Nothing happens when the future is dropped.
    pub async fn wait_leader(&self, limit: Duration) -> Option<NodeId> {
        let has_leader = |metrics: &RaftMetrics| metrics.current_leader.is_some();
        let wait = self.inner.raft.wait(Some(limit));
        let metrics = Box::pin(wait.metrics(has_leader, "a leader is known")).await;
        metrics.ok()?.current_leader.map(NodeId)
    }
}

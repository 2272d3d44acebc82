//! One node of the group.
//!
//! **Invariant:** what production's [`crate::Handle`] does between openraft and its callers is done
//! here in the same order and by the same conditions; only clock and transport are others.

mod asked;
mod duties;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use libra_proto::types::NodeId;
use openraft::ServerState;
use openraft::async_runtime::WatchReceiver;
use openraft::storage::RaftLogStorage;

use super::bell::{Bell, Listener};
use super::carrier::Network;
use super::runtime::Runtime;
use super::witness::{Watched, Witness};
use super::{Carrier, SimTypes};
use crate::error::StartError;
use crate::handle::{Predecessor, Succession, led_term};
use crate::metrics::failure;
use crate::node::raft_config;
use crate::options::{DiskPolicy, FatalHook, Options, SnapshotPolicy};
use crate::registry::Registry;
use crate::store::backing::Backing;
use crate::store::snapshot_dir::SnapshotDir;
use crate::store::state_machine::Shared;
use crate::store::{Opened, Store, open_idle};
use crate::type_config::Peer;

pub use asked::Write;
use duties::{serve, shorten_log, watch_leadership};

type Raft = openraft::Raft<SimTypes, Watched>;
type Metrics = openraft::RaftMetrics<SimTypes>;

/// What a member is started with.
pub struct Setup {
    /// Which node it is.
    pub node_id: u64,
    /// Its data directory; on a file system without a disk beneath it costs least.
    pub data_dir: PathBuf,
    /// What its log lies on.
    pub backing: Arc<dyn Backing>,
    /// How long the next sync of the log takes.
    pub disk: Arc<dyn Fn() -> Duration + Send + Sync>,
    /// A snapshot every so many entries.
    pub snapshot_entries: u64,
    /// The way to the others.
    pub carrier: Arc<dyn Carrier>,
    /// Who sees every entry.
    pub witness: Arc<dyn Witness>,
}

/// How a member stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// Its term.
    pub term: u64,
    /// Whom it names as the leader.
    pub leader: Option<u64>,
    /// Whether it takes itself for the leader.
    pub leads: bool,
    /// The last entry of its log.
    pub last_index: u64,
    /// The last entry it has applied.
    pub applied_index: u64,
    /// The last entry that its snapshot covers.
    pub snapshot_index: u64,
    /// Who has a vote.
    pub voters: BTreeSet<u64>,
    /// Who is in the group without one.
    pub learners: BTreeSet<u64>,
    /// Why it has stopped by itself, if it has.
    pub failure: Option<String>,
}

/// A running member; clones are the same.
#[derive(Clone)]
pub struct Member(Arc<Inner>);

struct Inner {
    me: u64,
    raft: Raft,
    shared: Arc<Shared>,
    snapshots: Arc<SnapshotDir>,
    applied: Arc<Bell>,
    succession: Succession,
    started: Duration,
    /// When the leader was last heard, milliseconds; 0 = never.
    heard_ms: AtomicU64,
    leadership: Mutex<Option<u64>>,
    leadership_bell: Bell,
    lease: Duration,
    heartbeat: Duration,
    store_failure: Arc<Mutex<Option<String>>>,
    // Holds the directory.
    _store: Store<SimTypes>,
}

impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Member").field(&self.0.me).finish()
    }
}

impl Member {
    /// Opens the store and starts Raft, in the life of whoever calls.
    ///
    /// # Errors
    /// When a guard refuses the data directory, or Raft does not start.
    pub async fn start(setup: Setup) -> Result<Self, StartError> {
        let store_failure = Arc::new(Mutex::new(None));
        let mut options = Options::new("simulation", NodeId(setup.node_id), &setup.data_dir);
        options.disk = DiskPolicy {
            min_free_bytes: 0,
            reserve_bytes: 0,
        };
        options.snapshot = SnapshotPolicy {
            entries: setup.snapshot_entries,
            ..SnapshotPolicy::default()
        };
        options.on_fatal = FatalHook::new({
            let failure = Arc::clone(&store_failure);
            move |error| {
                let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                failure.get_or_insert(error.to_string());
            }
        });
        let config = raft_config(&options)?;
        let (store, state_machine, duties): Opened<SimTypes> =
            open_idle(&options, Arc::clone(&setup.backing))?;
        serve(duties, setup.disk);
        let failed = |error: &dyn ToString| StartError::Raft {
            path: options.data_dir.clone(),
            reason: error.to_string(),
        };
        let log = store.log.clone().get_log_state().await;
        let log = log.map_err(|error| failed(&error))?;
        let had_log = store.marker.content().initialised || log.last_log_id.is_some();
        let applied = Arc::new(Bell::default());
        let watched = Watched::new(
            state_machine,
            Arc::clone(&store.shared),
            setup.witness,
            Arc::clone(&applied),
        );
        let raft = Box::pin(Raft::new(
            setup.node_id,
            config,
            Network(setup.carrier),
            store.log.clone(),
            watched,
        ));
        let raft = raft.await.map_err(|error| failed(&error))?;
        let member = Self(Arc::new(Inner {
            me: setup.node_id,
            raft,
            shared: Arc::clone(&store.shared),
            snapshots: Arc::clone(&store.snapshots),
            applied,
            succession: Succession::new(had_log, options.election_max),
            started: Runtime::now(),
            heard_ms: AtomicU64::new(0),
            leadership: Mutex::new(None),
            leadership_bell: Bell::default(),
            lease: options.election_max,
            heartbeat: options.heartbeat,
            store_failure,
            _store: store,
        }));
        Runtime::go(watch_leadership(member.clone()));
        Runtime::go(shorten_log(member.clone(), setup.snapshot_entries));
        Ok(member)
    }

    /// Forms the group, once.
    ///
    /// # Errors
    /// When there is one already.
    pub async fn form(&self, members: &[u64]) -> Result<(), String> {
        let members: BTreeMap<u64, Peer> = members.iter().map(|id| (*id, peer(*id))).collect();
        let formed = Box::pin(self.0.raft.initialize(members)).await;
        formed.map_err(|error| error.to_string())
    }

    /// Waits until the registry here is applied up to `index`; false when that takes too long.
    pub async fn wait_applied(&self, index: u64, limit: Duration) -> bool {
        let mut applied = self.applied();
        let reached = async {
            while applied.at() <= index {
                if !applied.heard().await {
                    return false;
                }
            }
            true
        };
        Runtime::within(limit, reached).await == Some(true)
    }

    /// Hears of every entry that is applied here; rung with the next index.
    #[must_use]
    pub fn applied(&self) -> Listener {
        self.0.applied.listen()
    }

    /// Reads the registry as it is applied here.
    pub fn view<T>(&self, read: impl FnOnce(&Registry) -> T) -> T {
        self.0.shared.view(read)
    }

    /// Whom this node takes for the leader: itself while a quorum answers it, another while that is
    /// heard.
    #[must_use]
    pub fn leader(&self) -> Option<u64> {
        let inner = &*self.0;
        let metrics = inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        let leader = metrics.current_leader?;
        let is_there = if leader == inner.me {
            led_term(&metrics, inner.lease).is_some()
        } else {
            let heard = inner.heard_ms.load(Ordering::Relaxed);
            let ago = inner.now_ms().saturating_sub(heard);
            heard > 0 && u128::from(ago) <= (inner.lease * 2).as_millis()
        };
        is_there.then_some(leader)
    }

    /// The term that this node leads, with all of before it applied here.
    #[must_use]
    pub fn leadership(&self) -> Option<u64> {
        *self
            .0
            .leadership
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears of every change of [`Member::leadership`].
    #[must_use]
    pub fn leadership_changes(&self) -> Listener {
        self.0.leadership_bell.listen()
    }

    /// Who led before this node, which leads `term`.
    #[must_use]
    pub fn predecessor(&self, term: u64) -> Option<Predecessor> {
        self.0.succession.predecessor(term, self.0.up())
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let inner = &*self.0;
        let metrics = inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        let store_failure = inner.store_failure.lock();
        let store_failure = store_failure.unwrap_or_else(PoisonError::into_inner);
        let membership = metrics.membership_config.membership();
        Status {
            term: metrics.current_term,
            leader: metrics.current_leader,
            leads: metrics.state == ServerState::Leader,
            last_index: metrics.last_log_index.unwrap_or(0),
            applied_index: self.view(Registry::applied_index),
            snapshot_index: metrics.snapshot.map_or(0, |id| id.index),
            voters: membership.voter_ids().collect(),
            learners: membership.learner_ids().collect(),
            failure: store_failure.clone().or_else(|| failure(&metrics)),
        }
    }
}

impl Inner {
    fn up(&self) -> Duration {
        Runtime::now().saturating_sub(self.started)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(Runtime::now().as_millis())
            .unwrap_or(u64::MAX)
            .max(1)
    }

    fn votes_yet(&self) -> bool {
        self.succession.votes_yet(self.up())
    }

    fn named_leader(&self) -> Option<u64> {
        self.raft.metrics().borrow_watched().current_leader
    }

    fn tell(&self, term: Option<u64>) {
        let mut told = self
            .leadership
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *told != term {
            *told = term;
            drop(told);
            self.leadership_bell.nudge();
        }
    }
}

fn peer(node: u64) -> Peer {
    Peer {
        address: format!("node-{node}"),
        // Any store will do.
        store_uuid: String::new(),
    }
}

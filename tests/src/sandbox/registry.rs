//! The registry port over a registry in memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use libra_actors::ports::{ChangeFeed, Proposed, RegistryPort, Retirable, SessionView};
use libra_proto::registry::command::Kind;
use libra_proto::registry::{Applied, Command, NodeRecord, applied};
use libra_proto::types::{EndpointDemand, Epoch, JobId, NodeId, Place, SessionId, Standing};
use libra_raft::registry::Registry;
use tokio::sync::{broadcast, watch};
use tokio::task::yield_now;

use super::feed::MemoryFeed;

/// Few enough that a scheduler which is held up lags.
const FEED: usize = 64;
const NODE: NodeId = NodeId(1);
/// The term of every entry.
const TERM: u64 = 1;

/// A command and what it came to.
#[derive(Debug, Clone)]
pub struct Committed {
    /// The command.
    pub kind: Kind,
    /// Its answer.
    pub applied: Applied,
}

/// A registry in memory. Every proposal is applied at once; it may answer that its outcome is
/// unknown all the same.
pub struct MemoryRegistry {
    inner: Mutex<Inner>,
    feed: broadcast::Sender<Vec<libra_proto::types::Change>>,
    leadership: watch::Sender<Option<u64>>,
    proposals: AtomicU64,
    unknown_every: AtomicU64,
}

struct Inner {
    registry: Registry,
    now_ms: u64,
    journal: Vec<Committed>,
}

impl MemoryRegistry {
    /// An empty registry whose clock stands at 1 s.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::new(Inner {
                registry: Registry::default(),
                now_ms: 1_000,
                journal: Vec::new(),
            }),
            feed: broadcast::Sender::new(FEED),
            leadership: watch::Sender::new(Some(TERM)),
            proposals: AtomicU64::new(0),
            unknown_every: AtomicU64::new(0),
        })
    }

    /// Applies a command and tells the subscribers; each takes a millisecond of the registry's
    /// clock.
    pub fn apply(&self, kind: Kind) -> Applied {
        self.apply_as(0, kind)
    }

    fn apply_as(&self, leader_term: u64, kind: Kind) -> Applied {
        let (applied, changes) = {
            let mut inner = self.lock();
            inner.now_ms += 1;
            let command = Command {
                proposed_at_ms: inner.now_ms,
                proposer_node: NODE.0,
                leader_term,
                kind: Some(kind.clone()),
                ..Command::default()
            };
            let (index, mut changes) = (inner.registry.applied_index() + 1, Vec::new());
            let applied = inner.registry.apply(index, TERM, &command, &mut changes);
            let committed = Committed {
                kind,
                applied: applied.clone(),
            };
            inner.journal.push(committed);
            (applied, changes)
        };
        if !changes.is_empty() {
            // Nobody listens: nobody is to be told.
            let _ = self.feed.send(changes);
        }
        applied
    }

    /// Every so many proposals of the actors, one answers that its outcome is unknown: of these
    /// every other was applied. 0 = never.
    pub fn unknown_every(&self, proposals: u64) {
        self.unknown_every.store(proposals, Ordering::Relaxed);
    }

    /// What was committed since this was last asked.
    #[must_use]
    pub fn journal(&self) -> Vec<Committed> {
        std::mem::take(&mut self.lock().journal)
    }

    /// Reads the registry.
    pub fn view<T>(&self, read: impl FnOnce(&Registry) -> T) -> T {
        read(&self.lock().registry)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl RegistryPort for MemoryRegistry {
    async fn propose(&self, kind: Kind) -> Proposed {
        self.propose_as_leader(0, kind).await
    }

    async fn propose_as_leader(&self, term: u64, kind: Kind) -> Proposed {
        yield_now().await;
        let nth = 1 + self.proposals.fetch_add(1, Ordering::Relaxed);
        let every = self.unknown_every.load(Ordering::Relaxed);
        let unknown = every != 0 && nth.is_multiple_of(every);
        if unknown && nth.is_multiple_of(2 * every) {
            return Proposed::Unknown("it was lost on the way".to_owned());
        }
        let applied = self.apply_as(term, kind);
        if unknown {
            return Proposed::Unknown("the answer was lost".to_owned());
        }
        match applied.result {
            Some(applied::Result::Rejected(rejection)) => Proposed::Rejected(Box::new(rejection)),
            result => Proposed::Applied(Box::new(Applied { result })),
        }
    }

    fn leadership(&self) -> watch::Receiver<Option<u64>> {
        self.leadership.subscribe()
    }

    fn subscribe(&self) -> Box<dyn ChangeFeed> {
        Box::new(MemoryFeed(self.feed.subscribe()))
    }

    fn owned_sessions(&self) -> Vec<SessionId> {
        self.view(|registry| {
            let owned = registry.sessions_owned_by(NODE);
            owned
                .filter_map(|session| session.session_id.parse().ok())
                .collect()
        })
    }

    fn session(&self, id: &SessionId) -> Option<SessionView> {
        self.view(|registry| {
            Some(SessionView {
                index: registry.applied_index(),
                session: registry.session(id)?.clone(),
                running: registry.running_of(id).map(Arc::clone).collect(),
                cleanups: registry.cleanups_of(id).cloned().collect(),
            })
        })
    }

    async fn confirm_epoch(&self, id: &SessionId, epoch: Epoch) -> Option<bool> {
        Some(self.view(|registry| registry.session(id).is_some_and(|s| s.epoch == epoch.0)))
    }

    fn endpoints_in_use(&self) -> Vec<String> {
        self.view(|registry| registry.endpoints_in_use().map(str::to_owned).collect())
    }

    fn demand(&self, endpoint: &str) -> EndpointDemand {
        self.view(|registry| registry.demand(endpoint))
    }

    fn places(&self, jobs: &[JobId]) -> Vec<Option<Place>> {
        self.view(|registry| jobs.iter().map(|job| registry.place(*job)).collect())
    }

    fn standings(&self, jobs: &[JobId]) -> Vec<Option<Standing>> {
        self.view(|registry| jobs.iter().map(|job| registry.standing(*job)).collect())
    }

    fn backlog(&self, place: &Place) -> Vec<Standing> {
        self.view(|registry| registry.backlog(place))
    }

    fn are_open(&self, sessions: &[SessionId]) -> Vec<bool> {
        let open = |registry: &Registry| {
            sessions
                .iter()
                .map(|id| registry.is_session_open(id))
                .collect()
        };
        self.view(open)
    }

    fn overdue(&self, now_ms: u64) -> Vec<JobId> {
        self.view(|registry| registry.overdue(now_ms, 500))
    }

    fn idle_sessions(&self, now_ms: u64) -> Vec<(SessionId, u64)> {
        self.view(|registry| registry.idle_sessions(now_ms))
    }

    fn retirable(&self, now_ms: u64) -> Retirable {
        let (jobs, sessions) = self.view(|registry| registry.retirable(now_ms, 500));
        Retirable { jobs, sessions }
    }

    fn nodes(&self) -> Vec<NodeRecord> {
        self.view(|registry| registry.nodes().cloned().collect())
    }

    fn clock_ms(&self) -> u64 {
        self.view(Registry::clock_ms)
    }

    fn node_id(&self) -> NodeId {
        NODE
    }

    fn now_ms(&self) -> u64 {
        self.lock().now_ms
    }

    fn uptime_ms(&self) -> u64 {
        self.now_ms()
    }
}

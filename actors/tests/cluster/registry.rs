//! A registry in memory, of which a test may change anything.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use libra_actors::ports::{ChangeFeed, Feed, Proposed, RegistryPort, Retirable, SessionView};
use libra_proto::registry::command::Kind;
use libra_proto::registry::{
    Applied, Done, Incarnation, NodeRecord, NodeState, Rejection, RejectionCode, SchedulingMode,
    SessionRecord, SessionState, StatementRecord, StatementState, applied,
};
use libra_proto::types::{
    Change, EndpointDemand, Epoch, JobId, NodeId, Place, SessionId, Standing,
};
use tokio::sync::{broadcast, watch};

pub(crate) const NODE: NodeId = NodeId(1);
pub(crate) const SESSION: &str = "s";
/// How much of what is old is told of at once.
const RETIRABLE: usize = 100;
/// When the pretended statements began to run.
pub(crate) const STARTED_MS: u64 = 1_000_000;

/// What was proposed, and in which term.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Proposal {
    pub(crate) term: u64,
    pub(crate) kind: Kind,
}

pub(crate) struct Pretended {
    inner: Mutex<Inner>,
    feed: broadcast::Sender<Vec<Change>>,
    leadership: watch::Sender<Option<u64>>,
    began: Instant,
}

#[derive(Default)]
struct Inner {
    index: u64,
    sessions: BTreeMap<SessionId, SessionView>,
    nodes: BTreeMap<u64, NodeRecord>,
    journal: Vec<Proposal>,
    /// What a linearizable read would say, if it is not what is applied here.
    truth: Option<Option<bool>>,
    confirmed: usize,
    overdue: Vec<JobId>,
    /// What retention no longer keeps.
    old: Vec<JobId>,
    panics: usize,
    detector_panics: usize,
    unknown: bool,
    leaderless: bool,
    clock_ms: u64,
    wall_ms: u64,
    /// Until when deadlines were asked for last.
    asked_ms: u64,
}

impl Pretended {
    pub(crate) fn new() -> Arc<Self> {
        let inner = Inner {
            clock_ms: STARTED_MS,
            wall_ms: STARTED_MS,
            ..Inner::default()
        };
        Arc::new(Self {
            inner: Mutex::new(inner),
            feed: broadcast::Sender::new(64),
            leadership: watch::Sender::new(None),
            began: Instant::now(),
        })
    }

    pub(crate) fn lead(&self, term: Option<u64>) {
        self.leadership.send_replace(term);
    }

    /// The session, open on that endpoint and owned by that node.
    pub(crate) fn open_session(&self, endpoint: &str, owner: u64) {
        let spark_session_id = "00000000-0000-4000-8000-000000000001";
        let session = SessionRecord {
            session_id: SESSION.to_owned(),
            state: SessionState::Open.into(),
            owner_node: owner,
            epoch: 1,
            endpoint: endpoint.to_owned(),
            spark_session_id: spark_session_id.to_owned(),
            incarnation: Some(Incarnation {
                spark_session_id: spark_session_id.to_owned(),
                server_side_session_id: "driver-1".to_owned(),
                spark_user_id: "libra".to_owned(),
                remembers_operations: true,
                ..Incarnation::default()
            }),
            ..SessionRecord::default()
        };
        let view = SessionView {
            index: 0,
            session,
            running: Vec::new(),
            cleanups: Vec::new(),
        };
        self.lock().sessions.insert(id(), view);
        self.changed();
    }

    /// Changes the session.
    pub(crate) fn change(&self, change: impl FnOnce(&mut SessionView)) {
        change(self.lock().sessions.get_mut(&id()).unwrap());
        self.changed();
    }

    /// Gives the session to that node, in the next epoch.
    pub(crate) fn move_to(&self, node: u64) {
        self.change(|view| {
            view.session.owner_node = node;
            view.session.epoch += 1;
        });
    }

    /// A statement of the session becomes `running`.
    pub(crate) fn run(&self, job: u64) {
        self.change(|view| {
            view.running.push(Arc::new(StatementRecord {
                job,
                session_id: SESSION.to_owned(),
                state: StatementState::Running.into(),
                code: format!("SELECT {job}"),
                operation_id: operation(job),
                started_at_ms: STARTED_MS,
                ..StatementRecord::default()
            }));
        });
    }

    fn changed(&self) {
        self.lock().index += 1;
        // Nobody listens: nobody is to be told.
        let _ = self.feed.send(vec![Change::Session(id())]);
    }

    pub(crate) fn put_node(&self, node_id: u64, boot_id: &str) {
        let node = NodeRecord {
            node_id,
            boot_id: boot_id.to_owned(),
            state: NodeState::Up.into(),
            ..NodeRecord::default()
        };
        self.lock().nodes.insert(node_id, node);
    }

    pub(crate) fn set_node_state(&self, node_id: u64, state: NodeState) {
        self.lock().nodes.get_mut(&node_id).unwrap().state = state.into();
    }

    pub(crate) fn set_truth(&self, truth: Option<Option<bool>>) {
        self.lock().truth = truth;
    }

    /// How often the owner of a session was asked linearizably.
    pub(crate) fn confirmed(&self) -> usize {
        self.lock().confirmed
    }

    pub(crate) fn set_old(&self, statements: u64) {
        self.lock().old = (1..=statements).map(JobId).collect();
    }

    pub(crate) fn old(&self) -> usize {
        self.lock().old.len()
    }

    pub(crate) fn set_overdue(&self, jobs: &[u64]) {
        self.lock().overdue = jobs.iter().map(|job| JobId(*job)).collect();
    }

    /// So many times a question of the reaper panics.
    pub(crate) fn panic_times(&self, times: usize) {
        self.lock().panics = times;
    }

    /// The next question of the detector panics.
    pub(crate) fn panic_the_detector(&self) {
        self.lock().detector_panics = 1;
    }

    pub(crate) fn set_unknown(&self, unknown: bool) {
        self.lock().unknown = unknown;
    }

    /// Nothing that is proposed is applied, and the answer comes at once.
    pub(crate) fn set_leaderless(&self, leaderless: bool) {
        self.lock().leaderless = leaderless;
    }

    /// Until when deadlines were asked for last.
    pub(crate) fn asked_ms(&self) -> u64 {
        self.lock().asked_ms
    }

    /// The registry's clock, and this node's own.
    pub(crate) fn set_clocks(&self, clock_ms: u64, wall_ms: u64) {
        let mut inner = self.lock();
        (inner.clock_ms, inner.wall_ms) = (clock_ms, wall_ms);
    }

    pub(crate) fn journal(&self) -> Vec<Proposal> {
        self.lock().journal.clone()
    }

    /// What was proposed that `pick` picks.
    pub(crate) fn proposed<T>(&self, pick: impl Fn(&Kind) -> Option<T>) -> Vec<T> {
        let inner = self.lock();
        inner.journal.iter().filter_map(|p| pick(&p.kind)).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }
}

impl Inner {
    fn apply(&mut self, kind: &Kind) -> Result<(), RejectionCode> {
        match kind {
            Kind::Retire(retire) => {
                self.old = self.old.split_off(retire.jobs.len());
            }
            Kind::Finish(finish) => {
                let view = self.of_epoch(finish.epoch)?;
                view.running.retain(|statement| statement.job != finish.job);
            }
            Kind::OpenSession(open) => {
                let view = self.of_epoch(open.epoch)?;
                view.session.set_state(SessionState::Open);
                view.session.incarnation = open.incarnation.clone();
            }
            Kind::MoveSession(moved) => {
                let target = self.nodes.get(&moved.to_node);
                if target.is_some_and(|node| !node.state().is_up()) {
                    return Err(RejectionCode::NoNode);
                }
                let view = self.of_epoch(moved.epoch)?;
                let from = view.session.owner_node;
                view.session.owner_node = moved.to_node;
                view.session.epoch += 1;
                let mut running = view.running.iter_mut();
                if let Some(statement) = running.find(|s| s.job == moved.not_stored) {
                    Arc::make_mut(statement).not_stored_on.push(from);
                }
            }
            Kind::FailSession(failed) => {
                let view = self.of_epoch(failed.epoch)?;
                view.session.set_state(SessionState::Failed);
            }
            Kind::SessionClosed(closed) => {
                let view = self.of_epoch(closed.epoch)?;
                view.session.set_state(SessionState::Closed);
            }
            _ => {}
        }
        Ok(())
    }

    fn of_epoch(&mut self, epoch: u64) -> Result<&mut SessionView, RejectionCode> {
        let view = self.sessions.get_mut(&id());
        let view = view.ok_or(RejectionCode::UnknownSession)?;
        if view.session.epoch == epoch {
            Ok(view)
        } else {
            Err(RejectionCode::StaleEpoch)
        }
    }
}

pub(crate) fn id() -> SessionId {
    SESSION.parse().unwrap()
}

pub(crate) fn operation(job: u64) -> String {
    format!("00000000-0000-4000-9000-{job:012}")
}

struct Changes(broadcast::Receiver<Vec<Change>>);

#[async_trait]
impl ChangeFeed for Changes {
    async fn next(&mut self) -> Feed {
        match self.0.recv().await {
            Ok(changes) => Feed::Changes(changes),
            Err(broadcast::error::RecvError::Lagged(_)) => Feed::Lagged,
            Err(broadcast::error::RecvError::Closed) => Feed::Closed,
        }
    }
}

#[async_trait]
impl RegistryPort for Pretended {
    async fn propose(&self, kind: Kind) -> Proposed {
        self.propose_as_leader(0, kind).await
    }

    async fn propose_as_leader(&self, term: u64, kind: Kind) -> Proposed {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let (result, unknown) = {
            let mut inner = self.lock();
            let result = if inner.leaderless {
                Ok(())
            } else {
                inner.apply(&kind)
            };
            inner.journal.push(Proposal { term, kind });
            (result, inner.unknown || inner.leaderless)
        };
        self.changed();
        match result {
            _ if unknown => Proposed::Unknown("the answer was lost".to_owned()),
            Ok(()) => Proposed::Applied(Box::new(Applied {
                result: Some(applied::Result::Done(Done { changed: true })),
            })),
            Err(code) => Proposed::Rejected(Box::new(Rejection {
                code: code.into(),
                ..Rejection::default()
            })),
        }
    }

    fn leadership(&self) -> watch::Receiver<Option<u64>> {
        self.leadership.subscribe()
    }

    fn subscribe(&self) -> Box<dyn ChangeFeed> {
        Box::new(Changes(self.feed.subscribe()))
    }

    fn owned_sessions(&self) -> Vec<SessionId> {
        let inner = self.lock();
        let owned = inner.sessions.iter().filter(|(_, view)| {
            view.session.owner_node == NODE.0 && view.session.state().is_owned()
        });
        owned.map(|(id, _)| id.clone()).collect()
    }

    fn session(&self, id: &SessionId) -> Option<SessionView> {
        self.lock().sessions.get(id).cloned()
    }

    async fn confirm_epoch(&self, id: &SessionId, epoch: Epoch) -> Option<bool> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let mut inner = self.lock();
        inner.confirmed += 1;
        if let Some(truth) = inner.truth {
            return truth;
        }
        let view = inner.sessions.get(id)?;
        Some(view.session.epoch == epoch.0 && view.session.owner_node == NODE.0)
    }

    fn endpoints_in_use(&self) -> Vec<String> {
        Vec::new()
    }

    fn demand(&self, _endpoint: &str) -> EndpointDemand {
        EndpointDemand {
            slots: 0,
            taken: 0,
            order: SchedulingMode::Fair,
            pools: Vec::new(),
        }
    }

    fn places(&self, jobs: &[JobId]) -> Vec<Option<Place>> {
        jobs.iter().map(|_| None).collect()
    }

    fn standings(&self, jobs: &[JobId]) -> Vec<Option<Standing>> {
        jobs.iter().map(|_| None).collect()
    }

    fn backlog(&self, _place: &Place) -> Vec<Standing> {
        Vec::new()
    }

    fn are_open(&self, sessions: &[SessionId]) -> Vec<bool> {
        let inner = self.lock();
        let known: BTreeSet<&SessionId> = inner.sessions.keys().collect();
        sessions.iter().map(|id| known.contains(id)).collect()
    }

    fn overdue(&self, now_ms: u64) -> Vec<JobId> {
        let panics = {
            let mut inner = self.lock();
            inner.asked_ms = now_ms;
            let panics = inner.panics;
            inner.panics = panics.saturating_sub(1);
            panics
        };
        assert!(panics == 0, "as the test wants it");
        self.lock().overdue.clone()
    }

    fn idle_sessions(&self, _now_ms: u64) -> Vec<(SessionId, u64)> {
        Vec::new()
    }

    fn retirable(&self, _now_ms: u64) -> Retirable {
        let inner = self.lock();
        Retirable {
            jobs: inner.old.iter().take(RETIRABLE).copied().collect(),
            sessions: Vec::new(),
        }
    }

    fn nodes(&self) -> Vec<NodeRecord> {
        let panics = std::mem::take(&mut self.lock().detector_panics);
        assert!(panics == 0, "as the test wants it");
        self.lock().nodes.values().cloned().collect()
    }

    fn clock_ms(&self) -> u64 {
        self.lock().clock_ms
    }

    fn node_id(&self) -> NodeId {
        NODE
    }

    fn now_ms(&self) -> u64 {
        let inner = self.lock();
        inner.wall_ms.max(inner.clock_ms)
    }

    fn uptime_ms(&self) -> u64 {
        let up = self.began.elapsed().as_millis();
        u64::try_from(up).unwrap_or(u64::MAX)
    }
}

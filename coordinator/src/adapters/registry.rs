//! The registry port over the replicated registry.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use libra_actors::ports::{ChangeFeed, Feed, Proposed, RegistryPort, Retirable, SessionView};
use libra_proto::registry::{Applied, Command, NodeRecord, PoolRecord, Settings, applied, command};
use libra_proto::trace::{self, TraceContext};
use libra_proto::types::{EndpointDemand, Epoch, JobId, NodeId, Place, SessionId, Standing};
use libra_raft::registry::{Registry, SHARED_SESSION, Shortages};
use libra_raft::{FeedEvent, Handle, ProposeError, ReadError};
use tokio::sync::watch;
use tracing::Span;

use crate::clock::{self, CommandClock};

/// How many deadlines, or entries of history, one command takes at most.
const BATCH: usize = 500;

/// The registry of this node, for its actors.
#[derive(Clone)]
pub struct RaftRegistry {
    handle: Handle,
    node: NodeId,
    clock: Arc<CommandClock>,
}

impl RaftRegistry {
    /// Joins the actors of `node` to its registry.
    #[must_use]
    pub fn new(handle: Handle, node: NodeId) -> Self {
        let clock = Arc::new(CommandClock::new());
        Self {
            handle,
            node,
            clock,
        }
    }

    fn command(&self, kind: command::Kind) -> Command {
        Command {
            proposed_at_ms: self.now_ms(),
            proposer_node: self.node.0,
            kind: Some(kind),
            ..Command::default()
        }
    }

    /// A span for each statement of a trace that the command would start.
    fn grant_spans(&self, term: u64, kind: &command::Kind) -> Vec<Span> {
        let command::Kind::StartBatch(batch) = kind else {
            return Vec::new();
        };
        if !trace::is_on() {
            return Vec::new();
        }
        let place = |registry: &Registry, job: &u64| {
            let statement = registry.statement(JobId(*job))?;
            let (parent, state) = (&statement.traceparent, &statement.tracestate);
            Some((JobId(*job), TraceContext::read(parent, Some(state))?))
        };
        let places: Vec<_> = self.handle.view(|registry| {
            let jobs = batch.jobs.iter();
            jobs.filter_map(|job| place(registry, job)).collect()
        });
        let span = |(job, place): (JobId, TraceContext)| {
            let span =
                tracing::debug_span!(target: trace::TARGET, "statement.grant", job_id = %job, term);
            trace::under(span, Some(&place))
        };
        places.into_iter().map(span).collect()
    }

    /// Waits until everything that was acknowledged before is applied here.
    ///
    /// # Errors
    /// When no leader answers in time.
    pub async fn read_index(&self) -> Result<u64, ReadError> {
        self.handle.read_index().await
    }

    /// Results with too few copies, as applied here: see [`Registry::under_copied`].
    #[must_use]
    pub fn under_copied(&self, from: JobId, looked_most: usize, found_most: usize) -> Shortages {
        self.handle
            .view(|registry| registry.under_copied(from, looked_most, found_most))
    }

    /// The epoch whose file holds the result of a statement that has ended with one.
    #[must_use]
    pub fn result_epoch(&self, job: JobId) -> Option<Epoch> {
        self.handle.view(|registry| {
            let statement = registry.statement(job)?;
            let ended = statement.state().has_ended();
            let manifest = statement.result.as_ref().filter(|_| ended)?;
            Some(Epoch(manifest.epoch))
        })
    }

    /// Whether the registry still has the statement.
    #[must_use]
    pub fn knows(&self, job: JobId) -> bool {
        self.handle
            .view(|registry| registry.statement(job).is_some())
    }

    /// Whether the shared session takes statements, now or soon.
    #[must_use]
    pub fn shared_session_is_live(&self) -> bool {
        let Ok(id) = SHARED_SESSION.parse() else {
            return false;
        };
        self.handle.view(|registry| {
            registry
                .session(&id)
                .is_some_and(|session| session.state().is_live())
        })
    }

    /// The settings that the cluster has committed.
    #[must_use]
    pub fn settings(&self) -> Option<Settings> {
        self.handle.view(|registry| registry.settings().cloned())
    }

    /// Whether the registry has room for a small result of so many bytes.
    pub(super) fn has_room_inline(&self, bytes: u64) -> bool {
        self.handle.view(|registry| registry.has_room_inline(bytes))
    }

    /// All pools, as applied here.
    #[must_use]
    pub fn pools(&self) -> Vec<PoolRecord> {
        self.handle
            .view(|registry| registry.pools().cloned().collect())
    }

    /// One pool, as applied here.
    #[must_use]
    pub fn pool(&self, name: &str) -> Option<PoolRecord> {
        self.handle.view(|registry| registry.pool(name).cloned())
    }
}

#[async_trait]
impl RegistryPort for RaftRegistry {
    async fn propose(&self, kind: command::Kind) -> Proposed {
        proposed(self.handle.propose(self.command(kind)).await)
    }

    async fn propose_as_leader(&self, term: u64, kind: command::Kind) -> Proposed {
        // Each grant is a span of its statement's; the batch is one commit.
        let _spans = self.grant_spans(term, &kind);
        proposed(
            self.handle
                .propose_as_leader(term, self.command(kind))
                .await,
        )
    }

    fn leadership(&self) -> watch::Receiver<Option<u64>> {
        self.handle.leadership()
    }

    fn predecessor(&self, term: u64) -> Option<(NodeId, Duration)> {
        let before = self.handle.predecessor(term)?;
        Some((before.node_id, before.silent_for))
    }

    fn subscribe(&self) -> Box<dyn ChangeFeed> {
        Box::new(RaftFeed(self.handle.subscribe()))
    }

    fn owned_sessions(&self) -> Vec<SessionId> {
        self.handle.view(|registry| {
            let owned = registry.sessions_owned_by(self.node);
            owned
                .filter_map(|session| session.session_id.parse().ok())
                .collect()
        })
    }

    fn session(&self, id: &SessionId) -> Option<SessionView> {
        self.handle.view(|registry| {
            Some(SessionView {
                index: registry.applied_index(),
                session: registry.session(id)?.clone(),
                running: registry.running_of(id).map(Arc::clone).collect(),
                cleanups: registry.cleanups_of(id).cloned().collect(),
            })
        })
    }

    async fn confirm_epoch(&self, id: &SessionId, epoch: Epoch) -> Option<bool> {
        self.handle.read_index().await.ok()?;
        Some(self.handle.view(|registry| {
            registry.session(id).is_some_and(|session| {
                session.epoch == epoch.0 && session.owner_node == self.node.0
            })
        }))
    }

    fn endpoints_in_use(&self) -> Vec<String> {
        self.handle
            .view(|registry| registry.endpoints_in_use().map(str::to_owned).collect())
    }

    fn demand(&self, endpoint: &str) -> EndpointDemand {
        self.handle.view(|registry| registry.demand(endpoint))
    }

    fn places(&self, jobs: &[JobId]) -> Vec<Option<Place>> {
        self.handle
            .view(|registry| jobs.iter().map(|job| registry.place(*job)).collect())
    }

    fn standings(&self, jobs: &[JobId]) -> Vec<Option<Standing>> {
        self.handle
            .view(|registry| jobs.iter().map(|job| registry.standing(*job)).collect())
    }

    fn backlog(&self, place: &Place) -> Vec<Standing> {
        self.handle.view(|registry| registry.backlog(place))
    }

    fn are_open(&self, sessions: &[SessionId]) -> Vec<bool> {
        let open = |registry: &Registry| {
            sessions
                .iter()
                .map(|id| registry.is_session_open(id))
                .collect()
        };
        self.handle.view(open)
    }

    fn overdue(&self, now_ms: u64) -> Vec<JobId> {
        self.handle.view(|registry| registry.overdue(now_ms, BATCH))
    }

    fn idle_sessions(&self, now_ms: u64) -> Vec<(SessionId, u64)> {
        self.handle.view(|registry| registry.idle_sessions(now_ms))
    }

    fn retirable(&self, now_ms: u64) -> Retirable {
        let (jobs, sessions) = self
            .handle
            .view(|registry| registry.retirable(now_ms, BATCH));
        Retirable { jobs, sessions }
    }

    fn nodes(&self) -> Vec<NodeRecord> {
        self.handle
            .view(|registry| registry.nodes().cloned().collect())
    }

    fn clock_ms(&self) -> u64 {
        self.handle.view(Registry::clock_ms)
    }

    fn node_id(&self) -> NodeId {
        self.node
    }

    fn now_ms(&self) -> u64 {
        self.clock.now_ms(self.clock_ms())
    }

    fn uptime_ms(&self) -> u64 {
        clock::uptime_ms()
    }
}

/// A proposal that was not answered may have been applied all the same; the actors read on.
fn proposed(answer: Result<Applied, ProposeError>) -> Proposed {
    match answer {
        Ok(applied) => match applied.result {
            Some(applied::Result::Rejected(rejection)) => Proposed::Rejected(Box::new(rejection)),
            _ => Proposed::Applied(Box::new(applied)),
        },
        Err(error) => Proposed::Unknown(error.to_string()),
    }
}

struct RaftFeed(libra_raft::ChangeFeed);

#[async_trait]
impl ChangeFeed for RaftFeed {
    async fn next(&mut self) -> Feed {
        match self.0.next().await {
            FeedEvent::Changes(changes, _) => Feed::Changes(changes),
            FeedEvent::Lagged => Feed::Lagged,
            FeedEvent::Closed => Feed::Closed,
        }
    }
}

//! The session supervisor: an actor whose children are the session actors of this node.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use libra_proto::types::SessionId;
use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::ports::Feed;
use crate::pump::{self, Attached, Handled};
use crate::session;
use crate::spark::{ClientOptions, Endpoint};
use crate::statement::Ports;

use super::handler;
use super::restart::{History, Policy};

/// The supervisor of this node's session actors.
pub(super) struct SessionSupervisor;

/// What the session supervisor is told.
pub(super) enum Message {
    /// The registry has changed.
    Feed(Feed, Handled),
    /// A child has ended and nothing of it runs any more: see what is to be started.
    Vacant(SessionId),
    /// Take no sessions but these, each in its epoch: they are run until they are moved.
    /// The sender is dropped when that is noted.
    Drain(Kept, oneshot::Sender<()>),
}

/// What the session supervisor is started with.
#[derive(Clone)]
pub(super) struct Arguments {
    pub(super) ports: Ports,
    /// The endpoints, by name.
    pub(super) endpoints: Arc<BTreeMap<String, Arc<Endpoint>>>,
    pub(super) client: ClientOptions,
    pub(super) conf: Arc<session::DefaultConf>,
    pub(super) session: session::Options,
    pub(super) policy: Policy,
    pub(super) trackers: Trackers,
    /// While this node drains: the sessions that it had when that began.
    pub(super) draining: Option<Kept>,
}

/// Sessions that a draining node keeps until they are moved, each with its epoch.
pub(super) type Kept = Arc<BTreeMap<SessionId, u64>>;

/// What session actors have started, by session. It outlives the session supervisor, so that one
/// that is started again after a crash waits for what the last one's children had started.
#[derive(Clone, Default)]
pub(super) struct Trackers(Arc<Mutex<BTreeMap<SessionId, Arc<TaskTracker>>>>);

impl Trackers {
    pub(super) fn put(&self, id: &SessionId, tasks: &Arc<TaskTracker>) {
        self.lock().insert(id.clone(), Arc::clone(tasks));
    }

    /// The tracker of the session's last actor, if something of it still runs.
    pub(super) fn unfinished(&self, id: &SessionId) -> Option<Arc<TaskTracker>> {
        let mut trackers = self.lock();
        let tasks = trackers.get(id).cloned()?;
        if tasks.is_empty() {
            trackers.remove(id);
            return None;
        }
        Some(tasks)
    }

    /// Nothing is to be waited for if nothing of the session's last actor runs.
    pub(super) fn forget(&self, id: &SessionId) {
        let _ = self.unfinished(id);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<SessionId, Arc<TaskTracker>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One session actor, as its supervisor sees it.
pub(super) struct Child {
    pub(super) actor: ActorRef<session::Message>,
    pub(super) tasks: Arc<TaskTracker>,
    /// A reconcile is on its way: another would find nothing more.
    pub(super) poked: Arc<AtomicBool>,
}

/// The supervisor's state.
pub(super) struct State {
    pub(super) arguments: Arguments,
    pub(super) children: BTreeMap<SessionId, Child>,
    /// Sessions whose child has ended, until everything of it is gone.
    pub(super) vacating: BTreeMap<SessionId, Attached>,
    pub(super) histories: BTreeMap<SessionId, History>,
    /// How often sessions came here whose endpoint this node does not have.
    pub(super) strayed: BTreeMap<SessionId, History>,
    pub(super) started: Instant,
    _pump: Attached,
}

impl State {
    /// Time since the supervisor was started.
    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Actor for SessionSupervisor {
    type Msg = Message;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        me: ActorRef<Message>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let pump = pump::start(arguments.ports.registry.as_ref(), &me, Message::Feed);
        Ok(State {
            arguments,
            children: BTreeMap::new(),
            vacating: BTreeMap::new(),
            histories: BTreeMap::new(),
            strayed: BTreeMap::new(),
            started: Instant::now(),
            _pump: pump,
        })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Feed(feed, _handled) => handler::changed(&me, state, feed).await,
            Message::Drain(kept, _noted) => state.arguments.draining = Some(kept),
            Message::Vacant(id) => {
                state.vacating.remove(&id);
                handler::ensure(&me, state, &id).await;
            }
        }
        Ok(())
    }

    async fn handle_supervisor_evt(
        &self,
        me: ActorRef<Message>,
        event: SupervisionEvent,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(cell, error) => {
                handler::crashed(&me, state, cell.get_id(), &error.to_string());
            }
            SupervisionEvent::ActorTerminated(cell, _, _) => {
                handler::ended(&me, state, cell.get_id());
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => {}
        }
        Ok(())
    }
}

//! The session actor, as production's `session::handler` and `session::keeper`, and who starts one
//! for each session that this node owns.
//!
//! **Invariant:** it acts only while the registry names this node and this epoch, and the fence is
//! open.

mod reports;
mod tasks;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use libra_actors::session::Begun;
use libra_actors::statement::machine::Intents;
use libra_proto::registry::{
    CleanupRecord, Incarnation, SessionRecord, SessionState, StatementRecord,
};
use libra_proto::types::{JobId, NodeId, SessionId};
use libra_raft::simulation::{Bell, Runtime};
use tokio::sync::mpsc;

use super::Node;
use super::lease::Fence;
use super::registry::Proposed;
use super::runner::{Outcome, Wishes};
use crate::sim::spark::Broken;
use crate::sim::trace::note;

/// How often Spark is shown that the session is wanted.
const KEEP_ALIVE: Duration = Duration::from_millis(1_500);
/// The longest wait between two attempts.
const MAX_BACKOFF: Duration = Duration::from_secs(1);
/// Releasing a Spark session takes at most so long.
const RELEASE_LIMIT: Duration = Duration::from_secs(2);

/// A proposal under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Open,
    Reset,
    Fail,
    Closed,
    CleanupDone(JobId),
}

enum Message {
    Reconcile,
    Opened(String, Result<Incarnation, Broken>),
    Proposed(What, Proposed),
    RunnerEnded(JobId, String, Outcome),
    CleanedUp(JobId, String, Cleaned),
    KeepAlive,
    KeptAlive(String, Result<(), Broken>),
    Released,
    NotOurs,
}

enum Cleaned {
    Done,
    SessionLost(String),
    NotYet,
}

/// A session actor, from outside.
pub(super) struct Handle {
    epoch: u64,
    messages: mpsc::UnboundedSender<Message>,
    poked: Arc<AtomicBool>,
}

/// Ends all tasks of an actor when it ends.
#[derive(Default)]
struct Stop {
    over: AtomicBool,
    bell: Bell,
}

impl Stop {
    fn stop(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.bell.nudge();
    }

    async fn stopped(&self) {
        let mut bell = self.bell.listen();
        while !self.over.load(Ordering::Relaxed) {
            if !bell.heard().await {
                return;
            }
        }
    }
}

struct View {
    session: SessionRecord,
    running: Vec<Arc<StatementRecord>>,
    cleanups: Vec<CleanupRecord>,
}

impl Node {
    /// Starts an actor for every session that this node owns, and pokes those there are.
    pub(super) async fn supervise_sessions(self) {
        let Some(member) = self.member() else { return };
        let mut applied = member.applied();
        loop {
            self.look_at_sessions();
            if !applied.heard().await {
                return;
            }
        }
    }

    fn look_at_sessions(&self) {
        let me = NodeId(self.id());
        let owned = self.view(|registry| {
            let owned = registry.sessions_owned_by(me);
            owned
                .map(|session| (session.session_id.clone(), session.epoch))
                .collect::<Vec<_>>()
        });
        let owned: BTreeMap<String, u64> = owned.unwrap_or_default().into_iter().collect();
        let mut state = self.state();
        state
            .sessions
            .retain(|_, handle| !handle.messages.is_closed());
        for handle in state.sessions.values() {
            if !handle.poked.swap(true, Ordering::AcqRel) {
                let _ = handle.messages.send(Message::Reconcile);
            }
        }
        for (id, epoch) in owned {
            // One of an older epoch ends by itself first.
            if state.sessions.contains_key(&id) {
                continue;
            }
            let Ok(parsed) = id.parse::<SessionId>() else {
                continue;
            };
            let (messages, inbox) = mpsc::unbounded_channel();
            let poked = Arc::new(AtomicBool::new(true));
            let _ = messages.send(Message::Reconcile);
            let (node, own, flag) = (self.clone(), messages.clone(), Arc::clone(&poked));
            let handle = Handle {
                epoch,
                messages,
                poked,
            };
            note!(
                self.world(),
                "n{} takes {id} in epoch {}",
                self.id(),
                handle.epoch
            );
            state.sessions.insert(id.clone(), handle);
            drop(state);
            // It reads its lease when it is made.
            let fence = Fence::new(node.clone(), id, epoch);
            let actor = Actor {
                id: parsed,
                epoch,
                node,
                fence,
                messages: own.downgrade(),
                poked: flag,
                stop: Arc::default(),
                incarnation: None,
                runners: BTreeMap::new(),
                begun: Begun::default(),
                never_sent: BTreeSet::new(),
                cleaning: BTreeSet::new(),
                proposing: BTreeSet::new(),
                opening: None,
                probing: false,
                releasing: false,
                keeps_alive: false,
                failed_attempts: 0,
                unanswered: 0,
                ended: false,
            };
            Runtime::go(actor.run(inbox));
            state = self.state();
        }
    }
}

struct Running {
    wishes: Arc<Wishes>,
    stop: Arc<Stop>,
}

struct Actor {
    id: SessionId,
    epoch: u64,
    node: Node,
    fence: Fence,
    messages: mpsc::WeakUnboundedSender<Message>,
    poked: Arc<AtomicBool>,
    stop: Arc<Stop>,
    incarnation: Option<Incarnation>,
    runners: BTreeMap<JobId, Running>,
    begun: Begun,
    never_sent: BTreeSet<JobId>,
    cleaning: BTreeSet<JobId>,
    proposing: BTreeSet<What>,
    opening: Option<String>,
    probing: bool,
    releasing: bool,
    keeps_alive: bool,
    failed_attempts: u32,
    unanswered: u32,
    ended: bool,
}

fn intents_of(statement: &StatementRecord) -> Intents {
    Intents {
        cancel: statement.cancel_requested_at_ms != 0,
        timeout: statement.timed_out_at_ms != 0,
    }
}

impl Actor {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Message>) {
        while !self.ended {
            let Some(message) = inbox.recv().await else {
                break;
            };
            self.handle(message);
        }
        self.stop.stop();
        for running in self.runners.values() {
            running.stop.stop();
        }
        inbox.close();
        drop(inbox);
        // Perhaps the session is this node's in another epoch.
        self.node.look_at_sessions();
    }

    fn handle(&mut self, message: Message) {
        match message {
            Message::Reconcile => {
                self.poked.store(false, Ordering::Release);
                self.reconcile();
            }
            Message::Opened(spark_session_id, result) => self.opened(&spark_session_id, result),
            Message::Proposed(what, result) => self.proposed(what, &result),
            Message::RunnerEnded(job, lived_in, outcome) => {
                self.runner_ended(job, &lived_in, outcome);
            }
            Message::CleanedUp(job, lived_in, outcome) => self.cleaned_up(job, &lived_in, outcome),
            Message::KeepAlive => self.keep_alive(),
            Message::KeptAlive(lived_in, result) => self.kept_alive(&lived_in, result),
            Message::Released => self.released(),
            Message::NotOurs => self.ended = true,
        }
    }

    /// The session as the registry has it, if it is still this actor's.
    fn ours(&mut self) -> Option<View> {
        let (id, me, epoch) = (self.id.clone(), self.node.id(), self.epoch);
        let view = self.node.view(|registry| {
            let session = registry.session(&id)?;
            (session.epoch == epoch && session.owner_node == me).then(|| View {
                session: session.clone(),
                running: registry.running_of(&id).map(Arc::clone).collect(),
                cleanups: registry.cleanups_of(&id).cloned().collect(),
            })
        });
        let view = view.flatten();
        if view.is_none() {
            self.ended = true;
        }
        view
    }

    fn reconcile(&mut self) {
        let Some(view) = self.ours() else { return };
        self.begun
            .look(view.running.iter().map(|s| JobId(s.job)).collect());
        match view.session.state() {
            SessionState::Starting => {
                self.start(&view);
                self.clean_up(&view);
            }
            SessionState::Open => {
                self.adopt(&view);
                self.run_statements(&view);
            }
            SessionState::Closing => {
                self.adopt(&view);
                self.run_statements(&view);
                let closed = self.proposing.contains(&What::Closed);
                if view.running.is_empty() && self.runners.is_empty() && !closed {
                    self.release();
                }
            }
            SessionState::Closed | SessionState::Failed | SessionState::Unspecified => {
                self.clean_up(&view);
                if view.cleanups.is_empty() {
                    self.ended = true;
                }
            }
        }
    }
}

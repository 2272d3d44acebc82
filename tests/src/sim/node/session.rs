//! The session actor, as production's `session::handler` and `session::keeper`, and who starts one
//! for each session that this node owns.
//!
//! **Invariant:** it acts only while the registry names this node and this epoch, and the fence is
//! open.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures::future::{Either, select};
use libra_actors::session::Begun;
use libra_actors::statement::machine::Intents;
use libra_proto::registry::{
    CleanupDone, CleanupRecord, FailSession, Incarnation, OpenSession, ResetSession, SessionClosed,
    SessionRecord, SessionState, StatementRecord, command,
};
use libra_proto::types::{JobId, NodeId, SessionId};
use libra_raft::simulation::{Bell, Runtime};
use tokio::sync::mpsc;

use super::Node;
use super::lease::{Fence, Owner};
use super::registry::Proposed;
use super::runner::{Outcome, Runner, Wishes};
use crate::sim::spark::{Broken, Poisoned, Session, session_lost};
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

    fn start(&mut self, view: &View) {
        let wanted = view.session.spark_session_id.clone();
        if self.opening.as_ref() == Some(&wanted) || self.proposing.contains(&What::Open) {
            return;
        }
        self.incarnation = None;
        self.opening = Some(wanted.clone());
        let (node, delay) = (self.node.clone(), wait_after(self.failed_attempts));
        self.spawn(delay, async move {
            let world = node.world();
            let opened = world.spark.open(&world.net, node.id(), &wanted).await;
            Message::Opened(wanted, opened)
        });
    }

    fn adopt(&mut self, view: &View) {
        if let Some(committed) = &view.session.incarnation
            && self.incarnation.as_ref() != Some(committed)
        {
            self.incarnation = Some(committed.clone());
            if !std::mem::replace(&mut self.keeps_alive, true) {
                self.tick();
            }
        }
    }

    fn run_statements(&mut self, view: &View) {
        for statement in &view.running {
            match self.runners.get(&JobId(statement.job)) {
                Some(running) => running.wishes.set(intents_of(statement)),
                None => self.run_one(Arc::clone(statement)),
            }
        }
        self.clean_up(view);
    }

    fn run_one(&mut self, statement: Arc<StatementRecord>) {
        if self.proposing.contains(&What::Reset) {
            return;
        }
        let Some(session) = self.spark() else { return };
        let job = JobId(statement.job);
        let wishes = Wishes::new(intents_of(&statement));
        let lived_in = session.incarnation.spark_session_id.clone();
        let runner = Runner {
            node: self.node.clone(),
            session,
            epoch: self.epoch,
            fence: self.fence.clone(),
            fresh: self.begun.is_fresh(job),
            wishes: Arc::clone(&wishes),
            statement,
        };
        let (stop, messages) = (Arc::<Stop>::default(), self.messages.clone());
        let own = Arc::clone(&stop);
        Runtime::go(async move {
            let run = Box::pin(runner.run());
            if let Either::Left((outcome, _)) = select(run, Box::pin(own.stopped())).await
                && let Some(messages) = messages.upgrade()
            {
                let _ = messages.send(Message::RunnerEnded(job, lived_in, outcome));
            }
        });
        self.begun.begin(job);
        self.never_sent.remove(&job);
        self.runners.insert(job, Running { wishes, stop });
    }

    fn clean_up(&mut self, view: &View) {
        for record in &view.cleanups {
            self.clean(record.clone());
        }
    }

    fn clean(&mut self, record: CleanupRecord) {
        let job = JobId(record.job);
        let Some(incarnation) = record.incarnation.clone() else {
            return;
        };
        if !self.cleaning.insert(job) {
            return;
        }
        let lived_in = incarnation.spark_session_id.clone();
        let session = Session {
            node: self.node.id(),
            incarnation,
        };
        let (node, delay) = (self.node.clone(), wait_after(self.failed_attempts));
        self.spawn(delay, async move {
            let cleaned = wind_up(&node, &session, &record.operation_id).await;
            Message::CleanedUp(job, lived_in, cleaned)
        });
    }

    fn spark(&self) -> Option<Session> {
        Some(Session {
            node: self.node.id(),
            incarnation: self.incarnation.clone()?,
        })
    }

    fn opened(&mut self, spark_session_id: &str, result: Result<Incarnation, Broken>) {
        if self.opening.as_deref() == Some(spark_session_id) {
            self.opening = None;
        }
        let Some(view) = self.ours() else { return };
        if view.session.spark_session_id != spark_session_id {
            return self.reconcile();
        }
        match result {
            Ok(incarnation) => {
                self.failed_attempts = 0;
                let open = OpenSession {
                    session_id: self.id.to_string(),
                    epoch: self.epoch,
                    incarnation: Some(incarnation),
                };
                self.propose(What::Open, command::Kind::OpenSession(open));
            }
            Err(broken) => match (session_lost(&broken), broken) {
                (Some(reason), _) => self.reset(spark_session_id, &reason),
                (None, Broken::Said { class, message }) => {
                    let error = libra_proto::registry::StatementError {
                        error_class: class,
                        message,
                        ..Default::default()
                    };
                    let fail = FailSession {
                        session_id: self.id.to_string(),
                        epoch: self.epoch,
                        error: Some(error),
                    };
                    self.propose(What::Fail, command::Kind::FailSession(fail));
                }
                (None, Broken::Refused | Broken::Silent) => {
                    self.failed_attempts = self.failed_attempts.saturating_add(1);
                    self.reconcile();
                }
            },
        }
    }

    fn reset(&mut self, lost: &str, reason: &str) {
        let Some(view) = self.ours() else { return };
        if view.session.spark_session_id != lost {
            return self.reconcile();
        }
        if self.proposing.contains(&What::Reset) {
            return;
        }
        note!(
            self.node.world(),
            "n{} has lost the Spark session of {}: {reason}",
            self.node.id(),
            self.id
        );
        let reset = ResetSession {
            session_id: self.id.to_string(),
            epoch: self.epoch,
            old_spark_session_id: view.session.spark_session_id,
            new_spark_session_id: self.node.0.dice.uuid(),
            reason: reason.to_owned(),
            never_sent: self.never_sent.iter().map(|job| job.0).collect(),
        };
        self.propose(What::Reset, command::Kind::ResetSession(reset));
    }

    fn proposed(&mut self, what: What, result: &Proposed) {
        self.proposing.remove(&what);
        match result {
            Proposed::Applied(_) | Proposed::Rejected(_) => self.unanswered = 0,
            Proposed::Unknown(_) => self.unanswered = self.unanswered.saturating_add(1),
        }
        if what == What::Reset {
            // The runners of the lost Spark session have nothing to go on with.
            for (_, running) in std::mem::take(&mut self.runners) {
                running.stop.stop();
            }
            self.cleaning.clear();
            self.never_sent.clear();
        }
        self.reconcile();
    }

    fn runner_ended(&mut self, job: JobId, lived_in: &str, outcome: Outcome) {
        self.runners.remove(&job);
        match outcome {
            Outcome::Ended | Outcome::NotOurs => self.reconcile(),
            Outcome::SessionLost { reason, never_sent } => {
                if never_sent {
                    self.never_sent.insert(job);
                }
                self.reset(lived_in, &reason);
            }
        }
    }

    fn cleaned_up(&mut self, job: JobId, lived_in: &str, outcome: Cleaned) {
        self.cleaning.remove(&job);
        match outcome {
            Cleaned::Done => self.cleanup_done(job),
            Cleaned::SessionLost(reason) => {
                let Some(view) = self.ours() else { return };
                if view.session.spark_session_id == lived_in && view.session.state().is_owned() {
                    self.reset(lived_in, &reason);
                } else {
                    self.cleanup_done(job);
                }
            }
            Cleaned::NotYet => {
                self.failed_attempts = self.failed_attempts.saturating_add(1);
                self.reconcile();
            }
        }
    }

    fn cleanup_done(&mut self, job: JobId) {
        self.failed_attempts = 0;
        let done = command::Kind::CleanupDone(CleanupDone {
            job: job.0,
            epoch: self.epoch,
        });
        self.propose(What::CleanupDone(job), done);
    }

    fn tick(&self) {
        let (messages, stop) = (self.messages.clone(), Arc::clone(&self.stop));
        Runtime::go(async move {
            loop {
                let pause = Box::pin(Runtime::pause(KEEP_ALIVE));
                if let Either::Right(_) = select(pause, Box::pin(stop.stopped())).await {
                    return;
                }
                let Some(messages) = messages.upgrade() else {
                    return;
                };
                if messages.send(Message::KeepAlive).is_err() {
                    return;
                }
            }
        });
    }

    fn keep_alive(&mut self) {
        let Some(session) = self.spark() else { return };
        if std::mem::replace(&mut self.probing, true) {
            return;
        }
        let node = self.node.clone();
        self.spawn(Duration::ZERO, async move {
            let world = node.world();
            let kept = world.spark.keep_alive(&world.net, &session).await;
            Message::KeptAlive(session.incarnation.spark_session_id, kept)
        });
    }

    fn kept_alive(&mut self, lived_in: &str, result: Result<(), Broken>) {
        self.probing = false;
        if let Err(broken) = result
            && let Some(reason) = session_lost(&broken)
        {
            self.reset(lived_in, &reason);
        }
    }

    fn release(&mut self) {
        if std::mem::replace(&mut self.releasing, true) {
            return;
        }
        let (session, node) = (self.spark(), self.node.clone());
        self.spawn(Duration::ZERO, async move {
            if let Some(session) = session {
                let world = node.world();
                let call = world.spark.release_session(&world.net, &session);
                let _ = Runtime::within(RELEASE_LIMIT, Box::pin(call)).await;
            }
            Message::Released
        });
    }

    fn released(&mut self) {
        self.releasing = false;
        let closed = SessionClosed {
            session_id: self.id.to_string(),
            epoch: self.epoch,
        };
        self.propose(What::Closed, command::Kind::SessionClosed(closed));
    }

    fn propose(&mut self, what: What, command: command::Kind) {
        if !self.proposing.insert(what) {
            return;
        }
        let (node, delay) = (self.node.clone(), wait_after(self.unanswered));
        self.spawn(delay, async move {
            Message::Proposed(what, node.propose(command).await)
        });
    }

    /// A task of this actor that reports with one message; it waits, and only then passes the fence.
    fn spawn(&self, delay: Duration, work: impl Future<Output = Message> + Send + 'static) {
        let (messages, fence, stop) = (
            self.messages.clone(),
            self.fence.clone(),
            Arc::clone(&self.stop),
        );
        Runtime::go(async move {
            let task = async {
                if !delay.is_zero() {
                    Runtime::pause(delay).await;
                }
                match fence.pass().await {
                    Owner::This => work.await,
                    Owner::Another => Message::NotOurs,
                }
            };
            let stopped = Box::pin(stop.stopped());
            if let Either::Left((report, _)) = select(Box::pin(task), stopped).await
                && let Some(messages) = messages.upgrade()
            {
                let _ = messages.send(report);
            }
        });
    }
}

fn wait_after(failures: u32) -> Duration {
    if failures == 0 {
        return Duration::ZERO;
    }
    Duration::from_millis(100_u64 << failures.min(8)).min(MAX_BACKOFF)
}

/// Interrupts, poisons and releases an operation, as production's `clean_up`.
async fn wind_up(node: &Node, session: &Session, operation: &str) -> Cleaned {
    let world = node.world();
    let wound_up = async {
        world
            .spark
            .interrupt(&world.net, session, operation)
            .await?;
        let poisoned = world.spark.poison(&world.net, session, operation).await?;
        if poisoned == Poisoned::Arrived {
            world
                .spark
                .interrupt(&world.net, session, operation)
                .await?;
        }
        world.spark.release(&world.net, session, operation).await
    };
    match wound_up.await {
        Ok(()) => Cleaned::Done,
        Err(broken) => match (session_lost(&broken), broken) {
            (Some(reason), _) => Cleaned::SessionLost(reason),
            (None, Broken::Said { class, .. })
                if class == "INVALID_HANDLE.OPERATION_NOT_FOUND"
                    || class == "INVALID_HANDLE.OPERATION_ABANDONED" =>
            {
                Cleaned::Done
            }
            (None, Broken::Said { .. } | Broken::Refused | Broken::Silent) => Cleaned::NotYet,
        },
    }
}

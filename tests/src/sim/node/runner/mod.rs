//! The shell around the statement machine, as production's `runner` and `ending`.

mod ending;
mod stream;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libra_actors::spark::Poisoned;
use libra_actors::statement::machine::{Action, End, Event, Facts, Intents, Limits, Machine, Now};
use libra_proto::registry::StatementRecord;
use libra_proto::safety::{self, Safety};
use libra_proto::types::ErrorClass;
use libra_raft::simulation::{Bell, Runtime};

use super::Node;
use super::lease::{Fence, Owner};
use super::results::{Superseded, Writer};
use crate::sim::spark::{Broken, Reading, Session, failure_of};
use crate::sim::trace::note;

/// How often an interrupt is repeated while the stream goes on.
const INTERRUPT_EVERY: Duration = Duration::from_secs(1);
/// Between two attempts where somebody else seems to write the result.
const CONTESTED: Duration = Duration::from_millis(200);

/// The times that decide, as short against each other as production's.
pub(super) fn limits() -> Limits {
    Limits {
        resend_within_ms: 5_000,
        refused_ms: 1_500,
        unreachable_ms: 5_000,
        max_backoff_ms: 500,
    }
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Outcome {
    /// The statement's end is applied.
    Ended,
    /// The session has another owner or epoch.
    NotOurs,
    /// The Spark session is gone.
    SessionLost { reason: String, never_sent: bool },
}

/// The committed intents of a statement, as its runner is told.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    now: Mutex<Intents>,
    changed: Bell,
}

impl Wishes {
    pub(super) fn new(now: Intents) -> Arc<Self> {
        Arc::new(Self {
            now: Mutex::new(now),
            changed: Bell::default(),
        })
    }

    pub(super) fn get(&self) -> Intents {
        *self.lock()
    }

    pub(super) fn set(&self, intents: Intents) {
        let changed = {
            let mut now = self.lock();
            let changed = *now != intents;
            *now = intents;
            changed
        };
        if changed {
            self.changed.nudge();
        }
    }

    async fn other_than(&self, noted: Intents) {
        let mut changed = self.changed.listen();
        while self.get() == noted {
            if !changed.heard().await {
                std::future::pending::<()>().await;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Intents> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One statement being run.
pub(super) struct Runner {
    pub(super) node: Node,
    pub(super) session: Session,
    pub(super) statement: Arc<StatementRecord>,
    pub(super) epoch: u64,
    pub(super) fence: Fence,
    pub(super) fresh: bool,
    pub(super) wishes: Arc<Wishes>,
}

type Sent = Result<Reading, Broken>;

impl Runner {
    pub(super) async fn run(mut self) -> Outcome {
        loop {
            if self.fence.pass().await == Owner::Another {
                return Outcome::NotOurs;
            }
            if let Some(outcome) = self.attempt().await {
                return outcome;
            }
            self.fresh = false;
            if self.is_ours().await == Owner::Another {
                return Outcome::NotOurs;
            }
            Runtime::pause(CONTESTED).await;
        }
    }

    /// `None` if another writes the result.
    async fn attempt(&mut self) -> Option<Outcome> {
        let replicas = self.statement.replicas.clone();
        let node = self.node.clone();
        let opening = node.open_result(self.job(), self.epoch, &replicas, self.fresh);
        let (opened, sent) = if self.fresh && !self.wishes.get().any() {
            let (opened, sent) = futures::join!(opening, self.execute());
            (opened, Some(sent))
        } else {
            (opening.await, None)
        };
        match opened {
            Ok(writer) if sent.is_some() && writer.progress.begun => {
                let cause = "its file holds responses although it was never sent";
                let end = End::Failed(ErrorClass::ResultLost.error(cause));
                Some(self.finish(end, None, true).await)
            }
            Ok(mut writer) => Some(self.drive(&mut writer, sent).await),
            Err(Superseded) => None,
        }
    }

    async fn is_ours(&self) -> Owner {
        loop {
            match self.fence.confirm().await {
                Some(owner) => return owner,
                None => Runtime::pause(CONTESTED).await,
            }
        }
    }

    fn job(&self) -> u64 {
        self.statement.job
    }

    async fn drive(&mut self, writer: &mut Writer, sent: Option<Sent>) -> Outcome {
        let facts = Facts {
            fresh: self.fresh,
            remembers_operations: self.session.incarnation.remembers_operations,
            seen: writer.progress.begun || writer.progress.perhaps_begun,
            stored_whole: writer.progress.complete,
        };
        let mut machine = Machine::new(limits(), facts);
        let begun = Runtime::now();
        let mut event = Event::Begin;
        if let Some(sent) = sent
            && machine.on(Event::Begin, self.now(begun)) == Action::Execute
        {
            event = self.read(sent, writer, &mut machine, begun).await;
        }
        loop {
            machine.set_intents(self.wishes.get());
            let action = machine.on(event, self.now(begun));
            event = match action {
                Action::Finish { end, needs_cleanup } => {
                    return self.finish(end, Some(writer), needs_cleanup).await;
                }
                Action::SessionLost { reason, never_sent } => {
                    return Outcome::SessionLost { reason, never_sent };
                }
                // No disk refuses a result here.
                Action::Leave { .. } | Action::Stop => return Outcome::NotOurs,
                Action::Execute
                | Action::Reattach
                | Action::Read
                | Action::AskStatus
                | Action::Poison
                | Action::ConfirmEpoch
                | Action::Wait { .. } => self.perform(action, writer, &mut machine, begun).await,
            };
        }
    }

    fn now(&self, begun: Duration) -> Now {
        let monotonic = Runtime::now().saturating_sub(begun);
        let running_for_ms = self
            .node
            .registry_now_ms()
            .saturating_sub(self.statement.started_at_ms);
        Now {
            monotonic_ms: u64::try_from(monotonic.as_millis()).unwrap_or(u64::MAX),
            running_for_ms,
        }
    }

    async fn perform(
        &mut self,
        action: Action,
        writer: &mut Writer,
        machine: &mut Machine,
        begun: Duration,
    ) -> Event {
        let speaks = match &action {
            Action::Execute | Action::Reattach | Action::AskStatus | Action::Poison => true,
            Action::Read
            | Action::ConfirmEpoch
            | Action::Wait { .. }
            | Action::Finish { .. }
            | Action::SessionLost { .. }
            | Action::Leave { .. }
            | Action::Stop => false,
        };
        if speaks && self.fence.pass().await == Owner::Another {
            return Event::Owner(false);
        }
        let world = Arc::clone(self.node.world());
        let operation = self.statement.operation_id.clone();
        match action {
            Action::Execute => {
                let sent = self.execute().await;
                self.read(sent, writer, machine, begun).await
            }
            Action::Reattach => {
                self.acts("reattach");
                let last = writer.last_response_id();
                let reattached =
                    world
                        .spark
                        .reattach(&world.net, &self.session, &operation, last.as_deref());
                let reattached = reattached.await;
                self.read(reattached, writer, machine, begun).await
            }
            Action::AskStatus => {
                self.acts("status");
                let asked = world.spark.status(&world.net, &self.session, &operation);
                match asked.await {
                    Ok(status) => Event::Status(status),
                    Err(broken) => Event::Failed(failure_of(broken)),
                }
            }
            Action::Poison => {
                self.acts("poison");
                let poisoned = world.spark.poison(&world.net, &self.session, &operation);
                match poisoned.await {
                    Ok(Poisoned::Sealed) => Event::Poisoned,
                    Ok(Poisoned::Arrived) => Event::Arrived,
                    Err(broken) => Event::Failed(failure_of(broken)),
                }
            }
            Action::ConfirmEpoch => match self.fence.confirm().await {
                Some(owner) => Event::Owner(owner == Owner::This),
                None => Event::OwnerUnknown,
            },
            Action::Wait { ms, .. } => {
                let noted = machine.intents();
                let wait = self.wishes.other_than(noted);
                let _ = Runtime::within(Duration::from_millis(ms), Box::pin(wait)).await;
                Event::Waited
            }
            Action::Read
            | Action::Finish { .. }
            | Action::SessionLost { .. }
            | Action::Leave { .. }
            | Action::Stop => Event::Waited,
        }
    }

    /// Sends the operation, under the id that the registry has.
    async fn execute(&self) -> Sent {
        self.acts("execute");
        let world = Arc::clone(self.node.world());
        let operation = if safety::off(Safety::OperationIdFirst) {
            self.node.0.dice.uuid()
        } else {
            self.statement.operation_id.clone()
        };
        world.truth.sends(self.node.id(), self.job(), &operation);
        let code = &self.statement.code;
        let sent = world
            .spark
            .execute(&world.net, &self.session, &operation, code);
        sent.await
    }

    /// This node acts for the session now.
    fn acts(&self, what: &str) {
        let world = self.node.world();
        note!(
            world,
            "n{} {what} job-{} of {} epoch {}",
            self.node.id(),
            self.job(),
            self.statement.session_id,
            self.epoch
        );
        let session = &self.statement.session_id;
        world
            .truth
            .acts(self.node.id(), session, self.epoch, self.fence.is_open());
    }
}

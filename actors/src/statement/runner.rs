//! The shell around [`Machine`]: performs its actions on Spark, the result store and the registry.

use std::sync::Arc;
use std::time::Duration;

use libra_proto::registry::StatementRecord;
use libra_proto::safety::{self, Safety};
use libra_proto::types::{Epoch, ErrorClass, JobId, NodeId};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::Instrument as _;
use uuid::Uuid;

use crate::failpoint;
use crate::lease::{Fence, Lease, Owner};
use crate::ports::{
    Appended, Copying, LiveBoard, RegistryPort, ResultPart, ResultStorePort, ResultWriter,
    StoreError,
};
use crate::registry_clock::RegistryClock;
use crate::spark::{Body, Poisoned, Response, ResponseStream, SparkError, SparkSession};

use super::failure::{failure_of, known, not_stored};
use super::machine::{Action, End, Event, Facts, Intents, Limits, Machine, Now};
use super::spans;

/// How often an interrupt is repeated while the stream goes on.
const INTERRUPT_EVERY: Duration = Duration::from_secs(1);
/// Between two attempts where somebody else seems to write the result.
pub(super) const CONTESTED: Duration = Duration::from_millis(200);

/// Where a runner reads and writes.
#[derive(Clone)]
pub(crate) struct Ports {
    pub(crate) registry: Arc<dyn RegistryPort>,
    pub(crate) results: Arc<dyn ResultStorePort>,
    pub(crate) live: Arc<dyn LiveBoard>,
    pub(crate) lease: Lease,
    pub(crate) clock: Arc<RegistryClock>,
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Outcome {
    /// The statement's end is applied.
    Ended,
    /// The session has another owner or epoch: nothing was changed.
    NotOurs,
    /// The Spark session is gone; the statement is still `running` in the registry.
    SessionLost {
        /// What Spark said.
        reason: String,
        /// The operation surely never reached that Spark session.
        never_sent: bool,
    },
}

/// Takes a statement's live signs back, however its runner ends.
struct Signs {
    live: Arc<dyn LiveBoard>,
    job: JobId,
}

impl Drop for Signs {
    fn drop(&mut self) {
        self.live.clear(self.job);
    }
}

/// What came of sending an operation, or of attaching to it.
type Sent = Result<ResponseStream, SparkError>;

/// One statement being run.
pub(crate) struct Runner {
    pub(crate) ports: Ports,
    pub(crate) spark: SparkSession,
    pub(crate) statement: Arc<StatementRecord>,
    pub(crate) epoch: Epoch,
    /// Everything that is done to Spark, the result or the registry passes it.
    pub(crate) fence: Fence,
    /// It became `running` under this very actor.
    pub(crate) fresh: bool,
    pub(crate) remembers_operations: bool,
    pub(crate) intents: watch::Receiver<Intents>,
    pub(crate) limits: Limits,
}

impl Runner {
    /// Runs the statement to its end.
    ///
    /// # Cancel safety
    /// May be dropped at any point: what is stored and committed stays, and another runner goes on
    /// from there.
    pub(crate) async fn run(mut self) -> Outcome {
        let _signs = Signs {
            live: Arc::clone(&self.ports.live),
            job: self.job(),
        };
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
            sleep(CONTESTED).await;
        }
    }

    /// `None` if another writes the result, perhaps another owner.
    async fn attempt(&mut self) -> Option<Outcome> {
        let replicas = self.statement.replicas.iter();
        let copying = Copying {
            nodes: replicas.copied().map(NodeId).collect(),
            fresh: self.fresh,
            place: spans::place_of(&self.statement),
        };
        let results = Arc::clone(&self.ports.results);
        let opening = results.copying_writer(self.job(), self.epoch, &copying);
        // What surely was not sent yet is sent while the disk is at work.
        let (opened, sent) = if self.fresh && !self.intents.borrow().any() {
            let (opened, sent) = tokio::join!(opening, self.execute());
            (opened, Some(sent))
        } else {
            (opening.await, None)
        };
        let opened = match opened {
            Ok(writer) if sent.is_some() && writer.stored().begun => {
                Err("its file holds responses although it was never sent".to_owned())
            }
            Ok(writer) => Ok(writer),
            Err(StoreError::Superseded { .. }) => return None,
            Err(error @ StoreError::Io { .. }) => {
                return Some(self.leave(error.to_string()).await);
            }
            Err(error @ StoreError::Damaged { .. }) => Err(error.to_string()),
        };
        Some(match opened {
            Ok(mut writer) => self.drive(writer.as_mut(), sent).await,
            Err(cause) => {
                let end = End::Failed(ErrorClass::ResultLost.error(cause));
                self.finish(end, None, true).await
            }
        })
    }

    /// Whose the session is, by a linearizable read, however long that takes.
    pub(super) async fn is_ours(&self) -> Owner {
        loop {
            match self.fence.confirm().await {
                Some(owner) => return owner,
                None => sleep(CONTESTED).await,
            }
        }
    }

    pub(super) fn job(&self) -> JobId {
        JobId(self.statement.job)
    }

    /// `sent` is what came of sending the operation, if that was done already.
    async fn drive(&mut self, writer: &mut dyn ResultWriter, sent: Option<Sent>) -> Outcome {
        let stored = writer.stored();
        let mut machine = Machine::new(
            self.limits,
            Facts {
                fresh: self.fresh,
                remembers_operations: self.remembers_operations,
                seen: stored.begun || stored.perhaps_begun,
                stored_whole: stored.complete || stored.truncated,
            },
        );
        let begun = Instant::now();
        let mut event = Event::Begin;
        if let Some(sent) = sent
            && machine.on(Event::Begin, self.now(begun)) == Action::Execute
        {
            event = self.read(sent, writer, &mut machine, begun).await;
        }
        loop {
            machine.set_intents(*self.intents.borrow_and_update());
            let action = machine.on(event, self.now(begun));
            event = match action {
                Action::Finish { end, needs_cleanup } => {
                    let goes_on = needs_cleanup || writer.stored().truncated;
                    return self.finish(end, Some(writer), goes_on).await;
                }
                Action::SessionLost { reason, never_sent } => {
                    return Outcome::SessionLost { reason, never_sent };
                }
                Action::Leave { cause } => return self.leave(cause).await,
                Action::Stop => return Outcome::NotOurs,
                other => self.perform(other, writer, &mut machine, begun).await,
            };
        }
    }

    fn now(&self, begun: Instant) -> Now {
        let monotonic_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        let now_ms = self.ports.clock.now_ms();
        let running_for_ms = now_ms.saturating_sub(self.statement.started_at_ms);
        Now {
            monotonic_ms,
            running_for_ms,
        }
    }

    async fn perform(
        &mut self,
        action: Action,
        writer: &mut dyn ResultWriter,
        machine: &mut Machine,
        begun: Instant,
    ) -> Event {
        if speaks_to_spark(&action) && self.fence.pass().await == Owner::Another {
            return Event::Owner(false);
        }
        let operation = &self.statement.operation_id;
        match action {
            Action::Execute => {
                let sent = self.execute().await;
                self.read(sent, writer, machine, begun).await
            }
            Action::Reattach => {
                let last = writer.stored().last_response_id.clone();
                let attached = self.spark.reattach(operation, last.as_deref());
                let span = spans::reattach(&self.statement);
                let stream = attached.instrument(span).await;
                self.read(stream, writer, machine, begun).await
            }
            Action::AskStatus => match self.spark.status(operation).await {
                Ok(status) => Event::Status(known(status)),
                Err(error) => Event::Failed(failure_of(error)),
            },
            Action::Poison => match self.spark.poison(operation).await {
                Ok(Poisoned::Sealed) => Event::Poisoned,
                Ok(Poisoned::Arrived) => Event::Arrived,
                Err(error) => Event::Failed(failure_of(error)),
            },
            Action::ConfirmEpoch => match self.fence.confirm().await {
                Some(owner) => Event::Owner(owner == Owner::This),
                None => Event::OwnerUnknown,
            },
            Action::Wait { ms, reconnecting } => {
                self.ports.live.reconnecting(self.job(), reconnecting);
                self.wait(Duration::from_millis(ms), machine).await;
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
    ///
    /// Switch [`Safety::OperationIdFirst`]: off, under an id of the moment.
    async fn execute(&self) -> Sent {
        failpoint::hit("committed-not-sent");
        let statement = &self.statement;
        let of_the_moment =
            safety::off(Safety::OperationIdFirst).then(|| Uuid::new_v4().to_string());
        let operation = of_the_moment.as_ref().unwrap_or(&statement.operation_id);
        let sent = self
            .spark
            .execute(operation, &statement.code, &statement.pool)
            .instrument(spans::execute(statement))
            .await;
        failpoint::hit("sent-not-answered");
        sent
    }

    /// Waits; a new intent ends the wait early.
    async fn wait(&mut self, time: Duration, machine: &Machine) {
        let noted = machine.intents();
        let new_intent = async {
            // An error means that the session actor is gone, and this runner with it.
            while self.intents.wait_for(|now| *now != noted).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let _ = timeout(time, new_intent).await;
    }

    async fn read(
        &mut self,
        stream: Sent,
        writer: &mut dyn ResultWriter,
        machine: &mut Machine,
        begun: Instant,
    ) -> Event {
        let mut stream = match stream {
            Ok(stream) => stream,
            Err(error) => return Event::Failed(failure_of(error)),
        };
        let mut attached = false;
        let mut interrupt_at = Instant::now();
        loop {
            let intents = *self.intents.borrow_and_update();
            machine.set_intents(intents);
            tokio::select! {
                response = stream.next() => match response {
                    Ok(Some(response)) => {
                        if !attached {
                            attached = true;
                            let _ = machine.on(Event::Attached, self.now(begun));
                            self.ports.live.reconnecting(self.job(), false);
                        }
                        machine.progressed();
                        if let Some(event) = self.store(response, writer).await {
                            return event;
                        }
                    }
                    Ok(None) => return Event::StreamEnded,
                    Err(error) => return Event::Failed(failure_of(error)),
                },
                () = tokio::time::sleep_until(interrupt_at), if intents.any() => {
                    failpoint::hit("cancelling");
                    self.interrupt().await;
                    interrupt_at = Instant::now() + INTERRUPT_EVERY;
                }
                Ok(()) = self.intents.changed() => interrupt_at = Instant::now(),
            }
        }
    }

    /// Stores one response; an event when the reading ends with it.
    async fn store(&self, response: Response, writer: &mut dyn ResultWriter) -> Option<Event> {
        let part = match response.body {
            Body::Schema(schema) => ResultPart::Schema(schema),
            Body::Batch {
                rows,
                start_offset,
                data,
            } => ResultPart::Batch {
                rows,
                start_offset,
                data,
            },
            Body::Complete => ResultPart::Complete,
            Body::Progress {
                completed_tasks,
                total_tasks,
            } => {
                self.ports
                    .live
                    .progress(self.job(), completed_tasks, total_tasks);
                return None;
            }
            Body::Other => return None,
        };
        let complete = matches!(part, ResultPart::Complete);
        failpoint::hit("streaming");
        // The stream is held meanwhile: Spark waits, and whoever attaches cuts it off.
        if self.fence.pass().await == Owner::Another {
            return Some(Event::Owner(false));
        }
        let appended = writer.append(&response.response_id, part).await;
        let cut = match appended {
            Ok(Appended::More) if !complete => return None,
            Ok(appended) => appended == Appended::CutHere,
            Err(error) => return Some(Event::Failed(not_stored(&error))),
        };
        match writer.sync().await {
            Ok(()) if cut => Some(Event::Cut),
            Ok(()) => Some(Event::Complete),
            Err(error) => Some(Event::Failed(not_stored(&error))),
        }
    }
}

/// Whether Spark would hear of it.
fn speaks_to_spark(action: &Action) -> bool {
    match action {
        Action::Execute | Action::Reattach | Action::AskStatus | Action::Poison => true,
        Action::Read
        | Action::ConfirmEpoch
        | Action::Wait { .. }
        | Action::Finish { .. }
        | Action::SessionLost { .. }
        | Action::Leave { .. }
        | Action::Stop => false,
    }
}

//! Reading what an operation answers, and storing it.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{Either, select};
use libra_actors::statement::machine::{Event, Failure, Machine};
use libra_proto::safety::{self, Safety};
use libra_raft::simulation::Runtime;

use super::super::lease::Owner;
use super::super::results::Writer;
use super::{INTERRUPT_EVERY, Runner, Sent};
use crate::sim::disk::Part;
use crate::sim::spark::{Heard, Reading, batch, failure_of};
use crate::stub::engine::{Kind, Outgoing};

impl Runner {
    pub(super) async fn read(
        &mut self,
        sent: Sent,
        writer: &mut Writer,
        machine: &mut Machine,
        begun: Duration,
    ) -> Event {
        let reading = match sent {
            Ok(reading) => reading,
            Err(broken) => return Event::Failed(failure_of(broken)),
        };
        let world = Arc::clone(self.node.world());
        let mut open = Open {
            world: Arc::clone(&world),
            reading,
        };
        let mut attached = false;
        let mut interrupt_at = Runtime::now();
        loop {
            let intents = self.wishes.get();
            machine.set_intents(intents);
            let wishes = Arc::clone(&self.wishes);
            let id = self.node.id();
            let next = world.spark.next(&world.net, id, &mut open.reading);
            let left = interrupt_at.saturating_sub(Runtime::now());
            let nudged = async move {
                if intents.any() {
                    Runtime::pause(left).await;
                    true
                } else {
                    wishes.other_than(intents).await;
                    false
                }
            };
            let heard = match select(Box::pin(next), Box::pin(nudged)).await {
                Either::Left((heard, _)) => heard,
                Either::Right((true, _)) => {
                    self.interrupt().await;
                    interrupt_at = Runtime::now() + INTERRUPT_EVERY;
                    continue;
                }
                Either::Right((false, _)) => {
                    interrupt_at = Runtime::now();
                    continue;
                }
            };
            match heard {
                Heard::Response(response) => {
                    if !attached {
                        attached = true;
                        let _ = machine.on(Event::Attached, self.now(begun));
                    }
                    machine.progressed();
                    if let Some(event) = self.store(response, writer).await {
                        return event;
                    }
                }
                Heard::End => return Event::StreamEnded,
                Heard::Failed(broken) => return Event::Failed(failure_of(broken)),
            }
        }
    }

    /// Stores one response; an event when the reading ends with it.
    pub(super) async fn store(&self, response: Outgoing, writer: &mut Writer) -> Option<Event> {
        let part = match (response.kind, batch(response.kind)) {
            (_, Some(number)) => Part::Batch(number),
            (Kind::Schema, None) => Part::Schema,
            (Kind::Complete, None) => Part::Complete,
            (Kind::Progress(_) | Kind::Metrics | Kind::Batch(_), None) => return None,
        };
        let complete = part == Part::Complete;
        if self.fence.pass().await == Owner::Another {
            return Some(Event::Owner(false));
        }
        if writer.append(response.response_id, part).is_err() {
            return Some(Event::Failed(Failure::Disconnected));
        }
        if !complete {
            return None;
        }
        if !safety::off(Safety::CopiesBeforeEnd) {
            writer.sync().await;
        }
        Some(Event::Complete)
    }
}

/// A stream that is left when nobody reads it any more.
struct Open {
    world: Arc<crate::sim::world::World>,
    reading: Reading,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.world.spark.leave(&self.reading);
    }
}

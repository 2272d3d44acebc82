//! The arbiter of one endpoint: it alone grants that endpoint's slots.
//!
//! Told that something changed, it reads from the registry how many slots are free, asks the pools
//! that have something to start what that would be, asks [`crate::fair`], and commits the grants in
//! one batch. Its children are the pool actors.
//!
//! **Invariant:** it keeps no queue and no count of slots, and at most one batch of grants is under
//! way. Whatever came of a batch, the pools read its statements anew before the next.

mod handler;
mod message;
mod round;
mod state;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use crate::mandate::Mandate;
use crate::supervisor::Policy;

pub(crate) use message::{Message, News};
pub use round::{Grants, Round};
use state::State;

/// The actor; its state is [`State`].
pub(crate) struct Arbiter;

/// What an arbiter is started with.
pub(crate) struct Arguments {
    pub(crate) endpoint: String,
    pub(crate) mandate: Mandate,
    pub(crate) policy: Policy,
}

impl Actor for Arbiter {
    type Msg = Message;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        me: ActorRef<Message>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        me.cast(Message::Look)?;
        Ok(State::new(arguments))
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        handler::handle(&me, message, state).await;
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
                handler::lost(&me, state, cell.get_id(), &error.to_string())
            }
            SupervisionEvent::ActorTerminated(cell, _, reason) => {
                handler::lost(&me, state, cell.get_id(), &reason.unwrap_or_default())
            }
            SupervisionEvent::ActorStarted(_) | SupervisionEvent::ProcessGroupChanged(_) => Ok(()),
        }
    }
}

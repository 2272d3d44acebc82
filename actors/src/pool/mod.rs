//! One pool of one endpoint, as an actor: it keeps the pool's queue in order and says, when the
//! arbiter asks, what it would start next.
//!
//! It is told names, never values: whatever it hears of, it reads from the registry. After a crash
//! it is rebuilt from there; it trusts no memory.
//!
//! **Invariant:** it grants nothing and proposes nothing: a slot is given by the arbiter alone.

mod handler;
mod message;
mod state;

use std::sync::Arc;

use libra_proto::types::Place;
use ractor::{Actor, ActorProcessingErr, ActorRef};

use crate::ports::RegistryPort;

pub(crate) use message::{Message, Offer};
use state::State;

/// The actor; its state is [`State`].
pub(crate) struct PoolActor;

/// What a pool actor is started with.
pub(crate) struct Arguments {
    pub(crate) place: Place,
    pub(crate) registry: Arc<dyn RegistryPort>,
}

impl Actor for PoolActor {
    type Msg = Message;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        _me: ActorRef<Message>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        Ok(State::read(arguments))
    }

    async fn handle(
        &self,
        _me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        handler::handle(message, state);
        Ok(())
    }
}

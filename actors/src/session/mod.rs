//! One session that this node owns, as an actor: it owns the channel to Spark and the Spark
//! session, and runs the statements that the registry has as `running` under its epoch.
//!
//! It is a reconciler: told that something changed, it reads the registry and brings what it does
//! in line with it. After a crash it is rebuilt from there; it trusts no memory.
//!
//! **Invariant:** it never holds a state of its own about what *should* run, and it acts only
//! while the registry names this node and this epoch, and this node's lease is held.

mod begun;
mod conf;
mod handler;
mod keeper;
mod message;
mod options;
mod state;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use libra_proto::types::{Epoch, SessionId};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio_util::task::TaskTracker;

use crate::spark::{ClientOptions, Endpoint};
use crate::statement::Ports;

pub use conf::{DefaultConf, TaskPools};
pub(crate) use message::Message;
pub use options::Options;
use state::State;

/// The actor; its state is [`State`].
pub(crate) struct SessionActor;

/// What a session actor is started with.
#[derive(Clone)]
pub(crate) struct Arguments {
    pub(crate) id: SessionId,
    pub(crate) epoch: Epoch,
    pub(crate) endpoint: Arc<Endpoint>,
    pub(crate) client: ClientOptions,
    pub(crate) conf: Arc<DefaultConf>,
    pub(crate) ports: Ports,
    pub(crate) options: Options,
    /// Everything the actor starts is tracked here, so that its successor begins only when
    /// nothing of it runs any more.
    pub(crate) tasks: Arc<TaskTracker>,
    /// Set while a [`Message::Reconcile`] is on its way.
    pub(crate) poked: Arc<AtomicBool>,
}

impl Actor for SessionActor {
    type Msg = Message;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        myself: ActorRef<Message>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        let mut state = State::new(arguments);
        let _ = myself.cast(Message::Reconcile);
        keeper::start(&mut state, &myself);
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        handler::handle(&myself, message, state);
        Ok(())
    }
}

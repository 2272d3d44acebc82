//! The scheduler: it grants the slots of each endpoint to what waits in its pools.
//!
//! Under it there is one arbiter per endpoint, and under that one pool actor per pool. The
//! scheduler itself carries the registry's changes to whom they concern, and starts again what
//! crashed. The rules are [`crate::fair`]'s; `apply` in the registry is the referee.
//!
//! **Invariant:** nothing that decides lives here alone: every actor of the tree can be rebuilt
//! from the registry at any time, and what it commits counts in its own term only.

pub(crate) mod arbiter;
mod drill;
mod handler;
mod message;
mod state;

use ractor::{Actor, ActorProcessingErr, ActorRef, SupervisionEvent};

use crate::mandate::Mandate;
use crate::supervisor::Policy;

pub use arbiter::{Grants, Round};
pub use drill::Drill;
pub(crate) use message::Message;
use state::State;

/// The scheduler of one term; it runs where the registry's leader is.
pub(crate) struct Scheduler;

/// What the scheduler is started with.
pub(crate) struct Arguments {
    pub(crate) mandate: Mandate,
    /// When crashed arbiters and pool actors are started again.
    pub(crate) policy: Policy,
}

impl Actor for Scheduler {
    type Msg = Message;
    type State = State;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        me: ActorRef<Message>,
        arguments: Arguments,
    ) -> Result<State, ActorProcessingErr> {
        Ok(State::new(&me, arguments))
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

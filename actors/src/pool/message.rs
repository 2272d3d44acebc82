//! What a pool actor is told.

use std::sync::Arc;

use libra_proto::types::{JobId, SessionId};
use ractor::ActorRef;

use crate::fair::model::Order;
use crate::pump::Handled;
use crate::scheduler::arbiter;

/// One message of a pool actor.
#[derive(Debug)]
pub(crate) enum Message {
    /// Something changed that may be this pool's.
    News {
        /// Statements of this pool, and forgotten ones of any.
        jobs: Vec<JobId>,
        /// Sessions that were opened, or are open no more.
        sessions: Arc<[SessionId]>,
        /// Dropped when this is handled.
        handled: Option<Arc<Handled>>,
    },
    /// Changes were missed: read everything anew.
    Reread(Option<Arc<Handled>>),
    /// Say what would be started next.
    Offer(Offer),
}

/// A question of the arbiter.
#[derive(Debug)]
pub(crate) struct Offer {
    /// Which question this is: it comes back with the answer.
    pub(crate) round: u64,
    /// The order inside the pool.
    pub(crate) order: Order,
    /// So many at most; the registry has at least as many that may start.
    pub(crate) most: u32,
    /// Who asks.
    pub(crate) arbiter: ActorRef<arbiter::Message>,
}

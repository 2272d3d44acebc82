//! What an arbiter knows: who its pools are, and what is under way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use libra_proto::types::JobId;
use ractor::{ActorId, ActorRef};

use crate::mandate::Mandate;
use crate::pool;
use crate::ports::RegistryPort;
use crate::pump::Attached;
use crate::supervisor::{History, Policy};

use super::Arguments;
use super::round::Round;

/// The state of an arbiter.
pub(crate) struct State {
    pub(super) endpoint: String,
    pub(super) mandate: Mandate,
    pub(super) registry: Arc<dyn RegistryPort>,
    pub(super) policy: Policy,
    pub(super) pools: BTreeMap<String, ActorRef<pool::Message>>,
    /// Pools whose actor crashed and is about to be started again.
    pub(super) restarting: BTreeMap<String, Attached>,
    pub(super) histories: BTreeMap<String, History>,
    pub(super) phase: Phase,
    /// Something changed since the round under way began.
    pub(super) again: bool,
    /// Counts rounds, so that an answer to an earlier one is known as such.
    pub(super) rounds: u64,
    /// A look that was put off.
    pub(super) later: Option<Attached>,
    began: Instant,
}

/// What is under way.
#[derive(Debug)]
pub(super) enum Phase {
    /// Nothing.
    Idle,
    /// The pools are being asked.
    Asking(Round),
    /// A batch of grants is on its way through the log.
    Granting {
        /// Its statements, by pool.
        jobs: BTreeMap<String, Vec<JobId>>,
        /// Held for its drop: the batch is given up with the actor.
        _task: Attached,
    },
}

impl State {
    pub(super) fn new(arguments: Arguments) -> Self {
        let Arguments {
            endpoint,
            mandate,
            policy,
        } = arguments;
        let registry = Arc::clone(mandate.registry());
        Self {
            endpoint,
            mandate,
            registry,
            policy,
            pools: BTreeMap::new(),
            restarting: BTreeMap::new(),
            histories: BTreeMap::new(),
            phase: Phase::Idle,
            again: false,
            rounds: 0,
            later: None,
            began: Instant::now(),
        }
    }

    /// The pool whose actor that was; it is not from now on.
    pub(super) fn remove(&mut self, actor: ActorId) -> Option<String> {
        let mut pools = self.pools.iter();
        let (pool, _) = pools.find(|(_, pool)| pool.get_id() == actor)?;
        let pool = pool.clone();
        self.pools.remove(&pool);
        Some(pool)
    }

    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

//! What the scheduler knows: who its children are, and which sessions were open.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use libra_proto::types::SessionId;
use ractor::{ActorId, ActorRef};

use crate::mandate::Mandate;
use crate::ports::RegistryPort;
use crate::pump::{self, Attached};
use crate::supervisor::{History, Policy};

use super::message::Message;
use super::{Arguments, arbiter};

/// The state of the scheduler.
pub(crate) struct State {
    pub(super) mandate: Mandate,
    pub(super) registry: Arc<dyn RegistryPort>,
    pub(super) policy: Policy,
    pub(super) arbiters: BTreeMap<String, ActorRef<arbiter::Message>>,
    /// Endpoints whose arbiter crashed and is about to be started again.
    pub(super) restarting: BTreeMap<String, Attached>,
    pub(super) histories: BTreeMap<String, History>,
    /// Sessions that let their statements start, as last heard.
    pub(super) open: BTreeSet<SessionId>,
    began: Instant,
    _pump: Attached,
}

impl State {
    pub(super) fn new(me: &ActorRef<Message>, arguments: Arguments) -> Self {
        let Arguments { mandate, policy } = arguments;
        let registry = Arc::clone(mandate.registry());
        Self {
            _pump: pump::start(registry.as_ref(), me, Message::Feed),
            mandate,
            registry,
            policy,
            arbiters: BTreeMap::new(),
            restarting: BTreeMap::new(),
            histories: BTreeMap::new(),
            open: BTreeSet::new(),
            began: Instant::now(),
        }
    }

    /// The endpoint whose arbiter that actor was; it is not from now on.
    pub(super) fn remove(&mut self, actor: ActorId) -> Option<String> {
        let mut arbiters = self.arbiters.iter();
        let (endpoint, _) = arbiters.find(|(_, arbiter)| arbiter.get_id() == actor)?;
        let endpoint = endpoint.clone();
        self.arbiters.remove(&endpoint);
        Some(endpoint)
    }

    /// Which of the sessions were opened, or are open no more, since they were last heard of.
    pub(super) fn turned(&mut self, sessions: Vec<SessionId>) -> Vec<SessionId> {
        let open = self.registry.are_open(&sessions);
        let mut turned = Vec::new();
        for (session, open) in sessions.into_iter().zip(open) {
            if open && self.open.insert(session.clone()) || !open && self.open.remove(&session) {
                turned.push(session);
            }
        }
        turned
    }

    pub(super) fn now_ms(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

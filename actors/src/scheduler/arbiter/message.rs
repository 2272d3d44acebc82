//! What an arbiter is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use libra_proto::types::{JobId, SessionId};

use crate::fair::model::Candidate;
use crate::ports::Proposed;
use crate::pump::Handled;

/// One message of an arbiter.
#[derive(Debug)]
pub(crate) enum Message {
    /// Something changed that may concern this endpoint; the guard is dropped when all who are
    /// told have handled it.
    News(News, Arc<Handled>),
    /// Changes were missed: everybody reads everything anew.
    Reread(Arc<Handled>),
    /// See whether a slot can be granted.
    Look,
    /// A pool says what it would start.
    Offered {
        /// The round it was asked in.
        round: u64,
        /// Which pool.
        pool: String,
        /// In its order.
        candidates: Vec<Candidate>,
    },
    /// The batch that was under way is through.
    Granted(Proposed),
    /// Time to start that pool's actor again.
    StartPool(String),
    /// Let the actor of that pool crash.
    CrashPool(String),
}

/// Names of what changed.
#[derive(Debug)]
pub(crate) struct News {
    /// Statements of this endpoint, by pool.
    pub(crate) jobs: BTreeMap<String, Vec<JobId>>,
    /// Statements that the registry no longer has; they may have been anybody's.
    pub(crate) forgotten: Vec<JobId>,
    /// Sessions that were opened, or are open no more.
    pub(crate) sessions: Arc<[SessionId]>,
    /// Slots, orders, or pools.
    pub(crate) settings: bool,
}

impl News {
    /// Whether nothing of it can concern the arbiter.
    pub(crate) fn is_empty(&self) -> bool {
        self.jobs.is_empty()
            && self.forgotten.is_empty()
            && self.sessions.is_empty()
            && !self.settings
    }
}

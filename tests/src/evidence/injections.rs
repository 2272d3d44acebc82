//! What was done to the cluster, and when. PURE.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::history::{Micros, Span};

/// One fault, from its beginning to the moment when all was well again.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Injection {
    /// Which of the run, from 0.
    pub(crate) turn: usize,
    /// What was done, and to whom, in words.
    pub(crate) what: String,
    /// The nodes that it was done to.
    pub(crate) victims: Vec<u64>,
    /// Who led when it began; 0: not known.
    pub(crate) leader: u64,
    /// Who owned which session when it began.
    pub(crate) owners: BTreeMap<String, u64>,
    /// Acknowledged statements on their way when it began.
    pub(crate) in_flight: usize,
    /// When it was in force.
    pub(crate) began: Micros,
    /// When it was taken back: what was cut flows, who was dead is started.
    pub(crate) healed: Micros,
    /// When every session served again, and every node was ready; `None`: never in the time given.
    pub(crate) well: Option<Micros>,
    /// What a node without a majority answered, while there was none.
    pub(crate) refusals: Vec<Refusal>,
    /// Requests of clients that try once more, and failed twice.
    pub(crate) failed_after_retry: usize,
    /// What nodes that the others did not reach said of their leases while that was so.
    #[serde(default)]
    pub(crate) leases: Vec<LeaseSeen>,
}

/// What a node said of its own lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeaseSeen {
    pub(crate) node: u64,
    /// From the question to the answer.
    pub(crate) span: Span,
    /// Whether it might act for its sessions.
    pub(crate) held: bool,
}

/// An answer of a node that has no majority behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Refusal {
    /// The status; `None`: no answer at all.
    pub(crate) status: Option<u16>,
    /// How long the answer took.
    pub(crate) took: Micros,
}

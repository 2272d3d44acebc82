//! What is known of a run: every call of every client with its answer, what the API shows at the
//! end, and what Spark says it really ran.
//!
//! - [`history`]: what clients note while they work; [`work`]: what they submit, and what must
//!   come of it; [`dice`]: the seeded chance that decides it.
//! - [`executions`]: what the referee counted.
//! - [`injections`]: what was done to the cluster, and when. [`logged`]: what its log says was done.
//! - [`mod@file`]: all of it as lines of JSON, to be checked again.
//!
//! **Invariant:** holds what was seen and nothing that was concluded: verdicts are the checkers'.

pub(crate) mod dice;
pub(crate) mod executions;
pub(crate) mod file;
pub(crate) mod history;
pub(crate) mod injections;
pub(crate) mod logged;
pub(crate) mod work;

use serde::{Deserialize, Serialize};

pub(crate) use dice::Dice;
pub(crate) use executions::{Execution, Executions};
pub(crate) use history::{
    Answer, Book, Call, History, Kept, Micros, Newest, Outcome, Owned, Reading, Seen, Served, Span,
    Submitted, Wrote,
};
pub(crate) use injections::{Injection, LeaseSeen, Refusal};
pub(crate) use logged::{Logged, LoggedWhat};
pub(crate) use work::{Dialect, Kind, Rows, Wants, Work};

use crate::harness::Statement;
use crate::stub::speakers::Turn;

/// Everything that is known at the end.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    pub(crate) history: History,
    /// Every statement that the API shows.
    pub(crate) finals: Vec<Statement>,
    pub(crate) executions: Executions,
    /// Who spoke to Spark; none where what was done holds calls back on their way.
    pub(crate) turns: Vec<Turn>,
    /// What the registry's log says of owners and ends; parts that no node kept are left out.
    pub(crate) log: Vec<Logged>,
    /// Statements that may run at once.
    pub(crate) slots: usize,
    /// Error classes that what was done to Spark itself explains.
    pub(crate) tolerated: Vec<String>,
    pub(crate) injections: Vec<Injection>,
    /// What every node said at the very end.
    pub(crate) nodes: Vec<LastWords>,
    /// Whether as many statements as there are slots ran at once at the end; `None`: not tried.
    pub(crate) slots_whole: Option<Result<(), String>>,
    /// Pools whose share is looked at.
    pub(crate) shares: Vec<Share>,
}

/// What one node said when all faults were over and all clients were done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastWords {
    pub(crate) node: u64,
    pub(crate) index: u64,
    pub(crate) hash: u64,
    /// Of its last three requests, those that were answered as they have to be.
    pub(crate) answered: u32,
    /// Whether it shows the same statements as all others.
    pub(crate) same_statements: bool,
}

/// A pool of which there is always more than can run, and what it is to get.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Share {
    pub(crate) pool: String,
    /// Of all slots, with every pool busy.
    pub(crate) slots: u64,
}

//! Every call of every client, and what it was answered.
//!
//! **Invariant:** append only; times are of one monotonic clock, so that what came before what can
//! be told across clients.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use super::work::Work;
use crate::harness::State;

/// When a call began, and when its answer was complete.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) began: Instant,
    pub(super) ended: Instant,
}

/// What came of a submit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Acknowledged, under this job id.
    Ok(String),
    /// Not accepted, and said so.
    Refused(String),
    /// No answer, or one that leaves it open.
    Unknown(String),
}

/// One submit.
#[derive(Debug, Clone)]
pub(super) struct Submitted {
    pub(super) work: Arc<Work>,
    pub(super) span: Span,
    pub(super) answer: Answer,
}

/// One sight of a statement.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) job: String,
    pub(super) span: Span,
    /// `None`: the API said that there is no such statement.
    pub(super) state: Option<State>,
}

/// One reading of a result.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    pub(super) job: String,
    /// `arrow`, or which page as JSON.
    pub(super) form: &'static str,
    pub(super) hash: u64,
    /// What is wrong with the rows, if they were looked at and something is.
    pub(super) wrong: Option<String>,
}

/// All that was noted.
#[derive(Debug, Default, Clone)]
pub(super) struct History {
    pub(super) submits: Vec<Submitted>,
    pub(super) seen: Vec<Seen>,
    /// Jobs whose cancel was acknowledged.
    pub(super) cancels: Vec<String>,
    pub(super) readings: Vec<Reading>,
    /// Answers that no client should ever get.
    pub(super) oddities: Vec<String>,
}

/// The history while it is being written, by all clients.
#[derive(Debug, Default, Clone)]
pub(super) struct Book(Arc<Mutex<History>>);

impl Book {
    /// Writes into it.
    pub(super) fn note(&self, write: impl FnOnce(&mut History)) {
        write(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Looks at all of it so far.
    pub(super) fn look<T>(&self, look: impl FnOnce(&History) -> T) -> T {
        look(&self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

//! Every call of every client, and what it was answered.
//!
//! **Invariant:** append only; times are of one monotonic clock, so that what came before what can
//! be told across clients.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::work::Work;
use crate::harness::State;

/// Microseconds since the book was opened.
pub(crate) type Micros = u64;

/// When a call began, and when its answer was complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Span {
    pub(crate) began: Micros,
    pub(crate) ended: Micros,
}

/// What came of a submit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// Acknowledged, under this job id.
    Ok(String),
    /// Not accepted, and said so.
    Refused(String),
    /// No answer, or one that leaves it open.
    Unknown(String),
}

/// What came of any call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// Done as asked.
    Ok,
    /// Not done, and said so.
    Refused,
    /// Perhaps done.
    Unknown,
}

/// Any call of any client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Call {
    /// The base of the URL: which coordinator was asked.
    pub(crate) at: String,
    /// What was asked: method and path.
    pub(crate) what: String,
    pub(crate) span: Span,
    pub(crate) outcome: Outcome,
    /// The status, if there was an answer.
    pub(crate) status: Option<u16>,
}

/// One submit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Submitted {
    pub(crate) work: Work,
    /// Where to.
    pub(crate) session: String,
    pub(crate) span: Span,
    pub(crate) answer: Answer,
}

/// One sight of a statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    pub(crate) job: String,
    pub(crate) span: Span,
    /// `None`: the API said that there is no such statement.
    pub(crate) state: Option<State>,
}

/// One reading of a result.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reading {
    pub(crate) job: String,
    /// `arrow`, or which page as JSON.
    pub(crate) form: String,
    pub(crate) hash: u64,
    /// What is wrong with the rows, if they were looked at and something is.
    pub(crate) wrong: Option<String>,
}

/// One operation of a probing client, with all its attempts: a small statement from its submit to
/// its good end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Served {
    pub(crate) session: String,
    pub(crate) span: Span,
    pub(crate) attempts: u32,
}

/// The newest statement of a session, as a read showed it; job number 0: none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Newest {
    pub(crate) session: String,
    pub(crate) job: u64,
    pub(crate) span: Span,
}

/// A value that was written under a key that is nothing but a register (the weight of an unused pool).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wrote {
    pub(crate) key: String,
    pub(crate) value: u64,
    pub(crate) span: Span,
    pub(crate) outcome: Outcome,
}

/// A value that was read there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) key: String,
    pub(crate) value: u64,
    pub(crate) span: Span,
}

/// Who owns a session in which epoch, as a read showed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owned {
    pub(crate) session: String,
    pub(crate) epoch: u64,
    pub(crate) owner: u64,
    pub(crate) span: Span,
}

/// All that was noted.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct History {
    pub(crate) calls: Vec<Call>,
    pub(crate) submits: Vec<Submitted>,
    pub(crate) seen: Vec<Seen>,
    /// Jobs whose cancel was acknowledged.
    pub(crate) cancels: Vec<String>,
    pub(crate) readings: Vec<Reading>,
    pub(crate) served: Vec<Served>,
    pub(crate) newest: Vec<Newest>,
    pub(crate) wrote: Vec<Wrote>,
    pub(crate) kept: Vec<Kept>,
    pub(crate) owned: Vec<Owned>,
    /// Answers that no client should ever get.
    pub(crate) oddities: Vec<String>,
}

/// The history while it is being written, by all clients.
#[derive(Debug, Clone)]
pub(crate) struct Book {
    history: Arc<Mutex<History>>,
    opened: Instant,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            history: Arc::default(),
            opened: Instant::now(),
        }
    }
}

impl Book {
    /// Now, on the clock of this book.
    pub(crate) fn now(&self) -> Micros {
        self.at(Instant::now())
    }

    /// A moment on the clock of this book; 0 if it was before that was opened.
    pub(crate) fn at(&self, moment: Instant) -> Micros {
        micros(moment.saturating_duration_since(self.opened))
    }

    /// From a beginning to now.
    pub(crate) fn since(&self, began: Micros) -> Span {
        Span {
            began,
            ended: self.now(),
        }
    }

    /// Writes into it.
    pub(crate) fn note(&self, write: impl FnOnce(&mut History)) {
        write(&mut self.history.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Looks at all of it so far.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&History) -> T) -> T {
        look(&self.history.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A time as [`Micros`].
pub(crate) fn micros(time: Duration) -> Micros {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

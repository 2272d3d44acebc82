//! Scripted faults of single calls: late, lost on the way there, lost on the way back, cut.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// One of the calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// `ExecutePlan`.
    ExecutePlan,
    /// `ReattachExecute`.
    ReattachExecute,
    /// `ReleaseExecute`.
    ReleaseExecute,
    /// `Interrupt`.
    Interrupt,
    /// `Config`.
    Config,
    /// `AnalyzePlan`.
    AnalyzePlan,
    /// `GetStatus`.
    GetStatus,
    /// `FetchErrorDetails`.
    FetchErrorDetails,
    /// `ReleaseSession`.
    ReleaseSession,
}

/// What gets lost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Lose {
    /// Nothing.
    #[default]
    Nothing,
    /// The request: it never takes effect, the client gets UNAVAILABLE.
    Request,
    /// The answer: it takes effect, the client gets UNAVAILABLE.
    Answer,
}

/// A fault of the next calls of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which calls.
    pub method: Method,
    /// How late they arrive, ms; they arrive even if their client has left.
    #[serde(default)]
    pub delay_ms: u64,
    /// What gets lost.
    #[serde(default)]
    pub lose: Lose,
    /// The stream breaks with UNAVAILABLE after so many responses.
    #[serde(default)]
    pub cut_after: Option<u64>,
    /// How many calls; afterwards all is well.
    #[serde(default = "once")]
    pub times: u32,
}

fn once() -> u32 {
    1
}

/// The faults that are still to happen.
#[derive(Debug, Default)]
pub struct Faults {
    pending: Mutex<Vec<Fault>>,
}

impl Faults {
    /// Adds a fault behind those already there.
    pub fn add(&self, fault: Fault) {
        self.lock().push(fault);
    }

    /// Takes all faults back.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// The fault of a call that arrives now, if it has one.
    pub(super) fn take(&self, method: Method) -> Option<Fault> {
        let mut pending = self.lock();
        let at = pending.iter().position(|fault| fault.method == method)?;
        let fault = pending.get_mut(at)?;
        let taken = fault.clone();
        fault.times = fault.times.saturating_sub(1);
        if fault.times == 0 {
            pending.remove(at);
        }
        Some(taken)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Fault>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

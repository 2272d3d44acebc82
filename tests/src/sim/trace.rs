//! What happened, in order: as a hash always, as text where somebody wants to read it.
//!
//! **Invariant:** the hash is the same whether the text is kept or not.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use libra_raft::simulation::Runtime;

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// The trace of one simulation.
#[derive(Debug)]
pub struct Trace(Mutex<State>);

#[derive(Debug)]
struct State {
    hash: u64,
    events: u64,
    line: String,
    /// Printed as it happens.
    shown: bool,
}

impl Trace {
    /// A trace that is printed as it happens, or only hashed.
    #[must_use]
    pub fn new(shown: bool) -> Self {
        Self(Mutex::new(State {
            hash: FNV_OFFSET,
            events: 0,
            line: String::new(),
            shown,
        }))
    }

    /// Notes an event.
    #[expect(clippy::print_stdout, reason = "somebody asked to read it")]
    pub fn note(&self, event: fmt::Arguments<'_>) {
        let mut state = self.lock();
        let at = Runtime::now();
        let mut line = std::mem::take(&mut state.line);
        line.clear();
        // A string takes all that is written to it.
        let _ = fmt::write(&mut line, format_args!("{:>10.3?}  {event}", at));
        for byte in line.bytes() {
            state.hash = (state.hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
        state.events += 1;
        if state.shown {
            println!("{line}");
        }
        state.line = line;
    }

    /// The hash of all that was noted, and how many events that were.
    #[must_use]
    pub fn hash(&self) -> (u64, u64) {
        let state = self.lock();
        (state.hash, state.events)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Notes an event of a world.
macro_rules! note {
    ($world:expr, $($text:tt)*) => {
        $world.trace.note(format_args!($($text)*))
    };
}

pub(crate) use note;

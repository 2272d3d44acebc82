//! Spark Connect's server side as a deterministic state machine.
//!
//! [`Engine`] holds sessions, operations, their responses and the [`Ledger`]. Every call carries
//! the time; what a statement does is a [`Script`] laid out in time, so nothing runs in the
//! background: a call first catches up with everything that was due before it.
//!
//! Measured against Spark 4.3.0; the conformance suite keeps it there.
//!
//! **Invariant:** no I/O, no clock, no randomness but the seed: equal calls give equal answers.

mod conf;
mod error;
mod execute;
mod ledger;
mod lifecycle;
mod maintenance;
mod operation;
mod script;
mod session;
mod settings;
mod sql;
mod stream;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use conf::{ConfPair, ConfRequest};
pub use error::{QueryContext, RpcError, SparkError};
pub use execute::{Attached, Caller, Execute};
pub use ledger::{Execution, Ledger, Outcome};
pub use lifecycle::{Interrupt, OperationState, Release};
pub use script::{Ending, Script};
pub use session::SessionKey;
pub use settings::{Profile, Settings};
pub use sql::{Statement, compile};
pub use stream::{Kind, Outgoing, Step, StreamId};

use maintenance::{Due, Tombstones};
use operation::Operation;
use session::Session;
use stream::Stream;

/// Milliseconds since a moment that the caller chose.
pub type Millis = u64;

/// Number of an operation inside one [`Engine`]; never used twice.
type OperationNo = u64;

/// Something the shell around the engine must do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// The stream has something to say before it asked to be polled again.
    Wake(StreamId),
    /// The driver process died: its connections are gone, it is back with another incarnation.
    DriverDied,
}

/// One Spark driver with all its sessions, and what it ever ran.
#[derive(Debug)]
pub struct Engine {
    settings: Settings,
    incarnation: u64,
    next_no: u64,
    random: u64,
    sessions: BTreeMap<SessionKey, Session>,
    closed_sessions: VecDeque<SessionKey>,
    operations: BTreeMap<OperationNo, Operation>,
    tombstones: Tombstones,
    streams: BTreeMap<StreamId, Stream>,
    tables: BTreeSet<String>,
    agenda: BTreeSet<(Millis, Due)>,
    effects: Vec<Effect>,
    ledger: Ledger,
}

impl Engine {
    /// Makes a driver that has just started. `seed` decides every id it will mint.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        let tables = settings.tables.iter().cloned().collect();
        let mut engine = Self {
            settings,
            incarnation: 1,
            next_no: 1,
            random: seed,
            sessions: BTreeMap::new(),
            closed_sessions: VecDeque::new(),
            operations: BTreeMap::new(),
            tombstones: Tombstones::default(),
            streams: BTreeMap::new(),
            tables,
            agenda: BTreeSet::new(),
            effects: Vec::new(),
            ledger: Ledger::default(),
        };
        engine.schedule_maintenance(0);
        engine
    }

    /// Which driver this is, counted from 1.
    #[must_use]
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Puts other settings in force, for everything from `now` on.
    pub fn set_settings(&mut self, now: Millis, settings: Settings) {
        self.advance(now);
        self.tables.extend(settings.tables.iter().cloned());
        self.settings = settings;
        self.schedule_maintenance(now);
    }

    /// What ran, up to `now`.
    pub fn ledger(&mut self, now: Millis) -> &Ledger {
        self.advance(now);
        &self.ledger
    }

    /// Takes what the shell must do since the last call.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// Sessions that are open, by key, with their server-side ids.
    #[must_use]
    pub fn open_sessions(&self) -> Vec<(SessionKey, String)> {
        self.sessions
            .iter()
            .map(|(key, session)| (key.clone(), session.server_id.clone()))
            .collect()
    }

    fn mint_no(&mut self) -> u64 {
        let no = self.next_no;
        self.next_no += 1;
        no
    }

    /// Next number of the seeded sequence (SplitMix64).
    fn mint_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.random)
    }

    fn mint_uuid(&mut self) -> String {
        let (high, low) = (self.mint_random(), self.mint_random());
        uuid_of(high, low)
    }
}

fn mix(seed: u64) -> u64 {
    let mut z = seed;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

fn uuid_of(high: u64, low: u64) -> String {
    let bits = (u128::from(high) << 64) | u128::from(low);
    uuid::Builder::from_random_bytes(bits.to_be_bytes())
        .into_uuid()
        .to_string()
}

//! A whole cluster on simulated time: thousands of faults a minute, the same each time.
//!
//! Real are the group (openraft, the log store, the state machine, the registry), and the pure
//! cores that decide: leases, the statement machine, fair shares, rounds of grants, what is fresh.
//! Spark is the stub's state machine, whose ledger says what really ran. Thin shells around them
//! ([`node`]) wait, send and store in production's order.
//!
//! - [`run`] simulates one seed: some virtual seconds of [`faults`] under [`clients`], then all
//!   faults end and the cluster must agree and serve ([`verdict`]).
//! - [`truth`] checks the invariants I1 to I10 as it happens.
//!
//! **Invariant:** equal seeds give equal traces ([`Outcome::trace_hash`]).

pub mod clients;
pub mod dice;
pub mod disk;
pub mod faults;
pub mod net;
pub mod node;
pub mod report;
pub mod spark;
pub mod stranded;
pub mod tally;
pub mod trace;
pub mod truth;
pub mod verdict;
pub mod world;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use libra_raft::simulation::Runtime;

use truth::Violation;
use world::World;

/// How long there are faults.
const FAULTS: Duration = Duration::from_secs(8);
/// How long a green seed lasts at least.
const AT_LEAST: Duration = Duration::from_secs(10);
/// Before the first fault.
const QUIET: Duration = Duration::from_millis(1_200);
const CLIENTS: u64 = 4;
const LOOK: Duration = Duration::from_millis(50);

/// What came of one seed.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What must not be, in order of discovery.
    pub violations: Vec<Violation>,
    /// Over all that happened.
    pub trace_hash: u64,
    /// How many events that were.
    pub events: u64,
    /// How much time passed in the simulation.
    pub virtual_time: Duration,
    /// What was done, by name.
    pub tally: BTreeMap<&'static str, u64>,
    /// Commands applied.
    pub commands: u64,
}

impl Outcome {
    /// Whether every invariant held.
    #[must_use]
    pub fn is_green(&self) -> bool {
        self.violations.is_empty()
    }
}

/// Simulates one seed; `shown` prints what happens.
#[must_use]
pub fn run(seed: u64, shown: bool) -> Outcome {
    Runtime::start_clock();
    let mut runtime = Runtime::with_seed(seed);
    let world = World::new(seed, shown);
    let simulated = catch_unwind(AssertUnwindSafe(|| {
        runtime.run_to_end(simulate(&world));
    }));
    if let Err(panic) = simulated {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        let text = text.unwrap_or_else(|| "no text".to_owned());
        // Virtual time is that of the runtime, which has been left.
        runtime.run_to_end(async { world.truth.violation("panic", text) });
    }
    let (virtual_time, (trace_hash, events)) =
        runtime.run_to_end(async { (Runtime::now(), world.trace.hash()) });
    let outcome = Outcome {
        seed,
        violations: world.truth.violations(),
        trace_hash,
        events,
        virtual_time,
        tally: world.tally.all(),
        commands: world.truth.commands(),
    };
    runtime.run_to_end(async { world.tear_down() });
    outcome
}

async fn simulate(world: &Arc<World>) {
    let size = if world.dice.chance(80) { 3 } else { 5 };
    let ids: Vec<u64> = (1..=size).collect();
    for id in &ids {
        if let Err(error) = world.add_machine(*id) {
            return world.truth.violation("start", error.to_string());
        }
    }
    for id in &ids {
        // Who forms the group is decided before; here it is told.
        world.boot(*id, (*id == 1).then(|| ids.clone()));
    }
    for number in 1..=CLIENTS {
        Runtime::go(clients::client(Arc::clone(world), number));
    }
    let until = QUIET + FAULTS;
    {
        let world = Arc::clone(world);
        Runtime::go(async move {
            Runtime::pause(QUIET).await;
            Runtime::go(stranded::strand(Arc::clone(&world)));
            faults::inject(world, until).await;
        });
    }
    while Runtime::now() < until {
        Runtime::pause(LOOK).await;
        if world.truth.is_broken() {
            return;
        }
    }
    world.stop();
    verdict::judge(world).await;
    // Nothing may go wrong in peace either.
    Runtime::pause(AT_LEAST.saturating_sub(Runtime::now())).await;
}

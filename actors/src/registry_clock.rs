//! What the registry's clock would say now.
//!
//! The registry's own clock is the same on every node but stands still while nothing is committed;
//! a node's wall clock runs, but may be wrong by minutes. So the registry's time is taken as it is
//! seen to advance, and what has passed since is measured here.
//!
//! **Invariant:** it never says less than what has really passed since something was committed:
//! what is to be refused after a while is refused in time, wherever a session has moved.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use crate::ports::RegistryPort;

/// The estimate of one node; shared by its actors.
pub(crate) struct RegistryClock {
    registry: Arc<dyn RegistryPort>,
    began: Instant,
    estimate: Mutex<Estimate>,
}

impl RegistryClock {
    /// To be made when this node has caught up with the registry.
    pub(crate) fn new(registry: Arc<dyn RegistryPort>) -> Self {
        let wall_ms = registry.wall_ms();
        let estimate = Estimate {
            clock_ms: registry.clock_ms(),
            at: Reading {
                monotonic_ms: 0,
                wall_ms,
            },
        };
        Self {
            registry,
            began: Instant::now(),
            estimate: Mutex::new(estimate),
        }
    }

    /// The time, in milliseconds since the Unix epoch. The more often it is asked the better it is.
    pub(crate) fn now_ms(&self) -> u64 {
        let clock_ms = self.registry.clock_ms();
        let at = Reading {
            monotonic_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            wall_ms: self.registry.wall_ms(),
        };
        let mut estimate = self.estimate.lock().unwrap_or_else(PoisonError::into_inner);
        estimate.now_ms(clock_ms, at)
    }
}

/// This node's clocks at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// Of its monotonic clock, from whenever it likes.
    pub monotonic_ms: u64,
    /// Of its wall clock.
    pub wall_ms: u64,
}

/// The registry's clock, when it was last seen ahead of what was thought.
#[derive(Debug, Clone, Copy)]
pub struct Estimate {
    /// What the registry's clock said then.
    pub clock_ms: u64,
    /// When that was.
    pub at: Reading,
}

impl Estimate {
    /// The wall clock counts only for what it has advanced: a machine that slept has no other.
    pub fn now_ms(&mut self, clock_ms: u64, at: Reading) -> u64 {
        let passed = at.monotonic_ms.saturating_sub(self.at.monotonic_ms);
        let passed = passed.max(at.wall_ms.saturating_sub(self.at.wall_ms));
        let estimated = self.clock_ms.saturating_add(passed);
        if clock_ms <= estimated {
            return estimated;
        }
        *self = Self { clock_ms, at };
        clock_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(monotonic_ms: u64, wall_ms: u64) -> Reading {
        Reading {
            monotonic_ms,
            wall_ms,
        }
    }

    /// One row: the registry's clock, then this node's monotonic and wall clocks; what is said.
    #[test]
    fn it_goes_on_while_the_registry_stands_still() {
        let rows = [
            ("nothing has passed", 1_000, at(0, 5_000), 1_000),
            ("time passes", 1_000, at(300, 5_300), 1_300),
            ("something was committed late", 1_200, at(400, 5_400), 1_400),
            (
                "the proposer's clock is ahead",
                9_000,
                at(500, 5_500),
                9_000,
            ),
            ("it goes on from there", 9_000, at(600, 5_600), 9_100),
            ("the wall clock goes back", 9_000, at(700, 1_000), 9_200),
            ("the machine slept", 9_000, at(800, 65_500), 69_000),
        ];
        let mut estimate = Estimate {
            clock_ms: 1_000,
            at: at(0, 5_000),
        };
        for (what, clock_ms, reading, expected) in rows {
            assert_eq!(estimate.now_ms(clock_ms, reading), expected, "{what}");
        }
    }

    /// A node whose wall clock is ten minutes behind takes a session over: it knows all the same
    /// how long a statement has been running.
    #[test]
    fn a_wrong_wall_clock_does_not_make_a_statement_young() {
        let started_at_ms = 1_000_000;
        let mut estimate = Estimate {
            clock_ms: started_at_ms,
            at: at(0, 400_000),
        };
        let now_ms = estimate.now_ms(started_at_ms, at(250_000, 650_000));
        assert_eq!(now_ms - started_at_ms, 250_000);
    }
}

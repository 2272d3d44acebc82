//! What the registry's clock would say now.
//!
//! The registry's own clock is the same on every node but stands still while nothing is committed;
//! a node's wall clock runs, but may be wrong by minutes, and is put right by a jump. So the registry's
//! time is taken as it is seen to advance, and what has passed since is measured by the machine's
//! uptime.
//!
//! **Invariant:** it never says less than what has really passed since something was committed:
//! what is to be refused after a while is refused in time, wherever a session has moved.

use std::sync::{Arc, Mutex, PoisonError};

use crate::ports::RegistryPort;

/// The estimate of one node; shared by its actors.
pub(crate) struct RegistryClock {
    registry: Arc<dyn RegistryPort>,
    estimate: Mutex<Estimate>,
}

impl RegistryClock {
    /// To be made when this node has caught up with the registry.
    pub(crate) fn new(registry: Arc<dyn RegistryPort>) -> Self {
        let estimate = Estimate {
            clock_ms: registry.clock_ms(),
            uptime_ms: registry.uptime_ms(),
        };
        Self {
            registry,
            estimate: Mutex::new(estimate),
        }
    }

    /// The time, in milliseconds since the Unix epoch. The more often it is asked the better it is.
    pub(crate) fn now_ms(&self) -> u64 {
        let clock_ms = self.registry.clock_ms();
        let uptime_ms = self.registry.uptime_ms();
        let mut estimate = self.estimate.lock().unwrap_or_else(PoisonError::into_inner);
        estimate.now_ms(clock_ms, uptime_ms)
    }
}

/// The registry's clock, when it was last seen ahead of what was thought.
#[derive(Debug, Clone, Copy)]
pub struct Estimate {
    /// What the registry's clock said then.
    pub clock_ms: u64,
    /// What this machine's uptime was then.
    pub uptime_ms: u64,
}

impl Estimate {
    /// The time at an uptime where the registry's clock as applied here says `clock_ms`.
    pub fn now_ms(&mut self, clock_ms: u64, uptime_ms: u64) -> u64 {
        let passed = uptime_ms.saturating_sub(self.uptime_ms);
        let estimated = self.clock_ms.saturating_add(passed);
        if clock_ms <= estimated {
            return estimated;
        }
        *self = Self {
            clock_ms,
            uptime_ms,
        };
        clock_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row: the registry's clock, then this machine's uptime; what is said.
    #[test]
    fn it_goes_on_while_the_registry_stands_still() {
        let rows = [
            ("nothing has passed", 1_000, 50, 1_000),
            ("time passes", 1_000, 350, 1_300),
            ("something was committed late", 1_200, 450, 1_400),
            ("the proposer's clock is ahead", 9_000, 550, 9_000),
            ("it goes on from there", 9_000, 650, 9_100),
            ("the machine slept", 9_000, 60_550, 69_000),
        ];
        let mut estimate = Estimate {
            clock_ms: 1_000,
            uptime_ms: 50,
        };
        for (what, clock_ms, uptime_ms, expected) in rows {
            assert_eq!(estimate.now_ms(clock_ms, uptime_ms), expected, "{what}");
        }
    }
}

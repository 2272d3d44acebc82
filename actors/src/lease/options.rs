//! The times of leases.

use std::sync::Arc;
use std::time::Duration;

use crate::ports::LeasePort;

use super::clocks::Patience;

/// The longest time between two renewals.
const RENEWAL: Duration = Duration::from_millis(250);

/// The times of leases; the same on all nodes of a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The length of a lease. Default 1.2 s.
    pub length: Duration,
    /// What the leader waits beyond it. Default 200 ms: clocks may differ in rate by a seventh.
    pub margin: Duration,
    /// Between two looks of the leader at its clocks. Default 50 ms.
    pub tick: Duration,
    /// A look that comes later by more than this starts all clocks anew. Default 200 ms.
    pub late: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            length: Duration::from_millis(1_200),
            margin: Duration::from_millis(200),
            tick: Duration::from_millis(50),
            late: Duration::from_millis(200),
        }
    }
}

impl Options {
    /// Between two renewals.
    #[must_use]
    pub fn renewal(&self) -> Duration {
        (self.length / 5).min(RENEWAL)
    }

    /// How long the leader waits, by these times.
    #[must_use]
    pub fn patience(&self) -> Patience {
        Patience {
            lease: self.length,
            margin: self.margin,
            tick: self.tick,
            late: self.late,
        }
    }
}

/// What a node of a cluster holds its sessions by.
#[derive(Clone)]
pub struct Setup {
    /// How this node's lease is renewed.
    pub port: Arc<dyn LeasePort>,
    /// The times.
    pub options: Options,
}

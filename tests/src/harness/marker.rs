//! Numbers that tell one statement from all others in Spark's own record of what it ran.
//!
//! **Invariant:** no two markers of one machine are equal within a run of the suites.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

/// A literal that appears in the plan of one statement only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker(u64);

impl Marker {
    /// Makes a new one: eighteen digits, from random bits and a counter.
    #[must_use]
    pub fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let random = uuid::Uuid::new_v4().as_u64_pair().0 % 80_000_000_000_000;
        let counter = NEXT.fetch_add(1, Ordering::Relaxed) % 1000;
        Self(100_000_000_000_000_000 + random * 1000 + counter)
    }

    /// A relation of one row that carries the marker into the plan: `range(M, M + 1, 1, 1)`.
    #[must_use]
    pub fn relation(self) -> String {
        format!("range({}, {}, 1, 1)", self.0, self.0 + 1)
    }

    /// A statement that sleeps in Spark without computing, and answers the marker.
    #[must_use]
    pub fn sleeping(self, millis: u64) -> String {
        format!(
            "SELECT id, reflect('java.lang.Thread', 'sleep', bigint({millis})) AS slept FROM {}",
            self.relation()
        )
    }

    /// The number itself.
    #[must_use]
    pub fn number(self) -> u64 {
        self.0
    }
}

impl Default for Marker {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

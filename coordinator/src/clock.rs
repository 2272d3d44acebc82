//! The one place that reads the wall clock for commands, and the machine's uptime.
//!
//! **Invariant:** what a command carries is never behind the registry's clock as this node has
//! applied it, so that time goes on in the registry after a node whose clock was ahead is gone; and
//! it goes slower than time until this node's own clock has caught up, so that such a lead does not
//! last.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// Of what passes while the registry's clock is ahead, this part is left out.
const LEFT_OUT: u32 = 16;

/// Milliseconds since the Unix epoch; 0 on a clock before it.
#[must_use]
pub(crate) fn now_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    millis(since)
}

/// Milliseconds since the machine started, those that it slept among them. Setting the wall clock
/// does not change it.
#[must_use]
pub(crate) fn uptime_ms() -> u64 {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const UPTIME: ClockId = ClockId::Boottime;
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const UPTIME: ClockId = ClockId::Monotonic;
    millis(Duration::try_from(clock_gettime(UPTIME)).unwrap_or_default())
}

/// The time that commands carry.
#[derive(Debug)]
pub(crate) struct CommandClock(Mutex<Seen>);

/// The registry's clock, when it was last seen ahead of what was thought.
#[derive(Debug, Clone, Copy)]
struct Seen {
    registry_ms: u64,
    at: Instant,
}

impl CommandClock {
    pub(crate) fn new() -> Self {
        Self(Mutex::new(Seen {
            registry_ms: 0,
            at: Instant::now(),
        }))
    }

    /// The time now, where the registry's clock as applied here says `registry_ms`.
    pub(crate) fn now_ms(&self, registry_ms: u64) -> u64 {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        now_ms().max(seen.go_on(registry_ms, Instant::now()))
    }
}

impl Seen {
    fn go_on(&mut self, registry_ms: u64, now: Instant) -> u64 {
        let passed = now.saturating_duration_since(self.at);
        let passed_ms = millis(passed - passed / LEFT_OUT);
        let estimated = self.registry_ms.saturating_add(passed_ms);
        if registry_ms > estimated {
            *self = Self {
                registry_ms,
                at: now,
            };
        }
        registry_ms.max(estimated)
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One row: the registry's clock, seconds since the first look; what is said.
    #[test]
    fn time_goes_on_behind_a_registry_that_is_ahead_and_a_little_slower() {
        let rows = [
            ("ahead of all", 600_000, 0, 600_000),
            ("nothing was committed since", 600_000, 16, 615_000),
            ("what this node proposed then", 615_000, 16, 615_000),
            ("it goes on", 615_000, 32, 630_000),
            ("a clock that is further ahead", 900_000, 32, 900_000),
            ("and on from there", 900_000, 48, 915_000),
        ];
        let began = Instant::now();
        let mut seen = Seen {
            registry_ms: 0,
            at: began,
        };
        for (what, registry_ms, after, expected) in rows {
            let now = began + Duration::from_secs(after);
            assert_eq!(seen.go_on(registry_ms, now), expected, "{what}");
        }
    }

    #[test]
    fn uptime_goes_on_as_time_does() {
        let (began, uptime) = (Instant::now(), uptime_ms());
        assert!(uptime > 0);
        while began.elapsed() < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        let passed = uptime_ms() - uptime;
        assert!((19..5_000).contains(&passed), "{passed}");
    }

    #[test]
    fn a_wall_clock_that_is_not_behind_is_what_counts() {
        let clock = CommandClock::new();
        let before = now_ms();
        assert!(clock.now_ms(before / 2) >= before);
        let ahead = before + 1_000_000;
        assert!((ahead..ahead + 100_000).contains(&clock.now_ms(ahead)));
        // Nothing was committed, and it does not fall back.
        assert!(clock.now_ms(before / 2) >= ahead);
    }
}

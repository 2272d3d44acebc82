//! When a crashed actor is started again: the policy, as data.
//!
//! PURE: no runtime and no clock; times are arguments. After Erlang/OTP's supervisor intensity
//! (`intensity` restarts within `period`), with exponential backoff between them.

use std::collections::VecDeque;
use std::time::Duration;

/// How often and how fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// So many restarts within `period`; the next crash gives up.
    pub intensity: usize,
    /// The window in which restarts count.
    pub period: Duration,
    /// The wait before the first restart; doubled for each further one in the window.
    pub first_backoff: Duration,
    /// The longest wait.
    pub max_backoff: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            intensity: 5,
            period: Duration::from_secs(60),
            first_backoff: Duration::from_millis(50),
            max_backoff: Duration::from_secs(5),
        }
    }
}

/// What to do about a crash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Start again after this wait.
    Restart(Duration),
    /// It crashed too often.
    GiveUp,
}

/// The crashes of one child.
#[derive(Debug, Clone, Default)]
pub struct History {
    crashes_ms: VecDeque<u64>,
}

impl History {
    /// Notes a crash at `now_ms` (monotonic) and says what to do.
    pub fn crashed(&mut self, policy: &Policy, now_ms: u64) -> Verdict {
        let period = u64::try_from(policy.period.as_millis()).unwrap_or(u64::MAX);
        while self
            .crashes_ms
            .front()
            .is_some_and(|at| now_ms.saturating_sub(*at) > period)
        {
            self.crashes_ms.pop_front();
        }
        if self.crashes_ms.len() >= policy.intensity {
            return Verdict::GiveUp;
        }
        let doublings = u32::try_from(self.crashes_ms.len())
            .unwrap_or(u32::MAX)
            .min(16);
        self.crashes_ms.push_back(now_ms);
        let wait = policy.first_backoff.saturating_mul(1 << doublings);
        Verdict::Restart(wait.min(policy.max_backoff))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_then_it_gives_up() {
        let policy = Policy {
            intensity: 3,
            ..Policy::default()
        };
        let mut history = History::default();
        let verdicts: Vec<_> = (0..4).map(|n| history.crashed(&policy, n)).collect();
        let restart = |ms| Verdict::Restart(Duration::from_millis(ms));
        assert_eq!(
            verdicts,
            [restart(50), restart(100), restart(200), Verdict::GiveUp]
        );
    }

    #[test]
    fn old_crashes_are_forgotten() {
        let policy = Policy {
            intensity: 1,
            ..Policy::default()
        };
        let mut history = History::default();
        assert!(matches!(history.crashed(&policy, 0), Verdict::Restart(_)));
        assert_eq!(history.crashed(&policy, 60_000), Verdict::GiveUp);
        assert!(matches!(
            history.crashed(&policy, 60_001),
            Verdict::Restart(_)
        ));
    }

    #[test]
    fn the_wait_has_a_limit() {
        let policy = Policy {
            intensity: 100,
            ..Policy::default()
        };
        let mut history = History::default();
        let last = (0..100).map(|n| history.crashed(&policy, n)).last();
        assert_eq!(last, Some(Verdict::Restart(Duration::from_secs(5))));
    }
}

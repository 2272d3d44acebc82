//! When the leader was last heard.
//!
//! openraft goes on naming a leader that nobody hears any more, for want of a better one. What is
//! sent to it may arrive much later, and whoever waits for its answer waits in vain.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// The time of the last sign of the leader.
#[derive(Debug)]
pub(crate) struct Heard {
    began: Instant,
    /// Milliseconds since `began`, from 1; 0 = never.
    at_ms: AtomicU64,
}

impl Heard {
    pub(crate) fn never() -> Self {
        Self {
            began: Instant::now(),
            at_ms: AtomicU64::new(0),
        }
    }

    /// The leader is heard now.
    pub(crate) fn note(&self) {
        self.at_ms.store(self.now_ms(), Ordering::Relaxed);
    }

    /// Whether it was heard within the time before now.
    pub(crate) fn within(&self, time: Duration) -> bool {
        let at = self.at_ms.load(Ordering::Relaxed);
        let ago = self.now_ms().saturating_sub(at);
        at > 0 && u128::from(ago) <= time.as_millis()
    }

    fn now_ms(&self) -> u64 {
        let since = self.began.elapsed().as_millis();
        u64::try_from(since).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_was_heard_is_forgotten_in_time() {
        let heard = Heard::never();
        let second = Duration::from_secs(1);
        assert!(!heard.within(second));
        heard.note();
        assert!(heard.within(second));
        tokio::time::advance(second).await;
        assert!(heard.within(second));
        tokio::time::advance(Duration::from_millis(2)).await;
        assert!(!heard.within(second));
        heard.note();
        assert!(heard.within(second));
    }
}

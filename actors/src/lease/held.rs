//! The lease of this node, shared by all that act under it.
//!
//! Switch [`Safety::MonotonicLease`]: off, it is counted by the wall clock.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use libra_proto::safety::{self, Safety};
use tokio::sync::watch;
use tokio::time::Instant;

use super::owner::{OwnerLease, Spell};

/// A cheap handle; all clones are the same lease.
#[derive(Clone)]
pub struct Lease(Kind);

#[derive(Clone)]
enum Kind {
    /// Of a cluster of one: nobody else could be given its sessions.
    Perpetual,
    Renewed(Arc<Inner>),
}

struct Inner {
    began: Instant,
    owner: Mutex<OwnerLease>,
    /// Told of every renewal.
    renewals: watch::Sender<()>,
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Lease").field(&self.spell()).finish()
    }
}

/// How a lease is at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseView {
    /// Whether this node may act.
    pub held: bool,
    /// How long it may without a renewal; zero for a lease that needs none.
    pub left: Duration,
    /// How often it was over after it had been held.
    pub lapses: u64,
}

impl Lease {
    /// A lease that is never over.
    #[must_use]
    pub fn perpetual() -> Self {
        Self(Kind::Perpetual)
    }

    /// A lease of that length, not held until it is renewed.
    #[must_use]
    pub fn new(length: Duration) -> Self {
        Self(Kind::Renewed(Arc::new(Inner {
            began: Instant::now(),
            owner: Mutex::new(OwnerLease::new(length)),
            renewals: watch::Sender::new(()),
        })))
    }

    /// The spell of holding it that is under way; `None` while it is over.
    #[must_use]
    pub fn spell(&self) -> Option<Spell> {
        match &self.0 {
            Kind::Perpetual => Some(Spell(1)),
            Kind::Renewed(inner) => inner.lock().spell(inner.now()),
        }
    }

    /// How it is.
    #[must_use]
    pub fn observe(&self) -> LeaseView {
        match &self.0 {
            Kind::Perpetual => LeaseView {
                held: true,
                left: Duration::ZERO,
                lapses: 0,
            },
            Kind::Renewed(inner) => {
                let now = inner.now();
                let owner = inner.lock();
                let left = owner.left(now);
                LeaseView {
                    held: !left.is_zero(),
                    left,
                    lapses: owner.lapses(now),
                }
            }
        }
    }

    /// Waits until it is held.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub async fn held(&self) -> Spell {
        let Kind::Renewed(inner) = &self.0 else {
            return Spell(1);
        };
        let mut renewals = inner.renewals.subscribe();
        loop {
            if let Some(spell) = self.spell() {
                return spell;
            }
            // The sender lives as long as `inner`: there is no error.
            let _ = renewals.changed().await;
        }
    }

    /// Its renewal, sent at `sent`, was answered.
    pub fn renewed(&self, sent: Instant) {
        if let Kind::Renewed(inner) = &self.0 {
            let now = inner.now();
            let sent = now.saturating_sub(sent.elapsed());
            inner.lock().renewed(sent, now);
            inner.renewals.send_replace(());
        }
    }

    /// The leader refuses to renew it.
    pub fn end(&self) {
        if let Kind::Renewed(inner) = &self.0 {
            inner.lock().end();
        }
    }
}

impl Inner {
    /// The time by which the lease is counted.
    fn now(&self) -> Duration {
        if safety::off(Safety::MonotonicLease) {
            wall_clock()
        } else {
            self.began.elapsed()
        }
    }

    fn lock(&self) -> MutexGuard<'_, OwnerLease> {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Since the Unix epoch, by this node's wall clock.
fn wall_clock() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(all(test, feature = "safety-switches"))]
mod tests {
    use libra_proto::safety::take_off;

    use super::*;

    /// Here the wall clock stands still while two seconds pass.
    #[tokio::test(start_paused = true)]
    async fn by_the_wall_clock_a_lease_may_last_too_long() {
        let second = Duration::from_secs(1);
        let lease = Lease::new(second * 60);
        lease.renewed(Instant::now());
        tokio::time::advance(second * 61).await;
        assert_eq!(lease.spell(), None);
        take_off(&[Safety::MonotonicLease]);
        lease.renewed(Instant::now());
        tokio::time::advance(second * 61).await;
        assert!(lease.spell().is_some());
    }
}

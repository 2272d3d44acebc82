//! The lease of this node, shared by all that act under it.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
            Kind::Renewed(inner) => inner.lock().spell(inner.began.elapsed()),
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
                let now = inner.began.elapsed();
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
            let sent = sent.saturating_duration_since(inner.began);
            inner.lock().renewed(sent, inner.began.elapsed());
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
    fn lock(&self) -> MutexGuard<'_, OwnerLease> {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

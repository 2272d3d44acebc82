//! What stands between an owner and everything it does under its epoch.
//!
//! **Invariant:** nothing passes while the lease is over; and once it was over nothing passes until
//! the epoch has been confirmed linearizably in the spell that is held then.
//!
//! Switch [`Safety::EpochCheck`]: off, the epoch counts as confirmed, whose ever it is.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use libra_proto::safety::{self, Safety};
use libra_proto::types::{Epoch, SessionId};
use tokio::time::sleep;

use crate::ports::RegistryPort;

use super::held::Lease;

/// Between two attempts to learn who owns the session.
const PAUSE: Duration = Duration::from_millis(50);

/// Whose the session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// This node's, under the epoch of the fence.
    This,
    /// It has another owner or epoch.
    Another,
}

/// The fence of one session actor and all it has started; clones are the same.
#[derive(Clone)]
pub(crate) struct Fence(Arc<Inner>);

struct Inner {
    lease: Lease,
    registry: Arc<dyn RegistryPort>,
    session: SessionId,
    epoch: Epoch,
    /// The spell in which the epoch is known to be this actor's; 0 = none.
    confirmed: AtomicU64,
}

impl Fence {
    /// The fence of an actor that has just read that the session is its own.
    pub(crate) fn new(
        lease: Lease,
        registry: Arc<dyn RegistryPort>,
        session: SessionId,
        epoch: Epoch,
    ) -> Self {
        let spell = lease.spell().map_or(0, |spell| spell.0);
        Self(Arc::new(Inner {
            lease,
            registry,
            session,
            epoch,
            confirmed: AtomicU64::new(spell),
        }))
    }

    /// Whether one may act now.
    pub(crate) fn is_open(&self) -> bool {
        let confirmed = self.0.confirmed.load(Ordering::Acquire);
        let spell = self.0.lease.spell();
        spell.is_some_and(|spell| spell.0 == confirmed || safety::off(Safety::EpochCheck))
    }

    /// Waits until one may act, or it is known that one may not any more.
    ///
    /// # Cancel safety
    /// May be dropped and called again.
    pub(crate) async fn pass(&self) -> Owner {
        while !self.is_open() {
            let spell = self.0.lease.held().await;
            match self.confirm().await {
                Some(Owner::This) => self.0.confirmed.store(spell.0, Ordering::Release),
                Some(Owner::Another) => return Owner::Another,
                None => sleep(PAUSE).await,
            }
        }
        Owner::This
    }

    /// Asks linearizably whose the session is; `None` when that cannot be known in time.
    pub(crate) async fn confirm(&self) -> Option<Owner> {
        if safety::off(Safety::EpochCheck) {
            return Some(Owner::This);
        }
        let inner = &self.0;
        let ours = inner
            .registry
            .confirm_epoch(&inner.session, inner.epoch)
            .await?;
        Some(if ours { Owner::This } else { Owner::Another })
    }
}

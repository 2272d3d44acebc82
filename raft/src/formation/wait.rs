//! Waiting until a node is in its group, and until it is so no more.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::error::FormError;
use crate::handle::Inner;
use crate::metrics::Formation;
use crate::node::Node;

impl Node {
    /// Waits until this node is in its group, `limit` at the most. A node with a log takes itself
    /// for a member until it hears otherwise: see [`Node::excluded`].
    ///
    /// # Errors
    /// [`FormError::Refused`] when it never will be; [`FormError::TimedOut`] says what it waits for,
    /// and it goes on.
    ///
    /// # Cancel safety
    /// Nothing happens when the future is dropped.
    pub async fn formed(&self, limit: Duration) -> Result<(), FormError> {
        let deadline = Instant::now() + limit;
        let handle = self.handle();
        let inner = handle.inner();
        let mut formation = inner.formation.subscribe();
        loop {
            let found = formation.borrow_and_update().clone();
            if let Some(end) = exclusion(inner, &found) {
                return Err(end);
            }
            let Formation::Waiting { reason } = found else {
                return Ok(());
            };
            if inner.is_stopped() {
                return Err(FormError::Stopped);
            }
            match timeout_at(deadline, formation.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(FormError::Stopped),
                Err(_elapsed) => return Err(FormError::TimedOut { limit, reason }),
            }
        }
    }

    /// Waits until this node's membership is over, whenever that is: the group has removed it
    /// ([`FormError::Removed`]), or will have nothing to do with it ([`FormError::Refused`]).
    ///
    /// # Cancel safety
    /// Nothing happens when the future is dropped.
    pub async fn excluded(&self) -> FormError {
        let handle = self.handle();
        let inner = handle.inner();
        let mut formation = inner.formation.subscribe();
        loop {
            if let Some(end) = exclusion(inner, &formation.borrow_and_update()) {
                return end;
            }
            if formation.changed().await.is_err() {
                return FormError::Stopped;
            }
        }
    }
}

/// What a formation means that is the end of it.
fn exclusion(inner: &Inner, formation: &Formation) -> Option<FormError> {
    match formation {
        Formation::Waiting { .. } | Formation::Member => None,
        Formation::Removed => {
            let node = inner.me();
            Some(FormError::Removed { node })
        }
        Formation::Refused { reason } => Some(FormError::Refused {
            cluster: inner.peers.me.cluster_name.clone(),
            reason: reason.clone(),
        }),
    }
}

//! A snapshot because somebody asks for one.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Handle;
use crate::error::SnapshotError;

/// A snapshot that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TakenSnapshot {
    /// It holds everything up to here.
    pub index: u64,
    /// Whether it was written now; else the newest was of this index already.
    pub written: bool,
}

impl Handle {
    /// Has a snapshot written of what is applied here, and waits for it.
    ///
    /// # Errors
    /// [`SnapshotError::TimedOut`] when it was not there in time (it may come yet), or the disk is
    /// full; [`SnapshotError::Stopped`].
    ///
    /// # Cancel safety
    /// It may come about when the future is dropped.
    pub async fn take_snapshot(&self, limit: Duration) -> Result<TakenSnapshot, SnapshotError> {
        let inner = &*self.inner;
        let wanted = self.status().applied_index;
        let mut newest = inner.snapshots.watch_newest();
        let deadline = Instant::now() + limit;
        let found = *newest.borrow_and_update();
        if found > wanted {
            return Ok(TakenSnapshot {
                index: found.saturating_sub(1),
                written: false,
            });
        }
        let asked = inner.raft.trigger().snapshot().await;
        asked.map_err(|_| SnapshotError::Stopped)?;
        // One that was under way may be of less: then another is asked for.
        loop {
            match timeout_at(deadline, newest.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(SnapshotError::Stopped),
                Err(_elapsed) => return Err(SnapshotError::TimedOut { limit }),
            }
            let next = *newest.borrow_and_update();
            if next > wanted {
                return Ok(TakenSnapshot {
                    index: next.saturating_sub(1),
                    written: true,
                });
            }
            let again = inner.raft.trigger().snapshot().await;
            again.map_err(|_| SnapshotError::Stopped)?;
        }
    }
}

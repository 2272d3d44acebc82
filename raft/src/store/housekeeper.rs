//! What the store does beside serving: deleting purged entries, raising the marker's floor, looking
//! after free space.
//!
//! **Invariant:** nothing waits for it but the node's own shutdown.

use std::collections::VecDeque;
#[cfg(feature = "simulation")]
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use super::backing::{Backing, Batch};
use super::codec::entry_key;
use super::log_index::Removed;
use super::marker::Marker;
use super::space::Space;

/// How far the marker's floor may lag behind.
const PERIOD: Duration = Duration::from_secs(1);
/// So many keys are deleted at a time: a long batch would hold appends up.
const DELETE_KEYS: usize = 256;

/// The way to whoever keeps house, who ends when all of them are dropped.
#[derive(Debug, Clone)]
pub(crate) struct Housekeeper {
    /// Bounded by the log itself: each entry is purged once.
    purged: Sender<Removed>,
}

impl Housekeeper {
    /// A housekeeper, and the work of it, which somebody has to run.
    pub(crate) fn new(
        backing: Arc<dyn Backing>,
        marker: Arc<Marker>,
        space: Arc<Space>,
    ) -> (Self, Housekeeping) {
        let (purged, inbox) = channel();
        let work = Housekeeping {
            backing,
            marker,
            space,
            inbox,
        };
        (Self { purged }, work)
    }

    /// Deletes entries that readers already ignore, in its own time.
    pub(crate) fn delete(&self, removed: Removed) {
        if !removed.is_empty() {
            // An error only says that the node is stopping: the next start deletes them.
            let _ = self.purged.send(removed);
        }
    }
}

/// The work of a [`Housekeeper`].
pub(crate) struct Housekeeping {
    backing: Arc<dyn Backing>,
    marker: Arc<Marker>,
    space: Arc<Space>,
    inbox: Receiver<Removed>,
}

impl Housekeeping {
    /// Works until nobody can ask any more; on a thread of its own.
    pub(crate) fn run(self) {
        let mut next_look = Instant::now();
        loop {
            let now = Instant::now();
            if now >= next_look {
                self.look_after();
                next_look = now + PERIOD;
            }
            match self
                .inbox
                .recv_timeout(next_look.saturating_duration_since(now))
            {
                Ok(removed) => self.delete(removed),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
        }
        self.look_after();
    }

    /// One round of it, for whoever has no thread to give. Leaves the disk's space alone.
    #[cfg(feature = "simulation")]
    pub(crate) fn turn(&self) -> io::Result<()> {
        while let Ok(removed) = self.inbox.try_recv() {
            self.delete(removed);
        }
        self.marker.raise_floor()
    }

    fn look_after(&self) {
        // Each try writes a fresh file, so this one may be retried; a low floor guards less.
        if let Err(error) = self.marker.raise_floor() {
            tracing::error!(error = %error, "marker not written, its floor stays behind");
        }
        if let Err(error) = self.space.refresh() {
            tracing::warn!(error = %error, "free space of the data directory not known");
        }
    }

    fn delete(&self, removed: Removed) {
        let mut keys: VecDeque<_> = removed
            .into_iter()
            .flat_map(|(index, chunks)| (0..chunks).map(move |chunk| entry_key(index, chunk)))
            .collect();
        while !keys.is_empty() {
            let mut batch = Batch::default();
            for key in keys.drain(..keys.len().min(DELETE_KEYS)) {
                batch.remove(key);
            }
            if let Err(error) = self.backing.write(batch) {
                tracing::warn!(error = %error, "purged log entries not deleted");
                return;
            }
        }
    }
}

//! Numbers about a node that outlive its log: whoever asks how it is must not hold the log open.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::sync_times::{SyncClock, SyncTimes};

#[derive(Debug, Default)]
pub(crate) struct LogStats {
    bytes: AtomicU64,
    appended: AtomicU64,
    leaders: AtomicU64,
    syncs: SyncClock,
}

impl LogStats {
    /// Bytes of the entries that are kept.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn set_bytes(&self, bytes: u64) {
        self.bytes.store(bytes, Ordering::Relaxed);
    }

    /// Bytes appended since the start, and those found at the start.
    pub(crate) fn appended(&self) -> u64 {
        self.appended.load(Ordering::Relaxed)
    }

    pub(crate) fn add_appended(&self, bytes: u64) {
        self.appended.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Leaders that have become known since the start, the same one in another term included.
    pub(crate) fn leaders(&self) -> u64 {
        self.leaders.load(Ordering::Relaxed)
    }

    pub(crate) fn count_leader(&self) {
        self.leaders.fetch_add(1, Ordering::Relaxed);
    }

    /// Syncs since the start.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.count()
    }

    pub(crate) fn note_sync(&self, took: Duration) {
        self.syncs.note(took);
    }

    /// How long the syncs have taken.
    pub(crate) fn sync_times(&self) -> SyncTimes {
        self.syncs.read()
    }
}

//! The log in memory, with power cuts.

use std::collections::BTreeMap;
use std::io;
use std::ops::{Bound, ControlFlow};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Backing, Batch, Change, Visit};

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

/// A backing that keeps what was synced apart from what was merely written.
#[derive(Debug, Default)]
pub struct MemoryBacking {
    state: Mutex<State>,
    /// Whether `sync` really syncs.
    lying: bool,
}

#[derive(Debug, Default)]
struct State {
    written: Map,
    durable: Map,
    /// Written since the last sync, batch by batch.
    unsynced: Vec<Vec<Change>>,
}

impl MemoryBacking {
    /// A backing whose `sync` says yes and does nothing: what is built on it must be seen to lose.
    #[must_use]
    pub fn lying() -> Self {
        Self {
            lying: true,
            ..Self::default()
        }
    }

    /// What a power cut at this moment would leave.
    #[must_use]
    pub fn after_power_cut(&self) -> Self {
        self.after_torn_power_cut(0)
    }

    /// How many batches were written since the last sync.
    #[must_use]
    pub fn unsynced_batches(&self) -> usize {
        self.lock().unsynced.len()
    }

    /// What a power cut leaves that comes when the disk has taken the first `kept` of the batches
    /// that were not synced.
    #[must_use]
    pub fn after_torn_power_cut(&self, kept: usize) -> Self {
        let state = self.lock();
        let mut durable = state.durable.clone();
        for change in state.unsynced.iter().take(kept).flatten() {
            apply(&mut durable, change.clone());
        }
        drop(state);
        Self {
            state: Mutex::new(State {
                written: durable.clone(),
                durable,
                unsynced: Vec::new(),
            }),
            lying: self.lying,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn apply(map: &mut Map, (key, value): Change) {
    match value {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    };
}

impl Backing for MemoryBacking {
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        Ok(self.lock().written.get(key).cloned())
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> io::Result<()> {
        let state = self.lock();
        let range = (Bound::Included(from), Bound::Excluded(to));
        for (key, value) in state.written.range::<[u8], _>(range) {
            if let ControlFlow::Break(()) = visit(key, value) {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, batch: Batch) -> io::Result<()> {
        let mut state = self.lock();
        let changes = batch.into_changes();
        for change in &changes {
            apply(&mut state.written, change.clone());
        }
        state.unsynced.push(changes);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.lock();
        if !self.lying {
            for change in std::mem::take(&mut state.unsynced).into_iter().flatten() {
                apply(&mut state.durable, change);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(backing: &MemoryBacking, key: &str) {
        let mut batch = Batch::default();
        batch.put(key, "v");
        backing.write(batch).unwrap();
    }

    #[test]
    fn a_power_cut_takes_what_was_not_synced() {
        let backing = MemoryBacking::default();
        put(&backing, "a");
        backing.sync().unwrap();
        put(&backing, "b");
        let left = backing.after_power_cut();
        assert!(left.get(b"a").unwrap().is_some());
        assert!(left.get(b"b").unwrap().is_none());
        assert!(backing.get(b"b").unwrap().is_some());
    }

    #[test]
    fn a_torn_power_cut_leaves_the_first_batches() {
        let backing = MemoryBacking::default();
        for key in ["a", "b", "c"] {
            put(&backing, key);
        }
        assert_eq!(backing.unsynced_batches(), 3);
        let left = backing.after_torn_power_cut(2);
        let there = ["a", "b", "c"].map(|key| left.get(key.as_bytes()).unwrap().is_some());
        assert_eq!(there, [true, true, false]);
        assert_eq!(left.unsynced_batches(), 0);
    }

    #[test]
    fn a_lying_backing_loses_everything() {
        let backing = MemoryBacking::lying();
        put(&backing, "a");
        backing.sync().unwrap();
        assert!(backing.after_power_cut().get(b"a").unwrap().is_none());
    }
}

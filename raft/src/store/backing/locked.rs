//! A backing together with the lock of its directory.
//!
//! **Invariant:** the directory stays locked until the last user of the backing is gone, also when
//! a node is dropped without being shut down.

use std::io;
use std::sync::Arc;

use super::super::lock::DirLock;
use super::{Backing, Batch, Visit};

#[derive(Debug)]
pub(crate) struct LockedBacking {
    // Dropped in this order.
    backing: Arc<dyn Backing>,
    _lock: DirLock,
}

impl LockedBacking {
    pub(crate) fn new(backing: Arc<dyn Backing>, lock: DirLock) -> Self {
        Self {
            backing,
            _lock: lock,
        }
    }
}

impl Backing for LockedBacking {
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.backing.get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> io::Result<()> {
        self.backing.scan(from, to, visit)
    }

    fn write(&self, batch: Batch) -> io::Result<()> {
        self.backing.write(batch)
    }

    fn sync(&self) -> io::Result<()> {
        self.backing.sync()
    }
}

//! What the log lies on: an ordered map of bytes with explicit durability.
//!
//! The seam exists so that tests can put a store beneath Raft that loses every write that was not
//! synced, as a power cut does.
//!
//! **Invariant:** a write is visible once [`Backing::write`] returns, and durable only once a
//! [`Backing::sync`] that began afterwards has returned.

mod locked;
mod memory;
mod sled;

use std::fmt;
use std::io;
use std::ops::ControlFlow;

pub(crate) use locked::LockedBacking;
pub use memory::MemoryBacking;
pub(crate) use sled::{OpenError, SledBacking};

/// An ordered map of bytes.
pub trait Backing: fmt::Debug + Send + Sync + 'static {
    /// Reads one value.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>>;

    /// Visits the pairs with `from <= key < to` in order, until `visit` breaks.
    ///
    /// # Errors
    /// When the store cannot be read.
    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> io::Result<()>;

    /// Writes a batch, all of it or nothing.
    ///
    /// # Errors
    /// When the store cannot be written; nothing may be written to it afterwards.
    fn write(&self, batch: Batch) -> io::Result<()>;

    /// Makes everything durable that was written before the call.
    ///
    /// # Errors
    /// When the disk refuses. Never to be retried: the kernel may have dropped what it could not
    /// write, and a second call would succeed.
    fn sync(&self) -> io::Result<()>;
}

/// What is called for each pair of a scan.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Changes that are made together.
#[derive(Debug, Default)]
pub struct Batch {
    changes: Vec<Change>,
}

/// A key, and its new value; without one it is removed.
type Change = (Vec<u8>, Option<Vec<u8>>);

impl Batch {
    /// Sets a key.
    pub fn put(&mut self, key: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.changes.push((key.into(), Some(value.into())));
    }

    /// Removes a key.
    pub fn remove(&mut self, key: impl Into<Vec<u8>>) {
        self.changes.push((key.into(), None));
    }

    fn into_changes(self) -> Vec<Change> {
        self.changes
    }
}

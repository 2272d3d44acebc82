//! The log on sled 0.34.
//!
//! sled's own `flush` ends in `sync_file_range` on Linux, which is no fsync (sled #1452), so a
//! descriptor of our own on the database file is synced after it. sled spills pages above a quarter
//! of a segment into blob files that it never syncs; a leaf holds up to 20 values, so values are
//! kept to [`super::super::codec::CHUNK_BYTES`].

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::{Backing, Batch, Visit};

const CACHE_BYTES: u64 = 64 << 20;

/// Why a sled database did not open.
#[derive(Debug)]
pub(crate) enum OpenError {
    /// It was read, and is no whole database.
    Damaged(String),
    /// The disk refused.
    Io(io::Error),
}

#[derive(Debug)]
pub(crate) struct SledBacking {
    db: sled::Db,
    /// On the database file itself.
    file: File,
}

impl SledBacking {
    /// Opens, or makes, the database in `dir`.
    pub(crate) fn open(dir: &Path) -> Result<Self, OpenError> {
        let config = sled::Config::new()
            .path(dir)
            .mode(sled::Mode::HighThroughput)
            .cache_capacity(CACHE_BYTES);
        // A damaged file makes sled panic (sled #1387) where it should answer.
        let opened = catch_unwind(AssertUnwindSafe(|| config.open()));
        let db = match opened {
            Ok(Ok(db)) => db,
            Ok(Err(sled::Error::Io(error))) => return Err(OpenError::Io(error)),
            Ok(Err(error)) => return Err(OpenError::Damaged(error.to_string())),
            Err(panic) => return Err(OpenError::Damaged(panic_text(&*panic))),
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(dir.join("db"))
            .map_err(OpenError::Io)?;
        super::super::sync_dir(dir).map_err(OpenError::Io)?;
        Ok(Self { db, file })
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    format!("a panic in sled: {}", text.unwrap_or("no text"))
}

fn io_error(error: sled::Error) -> io::Error {
    match error {
        sled::Error::Io(error) => error,
        other => io::Error::other(other),
    }
}

impl Backing for SledBacking {
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let value = self.db.get(key).map_err(io_error)?;
        Ok(value.map(|bytes| bytes.to_vec()))
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> io::Result<()> {
        for pair in self.db.range(from..to) {
            let (key, value) = pair.map_err(io_error)?;
            if let ControlFlow::Break(()) = visit(&key, &value) {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, batch: Batch) -> io::Result<()> {
        let mut changes = batch.into_changes();
        // A batch makes sled write its buffer out twice, each time waking all its threads; a single
        // change is all or nothing without one.
        if changes.len() <= 1 {
            let written = match changes.pop() {
                Some((key, Some(value))) => self.db.insert(key, value),
                Some((key, None)) => self.db.remove(key),
                None => Ok(None),
            };
            return written.map(drop).map_err(io_error);
        }
        let mut together = sled::Batch::default();
        for (key, value) in changes {
            match value {
                Some(value) => together.insert(key, value),
                None => together.remove(key),
            }
        }
        self.db.apply_batch(together).map_err(io_error)
    }

    fn sync(&self) -> io::Result<()> {
        self.db.flush().map_err(io_error)?;
        self.file.sync_data()
    }
}

//! The file of a copy: blocking work.
//!
//! **Invariant:** bytes are taken only behind exactly those that the writer's file has before them;
//! after a failed write or sync the file takes nothing more.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libra_proto::peer::AppendCopy;
use libra_proto::types::{Epoch, JobId};
use thiserror::Error;
use xxhash_rust::xxh3::Xxh3;

use super::frames::Frames;
use crate::results::store::format::{self, BadHeader, HEADER_LEN};
use crate::results::store::pages::{Growing, Pages};
use crate::results::store::scan::{self, Stop};
use crate::results::store::{names, open_or_create};

/// Bytes after which a copy is made durable without being asked, should the owner never ask.
const SYNC_AT: u64 = 4 << 20;

/// A copy that cannot go on.
#[derive(Debug, Error)]
pub(crate) enum CopyFault {
    /// The disk refused.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// The bytes do not follow those that are here.
    #[error("the copy has {length} bytes of hash {hash:016x}; these follow {offset} others")]
    Misplaced { length: u64, hash: u64, offset: u64 },
    /// The file is of something else.
    #[error("{0}")]
    Header(#[from] BadHeader),
    /// An earlier call failed.
    #[error("an earlier write of the copy failed")]
    Broken,
}

/// How far a copy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CopyPlace {
    /// Bytes of whole records.
    pub(crate) length: u64,
    /// Their XXH3-64; 0 in the middle of a record.
    pub(crate) hash: u64,
}

/// A copy open for appending.
pub(crate) struct CopyFile {
    file: File,
    path: PathBuf,
    job: JobId,
    epoch: Epoch,
    len: u64,
    hash: Xxh3,
    frames: Frames,
    unsynced: u64,
    pages: Arc<Pages>,
    growing: Growing,
    broken: bool,
}

impl CopyFile {
    /// Opens or makes a copy and leaves of it what is whole, durably; `None` while another writer
    /// has it.
    pub(super) fn open(
        path: &Path,
        job: JobId,
        epoch: Epoch,
        pages: &Arc<Pages>,
    ) -> Result<Option<Self>, CopyFault> {
        let file = open_or_create(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
        let scanned = scan::scan(&file, job, epoch, drop)?;
        if let Some(Stop::Header(foreign @ BadHeader::Foreign { .. })) = scanned.stop {
            return Err(foreign.into());
        }
        if scanned.len > scanned.good {
            file.set_len(scanned.good)?;
        }
        file.sync_data()?;
        path.parent().map_or(Ok(()), names::sync)?;
        Ok(Some(Self {
            file,
            path: path.to_owned(),
            job,
            epoch,
            len: scanned.good,
            hash: scanned.hash,
            frames: Frames::at(scanned.good),
            unsynced: 0,
            pages: Arc::clone(pages),
            growing: Growing::default(),
            broken: false,
        }))
    }

    /// How far it is.
    pub(super) fn place(&self) -> CopyPlace {
        let length = self.frames.whole();
        let hash = if length == self.len {
            self.hash.digest()
        } else {
            0
        };
        CopyPlace { length, hash }
    }

    /// Takes bytes in; says how far it is durable when it is time to.
    pub(super) fn append(&mut self, append: &AppendCopy) -> Result<Option<CopyPlace>, CopyFault> {
        if std::mem::replace(&mut self.broken, true) {
            return Err(CopyFault::Broken);
        }
        if append.restart && append.offset == 0 {
            self.file.set_len(0)?;
            (self.len, self.hash, self.frames) = (0, Xxh3::new(), Frames::at(0));
            self.growing = Growing::default();
        }
        self.check(append)?;
        self.file.write_all_at(&append.data, self.len)?;
        self.hash.update(&append.data);
        self.frames.push(&append.data);
        self.len += append.data.len() as u64;
        self.unsynced += append.data.len() as u64;
        self.pages.grew(&mut self.growing, &self.path, self.len);
        let due = append.flush || self.unsynced >= SYNC_AT;
        if due && self.unsynced > 0 {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        self.broken = false;
        Ok(due.then(|| self.place()))
    }

    fn check(&self, append: &AppendCopy) -> Result<(), CopyFault> {
        let hash = self.hash.digest();
        if append.offset != self.len || append.hash != hash {
            return Err(CopyFault::Misplaced {
                length: self.len,
                hash,
                offset: append.offset,
            });
        }
        if self.len == 0 && !append.data.is_empty() {
            let header = append.data.get(..HEADER_LEN as usize);
            format::check_header(header.unwrap_or_default(), self.job, self.epoch)?;
        }
        Ok(())
    }
}

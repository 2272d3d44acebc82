//! One result file being written: blocking work.
//!
//! What is small is gathered first and written with the next large record, or the next sync: a small
//! result is written once, as a whole, and stays at hand for whoever reads it right away. One that
//! the registry is to hold is gathered only, and becomes a file when it turns out too long for that.
//!
//! **Invariant:** bytes are only ever appended, and cut away only behind the last whole record; after
//! a failed write or sync the file takes nothing more.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use libra_actors::ports::{Appended, ResultPart, StoreError, StoredProgress};
use libra_proto::registry::{Holder, ResultManifest};
use libra_proto::types::{Epoch, JobId};
use xxhash_rust::xxh3::Xxh3;

use super::Limits;
use super::cache::Known;
use super::contents::{self, Contents, Decision};
use super::format::{self, BadHeader, HEAD_LEN, HEADER_LEN, Head, Kind};
use super::names;
use super::pages::{Growing, Pages};
use super::scan::{self, Stop};

/// Bytes stored at which it is time for a sync.
const SYNC_AT: u64 = 2 << 20;

/// Bytes that may be stored without being durable: with a batch of Spark's 4 MiB and the stream's
/// window of 1 MiB on top of them still below the 10 MB that Spark can send again.
const UNSYNCED_MOST: u64 = 4 << 20;

/// Bytes that are gathered before they are written.
const GATHERED_MOST: usize = 64 << 10;

/// Bytes up to which a file that was written at once stays in memory for its first readers.
const AT_HAND_MOST: usize = 4 << 10;

/// The longest damaged tail that may be cut away: what Spark has sent but can send again. A longer
/// one is damage, not an unfinished write.
const CUTTABLE_TAIL: u64 = 10 << 20;

/// Whose result is written, where, and how much of it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) path: PathBuf,
    pub(crate) job: JobId,
    pub(crate) epoch: Epoch,
    pub(crate) limits: Limits,
    /// Bytes up to which it is no file but for the registry to hold.
    pub(crate) inline_most: usize,
    pub(crate) pages: Arc<Pages>,
}

impl Target {
    fn io(&self, error: &io::Error) -> StoreError {
        StoreError::Io {
            job: self.job,
            cause: error.to_string(),
        }
    }

    fn damaged(&self, cause: impl Into<String>) -> StoreError {
        StoreError::Damaged {
            job: self.job,
            cause: cause.into(),
        }
    }
}

/// A file that another writer still holds.
pub(crate) enum Open {
    /// Open and recovered.
    Ready(Box<ResultFile>),
    /// Another writer has it.
    Busy,
}

/// A result file open for appending.
pub(crate) struct ResultFile {
    /// None while all of it is only gathered, for the registry to hold.
    file: Option<Arc<File>>,
    target: Target,
    contents: Contents,
    hash: Xxh3,
    /// Length of the file with what is gathered.
    len: u64,
    /// The end of the file that is not written yet.
    gathered: Vec<u8>,
    /// The whole file, if it was written at once.
    whole: Option<Bytes>,
    /// Bytes stored since the last sync began.
    unsynced: u64,
    /// Bytes that a sync under way makes durable.
    syncing: u64,
    growing: Growing,
    failed: Option<StoreError>,
}

/// A sync of what was written so far, to be run beside further appends.
pub(crate) struct Sync {
    file: Arc<File>,
}

impl Sync {
    pub(crate) fn run(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

impl ResultFile {
    /// Opens or makes the file, cuts an unfinished tail away and makes the rest durable, and always
    /// its name: Spark is at work meanwhile, and later there is one sync less to wait for.
    pub(crate) fn open(target: Target) -> Result<Open, StoreError> {
        let Some(file) = lock(&target)? else {
            return Ok(Open::Busy);
        };
        let mut contents = Contents::default();
        let visit = |record| contents.note_scanned(record);
        let scanned = scan::scan(&file, target.job, target.epoch, visit)
            .map_err(|error| target.io(&error))?;
        if let Some(stop) = &scanned.stop {
            check_cuttable(&target, stop, scanned.len - scanned.good)?;
        }
        let mut opened = Self {
            file: Some(Arc::new(file)),
            contents,
            hash: scanned.hash,
            len: scanned.good,
            ..Self::empty(target)
        };
        opened.recover(scanned.len)?;
        Ok(Open::Ready(Box::new(opened)))
    }

    /// A result of which nothing is stored anywhere, with no file yet.
    pub(crate) fn gathering(target: Target) -> Result<Box<Self>, StoreError> {
        let header = format::encode_header(target.job, target.epoch);
        let mut begun = Self::empty(target);
        begun.write(&header)?;
        Ok(Box::new(begun))
    }

    fn empty(target: Target) -> Self {
        Self {
            file: None,
            target,
            contents: Contents::default(),
            hash: Xxh3::new(),
            len: 0,
            gathered: Vec::new(),
            whole: None,
            unsynced: 0,
            syncing: 0,
            growing: Growing::default(),
            failed: None,
        }
    }

    /// Whether it has no file.
    pub(crate) fn is_gathering(&self) -> bool {
        self.file.is_none()
    }

    /// Gives what has no file one; false while another writer holds it.
    pub(crate) fn begin_file(&mut self) -> Result<bool, StoreError> {
        let Some(file) = lock(&self.target)? else {
            return Ok(false);
        };
        let found = file.metadata().map_err(|error| self.target.io(&error))?;
        if found.len() > HEADER_LEN {
            let cause = "there are responses in it already";
            return Err(self.target.damaged(cause));
        }
        self.file = Some(Arc::new(file));
        self.sync_name()?;
        Ok(true)
    }

    /// Leaves the file as an undisturbed writer would have left it after the last whole record.
    fn recover(&mut self, found: u64) -> Result<(), StoreError> {
        if found > self.len {
            let cut = self.file().and_then(|file| file.set_len(self.len));
            cut.map_err(|error| self.target.io(&error))?;
            self.unsynced += 1;
        }
        if self.len == 0 {
            let header = format::encode_header(self.target.job, self.target.epoch);
            self.write(&header)?;
            return self.sync_name();
        }
        let max_rows = self.target.limits.max_rows;
        if self.contents.rows > max_rows && !self.contents.cut {
            let id = self.contents.last_id.clone().unwrap_or_default();
            self.record(Kind::Cut, &id, max_rows, &Bytes::new())?;
        }
        self.unsynced += 1;
        self.sync()?;
        self.sync_name()
    }

    fn sync_name(&mut self) -> Result<(), StoreError> {
        let synced = self.target.path.parent().map_or(Ok(()), names::sync);
        self.check(synced)
    }

    fn file(&self) -> io::Result<&Arc<File>> {
        let not_begun = || io::Error::other("the file was not begun");
        self.file.as_ref().ok_or_else(not_begun)
    }

    /// The file, to be read beside what is written.
    pub(crate) fn shared(&self) -> Option<Arc<File>> {
        self.file.clone()
    }

    /// Bytes of the file, with what is gathered.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    /// Bytes that are written: whole records, except in the middle of an append.
    pub(crate) fn written(&self) -> u64 {
        self.len - self.gathered.len() as u64
    }

    /// What is stored, whether durable or not.
    pub(crate) fn progress(&self) -> StoredProgress {
        self.contents.progress()
    }

    /// Whether all that Spark had is there.
    pub(crate) fn is_complete(&self) -> bool {
        self.contents.complete
    }

    /// Whether everything stored is durable.
    pub(crate) fn is_synced(&self) -> bool {
        self.unsynced + self.syncing == 0
    }

    /// Whether appending this part is done without the disk.
    pub(crate) fn can_gather(&self, id: &str, part: &ResultPart) -> bool {
        // A cut may follow with a record of its own.
        let bytes = contents::payload(part).len() + 2 * (HEAD_LEN + id.len());
        let most = if self.is_gathering() {
            self.target.inline_most
        } else {
            GATHERED_MOST
        };
        self.gathered.len() + bytes <= most
    }

    /// Whether this part must wait for the sync under way.
    pub(crate) fn must_wait(&self, part: &ResultPart) -> bool {
        let stored = self.unsynced + self.syncing;
        self.syncing > 0 && stored + contents::payload(part).len() as u64 > UNSYNCED_MOST
    }

    /// Begins a sync of all that is written, if it is time for one; its outcome belongs to
    /// [`ResultFile::end_sync`].
    pub(crate) fn begin_sync(&mut self) -> Option<Sync> {
        let written = self.unsynced.saturating_sub(self.gathered.len() as u64);
        if self.syncing > 0 || written < SYNC_AT {
            return None;
        }
        let file = self.shared()?;
        (self.syncing, self.unsynced) = (written, self.unsynced - written);
        Some(Sync { file })
    }

    /// Takes note of a sync that has run.
    pub(crate) fn end_sync(&mut self, outcome: io::Result<()>) -> Result<(), StoreError> {
        self.check(outcome)?;
        self.syncing = 0;
        Ok(())
    }

    /// Appends one response, unless it is a duplicate.
    pub(crate) fn append(&mut self, id: &str, part: &ResultPart) -> Result<Appended, StoreError> {
        self.check_usable()?;
        match self.contents.decide(id, part, &self.target.limits) {
            Decision::Skip => {}
            Decision::Store => self.store(id, part)?,
            Decision::StoreAndCut { rows } => {
                self.store(id, part)?;
                self.record(Kind::Cut, id, rows, &Bytes::new())?;
            }
            Decision::Cut { rows } => self.record(Kind::Cut, id, rows, &Bytes::new())?,
            Decision::Refuse { why } => return Err(self.target.damaged(why)),
        }
        Ok(if self.contents.cut {
            Appended::CutHere
        } else {
            Appended::More
        })
    }

    /// Makes everything stored durable.
    pub(crate) fn sync(&mut self) -> Result<(), StoreError> {
        self.check_usable()?;
        self.write_gathered()?;
        if !self.is_synced() {
            let synced = self.file().and_then(|file| file.sync_data());
            self.check(synced)?;
            (self.unsynced, self.syncing) = (0, 0);
        }
        Ok(())
    }

    /// Makes the file durable for good and says what it is.
    pub(crate) fn seal(&mut self, holder: Holder) -> Result<ResultManifest, StoreError> {
        let manifest = self.manifest()?;
        self.sync()?;
        Ok(ResultManifest {
            holders: vec![holder],
            ..manifest
        })
    }

    /// Says what it is, and all of it: it is durable once the registry has taken that.
    pub(crate) fn seal_inline(&mut self) -> Result<ResultManifest, StoreError> {
        let manifest = self.manifest()?;
        let inline = Bytes::copy_from_slice(&self.gathered);
        self.whole = Some(inline.clone());
        Ok(ResultManifest { inline, ..manifest })
    }

    fn manifest(&self) -> Result<ResultManifest, StoreError> {
        self.check_usable()?;
        if !self.contents.ended() {
            return Err(self
                .target
                .damaged("it has no end: neither `result_complete` nor a cut is stored"));
        }
        Ok(ResultManifest {
            schema: self.contents.schema.clone().unwrap_or_default().into(),
            rows: self.contents.rows,
            bytes: self.contents.bytes,
            batches: self.contents.batches,
            truncated: self.contents.cut,
            epoch: self.target.epoch.0,
            file_length: self.len,
            file_hash: self.hash.digest(),
            ..ResultManifest::default()
        })
    }

    /// What a reader need not find out anew: places of the batches written, and of a small file all.
    pub(crate) fn known(&self) -> Known {
        Known {
            index: Arc::new(self.contents.index.clone()),
            whole: self.whole.clone(),
        }
    }

    fn store(&mut self, id: &str, part: &ResultPart) -> Result<(), StoreError> {
        let rows = match part {
            ResultPart::Batch { rows, .. } => *rows,
            ResultPart::Schema(_) | ResultPart::Complete => 0,
        };
        self.record(contents::kind(part), id, rows, contents::payload(part))
    }

    fn record(
        &mut self,
        kind: Kind,
        id: &str,
        rows: u64,
        payload: &Bytes,
    ) -> Result<(), StoreError> {
        let start = self.contents.rows;
        let bytes = format::encode_head(kind, id, rows, start, payload)
            .map_err(|error| self.target.damaged(error.to_string()))?;
        let at = self.len;
        self.write(&bytes)?;
        self.write(payload)?;
        let head = bytes.first_chunk::<HEAD_LEN>().and_then(Head::parse);
        if let Some(head) = head {
            let schema = (kind == Kind::Schema).then(|| payload.clone());
            self.contents.note(at, &head, id, schema);
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        if self.gathered.len() + bytes.len() <= GATHERED_MOST {
            self.gathered.extend_from_slice(bytes);
        } else {
            self.write_gathered()?;
            let at = self.len;
            let written = self.file().and_then(|file| file.write_all_at(bytes, at));
            self.check(written)?;
            self.whole = None;
            let len = self.len + bytes.len() as u64;
            let (pages, path) = (&self.target.pages, &self.target.path);
            pages.grew(&mut self.growing, path, len);
        }
        self.hash.update(bytes);
        self.len += bytes.len() as u64;
        self.unsynced += bytes.len() as u64;
        Ok(())
    }

    /// Writes what is gathered.
    pub(crate) fn write_gathered(&mut self) -> Result<(), StoreError> {
        let gathered = std::mem::take(&mut self.gathered);
        let at = self.len - gathered.len() as u64;
        let written = self
            .file()
            .and_then(|file| file.write_all_at(&gathered, at));
        self.check(written)?;
        if !gathered.is_empty() {
            let kept = at == 0 && gathered.len() <= AT_HAND_MOST;
            self.whole = kept.then(|| Bytes::copy_from_slice(&gathered));
        }
        Ok(())
    }

    /// After a failure the kernel may have dropped what it could not write: never go on.
    fn check(&mut self, outcome: io::Result<()>) -> Result<(), StoreError> {
        outcome.map_err(|error| {
            let failed = self.target.io(&error);
            self.failed = Some(failed.clone());
            failed
        })
    }

    fn check_usable(&self) -> Result<(), StoreError> {
        self.failed.clone().map_or(Ok(()), Err)
    }
}

/// Opens or makes the file for one writer; none while another has it.
fn lock(target: &Target) -> Result<Option<File>, StoreError> {
    let file = open_or_create(&target.path).map_err(|error| target.io(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(target.io(&error)),
    }
}

pub(crate) fn open_or_create(path: &Path) -> io::Result<File> {
    let open = || {
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
    };
    match (open(), path.parent()) {
        (Err(error), Some(folder)) if error.kind() == io::ErrorKind::NotFound => {
            names::create(folder)?;
            open()
        }
        (opened, _) => opened,
    }
}

fn check_cuttable(target: &Target, stop: &Stop, tail: u64) -> Result<(), StoreError> {
    let foreign = matches!(stop, Stop::Header(BadHeader::Foreign { .. }));
    if foreign || tail > CUTTABLE_TAIL {
        return Err(target.damaged(format!(
            "{stop}; the {tail} bytes from there are no unfinished write"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failed_write_nothing_more_is_taken() {
        let dir = tempfile::tempdir().unwrap();
        let limits = Limits {
            max_rows: 10,
            max_bytes: 10,
        };
        let target = Target {
            path: dir.path().join("x").join("file"),
            job: JobId(1),
            epoch: Epoch(1),
            limits,
            inline_most: 0,
            pages: Arc::default(),
        };
        let Open::Ready(mut file) = ResultFile::open(target.clone()).unwrap() else {
            panic!("busy");
        };
        // A descriptor that cannot be written through stands in for a disk that refuses.
        let writable = file.file.replace(File::open(&target.path).unwrap().into());
        assert!(file.can_gather("a", &ResultPart::Complete));
        file.append("a", &ResultPart::Complete).unwrap();
        let failed = file.sync().unwrap_err();
        assert!(matches!(failed, StoreError::Io { job: JobId(1), .. }));
        file.file = writable;
        assert!(file.append("b", &ResultPart::Complete).is_err());
        assert!(file.sync().is_err());
        assert!(file.seal(Holder::default()).is_err());
        assert!(!file.is_synced());
    }
}

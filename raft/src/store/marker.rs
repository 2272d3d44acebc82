//! The marker: what is known of the log store without opening it.
//!
//! A log store that was emptied or set back would let its node forget its vote and what it had
//! acknowledged. The marker lies in a file of its own, so that such a store is told from a new one.
//!
//! **Invariant:** the marker never says more than what the store holds durably; it may say less, by
//! up to a second of log. Whoever reads what it says never waits for a disk.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use libra_proto::raft as disk;
use libra_proto::types::NodeId;
use prost::Message;
use xxhash_rust::xxh3::xxh3_64;

use super::codec::{vote_from_disk, vote_to_disk};
use crate::error::StartError;
use crate::type_config::Vote;

const FILE: &str = "marker";
const MAGIC: &[u8; 8] = b"LBRMARK1";

/// The marker of an open data directory.
#[derive(Debug)]
pub(crate) struct Marker {
    path: PathBuf,
    /// What the file says; held for no longer than it takes to copy it.
    content: Mutex<disk::Marker>,
    /// Held while the file is being replaced, and before `content`.
    writing: Mutex<()>,
    /// The log is durable up to this index, exclusive: what the floor is raised to next.
    durable: AtomicU64,
}

impl Marker {
    /// Reads the marker of a data directory, if it has one.
    pub(crate) fn read(data_dir: &Path) -> Result<Option<Self>, StartError> {
        let path = data_dir.join(FILE);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(StartError::io("read", &path, source)),
        };
        match decode(&bytes) {
            Ok(content) => Ok(Some(Self::new(path, content))),
            Err(found) => Err(StartError::Guard {
                path,
                found,
                expected: "a whole marker",
            }),
        }
    }

    /// Writes the marker of a new data directory.
    pub(crate) fn create(
        data_dir: &Path,
        cluster_name: &str,
        node_id: NodeId,
    ) -> Result<Self, StartError> {
        let content = disk::Marker {
            cluster_name: cluster_name.to_owned(),
            node_id: node_id.0,
            store_uuid: uuid::Uuid::new_v4().to_string(),
            ..disk::Marker::default()
        };
        let marker = Self::new(data_dir.join(FILE), content);
        marker
            .write(&marker.content())
            .map_err(|source| StartError::io("write", &marker.path, source))?;
        Ok(marker)
    }

    fn new(path: PathBuf, content: disk::Marker) -> Self {
        Self {
            durable: AtomicU64::new(content.log_floor),
            content: Mutex::new(content),
            writing: Mutex::default(),
            path,
        }
    }

    pub(crate) fn content(&self) -> disk::Marker {
        self.lock().clone()
    }

    pub(crate) fn last_vote(&self) -> Option<Vote> {
        self.lock().last_vote.as_ref().map(vote_from_disk)
    }

    pub(crate) fn set_initialised(&self) -> io::Result<()> {
        self.update(|content| content.initialised = true)
    }

    /// Notes a vote that the store holds durably.
    pub(crate) fn set_vote(&self, vote: &Vote) -> io::Result<()> {
        self.update(|content| content.last_vote = Some(vote_to_disk(vote)))
    }

    /// Notes that the log is durable up to `next`, exclusive; writes nothing yet.
    pub(crate) fn note_durable(&self, next: u64) {
        self.durable.store(next, Ordering::Release);
    }

    pub(crate) fn durable(&self) -> u64 {
        self.durable.load(Ordering::Acquire)
    }

    /// Writes down how far the log is durable, if that has grown.
    pub(crate) fn raise_floor(&self) -> io::Result<()> {
        // Read where nobody else writes, so that it cannot undo a floor lowered meanwhile.
        self.update(|content| content.log_floor = content.log_floor.max(self.durable()))
    }

    /// Lowers the floor before the log is cut off at `next`. Appends must have been waited for.
    pub(crate) fn lower_floor(&self, next: u64) -> io::Result<()> {
        self.update(|content| {
            self.note_durable(self.durable().min(next));
            content.log_floor = content.log_floor.min(next);
        })
    }

    /// Replaces the file, and then what is read here: of a write that failed nothing is known.
    fn update(&self, change: impl FnOnce(&mut disk::Marker)) -> io::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let written = self.content();
        let mut next = written.clone();
        change(&mut next);
        if next != written {
            self.write(&next)?;
            *self.lock() = next;
        }
        Ok(())
    }

    fn write(&self, content: &disk::Marker) -> io::Result<()> {
        super::replace_file(&self.path, &encode(content))
    }

    fn lock(&self) -> MutexGuard<'_, disk::Marker> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn encode(content: &disk::Marker) -> Vec<u8> {
    let message = content.encode_to_vec();
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&xxh3_64(&message).to_le_bytes());
    bytes.extend_from_slice(&message);
    bytes
}

fn decode(bytes: &[u8]) -> Result<disk::Marker, String> {
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or("no marker of this format")?;
    let (hash, message) = rest.split_first_chunk::<8>().ok_or("too short")?;
    if u64::from_le_bytes(*hash) != xxh3_64(message) {
        return Err("damaged: its checksum does not match".to_owned());
    }
    disk::Marker::decode(message).map_err(|error| format!("damaged: {error}"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::{Arc, TryLockError, mpsc};
    use std::thread;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::type_config::vote;

    const LIMIT: Duration = Duration::from_secs(10);

    #[test]
    fn it_reads_back_what_was_noted() {
        let dir = tempfile::tempdir().unwrap();
        assert!(Marker::read(dir.path()).unwrap().is_none());
        let marker = Marker::create(dir.path(), "c", NodeId(3)).unwrap();
        marker.set_vote(&vote(4, 3, true)).unwrap();
        marker.set_initialised().unwrap();
        marker.note_durable(10);
        marker.raise_floor().unwrap();
        marker.lower_floor(7).unwrap();
        marker.raise_floor().unwrap();
        let read = Marker::read(dir.path()).unwrap().unwrap();
        assert_eq!(read.content(), marker.content());
        assert_eq!(read.content().log_floor, 7);
        assert_eq!(read.last_vote(), Some(vote(4, 3, true)));
        assert!(!read.content().store_uuid.is_empty());
    }

    #[test]
    fn every_flipped_byte_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        Marker::create(dir.path(), "c", NodeId(3)).unwrap();
        let whole = fs::read(dir.path().join(FILE)).unwrap();
        for place in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[place] ^= 1;
            fs::write(dir.path().join(FILE), &bytes).unwrap();
            let error = Marker::read(dir.path()).unwrap_err();
            assert!(matches!(error, StartError::Guard { .. }), "byte {place}");
        }
    }

    /// A write hangs at a pipe that nobody reads, and fails when somebody does.
    #[test]
    fn it_is_read_while_the_disk_hangs() {
        let dir = tempfile::tempdir().unwrap();
        let marker = Arc::new(Marker::create(dir.path(), "c", NodeId(3)).unwrap());
        let before = marker.content();
        let pipe = dir.path().join("marker.tmp");
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        let writer = thread::spawn({
            let marker = Arc::clone(&marker);
            move || marker.set_vote(&vote(4, 3, true))
        });
        let deadline = Instant::now() + LIMIT;
        while !matches!(marker.writing.try_lock(), Err(TryLockError::WouldBlock)) {
            assert!(Instant::now() < deadline, "nothing is written");
            thread::yield_now();
        }
        let (read, reads) = mpsc::channel();
        thread::spawn({
            let marker = Arc::clone(&marker);
            move || read.send((marker.content(), marker.last_vote()))
        });
        let read = reads.recv_timeout(LIMIT).unwrap();
        assert_eq!(read, (before.clone(), None));

        drop(fs::File::open(&pipe).unwrap());
        writer.join().unwrap().unwrap_err();
        assert_eq!(marker.content(), before, "what was not written is not said");
        fs::remove_file(&pipe).unwrap();
        marker.set_vote(&vote(4, 3, true)).unwrap();
        assert_eq!(marker.last_vote(), Some(vote(4, 3, true)));
    }
}

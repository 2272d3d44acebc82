//! The disk of one machine: what is written is there, what is synced stays.
//!
//! The log lies on the store's own memory backing; votes and snapshots are files of the data
//! directory, which the store syncs before it says so; result files are kept here.
//!
//! **Invariant:** a power cut takes what was not synced, but for a prefix that chance decides.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libra_raft::store::backing::MemoryBacking;

use super::dice::Dice;

/// What a response of Spark's is to a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The schema.
    Schema,
    /// The batch of that number.
    Batch(usize),
    /// The end.
    Complete,
}

/// A response and its id.
pub type Stored = (String, Part);

/// A small result as the registry holds it.
#[must_use]
pub fn inline(parts: &[Stored]) -> Vec<u8> {
    let lines = parts.iter().map(|(id, part)| match part {
        Part::Schema => format!("schema {id}\n"),
        Part::Batch(number) => format!("{number} {id}\n"),
        Part::Complete => format!("complete {id}\n"),
    });
    lines.collect::<String>().into_bytes()
}

/// What [`inline`] was made of; `None` if it was made of nothing.
#[must_use]
pub fn from_inline(bytes: &[u8]) -> Option<Vec<Stored>> {
    let lines = std::str::from_utf8(bytes).ok()?.lines();
    lines
        .map(|line| {
            let (part, id) = line.split_once(' ')?;
            let part = match part {
                "schema" => Part::Schema,
                "complete" => Part::Complete,
                number => Part::Batch(number.parse().ok()?),
            };
            Some((id.to_owned(), part))
        })
        .collect()
}

/// The result of one statement, as one machine has it.
#[derive(Debug, Clone, Default)]
pub struct ResultFile {
    /// The newest epoch that writes it.
    pub epoch: u64,
    /// What was appended.
    pub parts: Vec<Stored>,
    /// How many of them are durable.
    pub synced: usize,
}

impl ResultFile {
    /// Length and hash: what a manifest says of it.
    #[must_use]
    pub fn seal(&self) -> (u64, u64) {
        let text = format!("{:?}", self.parts);
        let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        (self.parts.len() as u64, hash)
    }

    /// Whether all of it is durable.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.synced == self.parts.len()
    }
}

/// One machine's disk.
#[derive(Debug)]
pub struct Disk {
    dir: tempfile::TempDir,
    dice: Dice,
    backing: Mutex<Arc<MemoryBacking>>,
    results: Mutex<BTreeMap<u64, ResultFile>>,
    /// While it is slow a sync takes so long, at most.
    slow: Mutex<Option<Duration>>,
}

impl Disk {
    /// A new disk.
    ///
    /// # Errors
    /// When there is no place for its files.
    pub fn new(seed: u64, machine: u64) -> io::Result<Self> {
        // A disk beneath the simulated one would only cost time.
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() {
            tempfile::tempdir_in(memory)?
        } else {
            tempfile::tempdir()?
        };
        Ok(Self {
            dir,
            dice: Dice::new(seed, 100 + machine),
            backing: Mutex::default(),
            results: Mutex::default(),
            slow: Mutex::default(),
        })
    }

    /// The data directory.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// What the log lies on.
    #[must_use]
    pub fn backing(&self) -> Arc<MemoryBacking> {
        Arc::clone(&lock(&self.backing))
    }

    /// How long the next sync takes.
    #[must_use]
    pub fn sync_takes(&self) -> Duration {
        let slow = lock(&self.slow).map_or(0, |most| most.as_micros() as u64);
        self.dice.micros(200..2_000 + slow)
    }

    /// Makes syncs take up to so much longer; `None` = no more.
    pub fn set_slow(&self, most: Option<Duration>) {
        *lock(&self.slow) = most;
    }

    /// The power goes: what was not synced is lost, but for a part. Returns how much that was.
    pub fn cut_power(&self) -> usize {
        let mut backing = lock(&self.backing);
        let unsynced = backing.unsynced_batches();
        let kept = self.dice.within(0..unsynced as u64 + 1) as usize;
        let left = backing.after_torn_power_cut(kept);
        *backing = Arc::new(left);
        for file in lock(&self.results).values_mut() {
            let unsynced = (file.parts.len() - file.synced) as u64;
            let kept = self.dice.within(0..unsynced + 1) as usize;
            file.parts.truncate(file.synced + kept);
            file.synced = file.parts.len();
        }
        unsynced - kept
    }

    /// All result files.
    pub fn results(&self) -> MutexGuard<'_, BTreeMap<u64, ResultFile>> {
        lock(&self.results)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

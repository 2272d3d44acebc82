//! openraft's log on a [`Backing`].
//!
//! **Invariant:** an entry can be read once `append` returns and is acknowledged only when it is
//! durable; entries up to the purged index do not exist, whether deleted yet or not.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, ControlFlow, Range, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libra_proto::raft as disk;
use openraft::storage::RaftLogStorage;
use openraft::type_config::TypeConfigExt;
use openraft::{OptionalSend, RaftLogReader};
use prost::Message;

use super::backing::{Backing, Batch};
use super::codec::{
    Assembler, entries_end, entry_key, log_id_from_disk, log_id_to_disk, meta_key, parse_entry_key,
    put_entry, vote_from_disk, vote_to_disk,
};
use super::flusher::Flusher;
use super::housekeeper::Housekeeper;
use super::log_index::{LogIndex, Removed};
use super::marker::Marker;
use super::stats::LogStats;
use crate::type_config::{Entry, GroupTypes, IoFlushed, LogId, LogState, TypeConfig, Vote};

/// The most that is read at once for one follower.
pub(crate) const READ_BYTES: u64 = 4 << 20;

const VOTE: &str = "vote";
const COMMITTED: &str = "committed";
const PURGED: &str = "purged";

/// The log, and readers of it: all clones are one log.
#[derive(Debug, Clone)]
pub(crate) struct LogStore<C: GroupTypes = TypeConfig> {
    inner: Arc<Inner<C>>,
}

#[derive(Debug)]
struct Inner<C: GroupTypes> {
    backing: Arc<dyn Backing>,
    index: Mutex<LogIndex>,
    marker: Arc<Marker>,
    flusher: Flusher<C>,
    housekeeper: Housekeeper,
    stats: Arc<LogStats>,
}

/// What a log store holds when it is opened.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) index: LogIndex,
    pub(crate) vote: Option<Vote>,
    /// Purged entries that are still there.
    pub(crate) leftovers: Removed,
}

impl Found {
    /// Reads the whole log, every checksum included.
    pub(crate) fn read(backing: &dyn Backing) -> io::Result<Self> {
        let purged = read_meta(backing, PURGED)?.map(|id: disk::LogId| log_id_from_disk(&id));
        let vote = read_meta(backing, VOTE)?.map(|vote: disk::Vote| vote_from_disk(&vote));
        let mut found = Self {
            index: LogIndex::new(purged),
            vote,
            leftovers: Removed::new(),
        };
        let first = purged.map_or(0, |id| id.index + 1);
        scan(backing, &[0], &entry_key(first, 0), |key, _| {
            if let Some((index, chunk)) = parse_entry_key(key) {
                found.leftovers.push((index, chunk + 1));
            }
            Ok(())
        })?;
        let mut assembler = Assembler::default();
        scan(
            backing,
            &entry_key(first, 0),
            &entries_end(),
            |key, value| {
                if let Some((entry, slot)) = assembler.push(key, value).map_err(damaged)? {
                    let at = entry.log_id.index;
                    let pushed = found.index.push(at, slot);
                    pushed.map_err(|e| damaged(format!("entry {e} is missing, {at} is there")))?;
                }
                Ok(())
            },
        )?;
        assembler.finish().map_err(damaged)?;
        Ok(found)
    }
}

impl<C: GroupTypes> LogStore<C> {
    pub(crate) fn new(
        backing: Arc<dyn Backing>,
        found: Found,
        marker: Arc<Marker>,
        flusher: Flusher<C>,
        housekeeper: Housekeeper,
        stats: Arc<LogStats>,
    ) -> Self {
        housekeeper.delete(found.leftovers);
        stats.set_bytes(found.index.bytes());
        stats.add_appended(found.index.bytes());
        Self {
            inner: Arc::new(Inner {
                backing,
                index: Mutex::new(found.index),
                marker,
                flusher,
                housekeeper,
                stats,
            }),
        }
    }

    /// Lets go of the log, and tells whether others still hold it.
    pub(crate) fn release(self) -> impl Fn() -> bool {
        let inner = Arc::downgrade(&self.inner);
        move || inner.strong_count() > 0
    }

    /// Waits until everything written so far is durable.
    pub(crate) async fn flush(&self) -> io::Result<()> {
        self.inner.flusher.barrier().await
    }
}

impl<C: GroupTypes> Inner<C> {
    fn index(&self) -> MutexGuard<'_, LogIndex> {
        self.index.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change_index<T>(&self, change: impl FnOnce(&mut LogIndex) -> T) -> T {
        let mut index = self.index();
        let changed = change(&mut index);
        self.stats.set_bytes(index.bytes());
        changed
    }

    fn read(&self, wanted: &Range<u64>) -> io::Result<Vec<Entry>> {
        let there = self.index().clip(wanted);
        let mut entries = Vec::new();
        let mut assembler = Assembler::default();
        let mut read = || {
            let from = entry_key(there.start, 0);
            let to = entry_key(there.end, 0);
            scan(&*self.backing, &from, &to, |key, value| {
                let entry = assembler.push(key, value).map_err(damaged)?;
                entries.extend(entry.map(|(entry, _)| entry));
                Ok(())
            })
        };
        let result = if there.is_empty() { Ok(()) } else { read() };
        // What was purged or cut off meanwhile may be missing, or there by half.
        let still = self.index().clip(wanted);
        if still == there {
            result?;
            assembler.finish().map_err(damaged)?;
        }
        entries.retain(|entry| still.contains(&entry.log_id.index));
        let expected = still
            .end
            .min(there.end)
            .saturating_sub(still.start.max(there.start));
        if entries.len() as u64 != expected {
            let found = entries.len();
            return Err(damaged(format!(
                "{found} of {expected} entries in {there:?}"
            )));
        }
        Ok(entries)
    }

    fn put_meta(&self, name: &str, message: Option<&impl Message>) -> io::Result<()> {
        let mut batch = Batch::default();
        match message {
            Some(message) => batch.put(meta_key(name), message.encode_to_vec()),
            None => batch.remove(meta_key(name)),
        }
        self.backing.write(batch)
    }
}

impl<C: GroupTypes> RaftLogReader<C> for LogStore<C> {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> Result<Vec<Entry>, io::Error>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        self.inner.read(&plain_range(&range))
    }

    async fn read_vote(&mut self) -> Result<Option<Vote>, io::Error> {
        let vote = read_meta(&*self.inner.backing, VOTE)?;
        Ok(vote.map(|vote: disk::Vote| vote_from_disk(&vote)))
    }

    async fn limited_get_log_entries(
        &mut self,
        start: u64,
        end: u64,
    ) -> Result<Vec<Entry>, io::Error> {
        let head = {
            let index = self.inner.index();
            index.head(index.clip(&(start..end)), READ_BYTES)
        };
        self.inner.read(&head)
    }
}

impl<C: GroupTypes> RaftLogStorage<C> for LogStore<C> {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> Result<LogState<C>, io::Error> {
        let index = self.inner.index();
        Ok(LogState {
            last_purged_log_id: index.purged(),
            last_log_id: index.last(),
        })
    }

    async fn get_log_reader(&mut self) -> Self::LogReader {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<(), io::Error> {
        self.inner.put_meta(VOTE, Some(&vote_to_disk(vote)))?;
        self.inner.flusher.vote(*vote).await
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<(), io::Error> {
        // Durable with the next sync: an older one only makes a restart replay less at first.
        let committed = committed.as_ref().map(log_id_to_disk);
        self.inner.put_meta(COMMITTED, committed.as_ref())
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>, io::Error> {
        let committed = read_meta(&*self.inner.backing, COMMITTED)?;
        Ok(committed.map(|id: disk::LogId| log_id_from_disk(&id)))
    }

    async fn append<I>(&mut self, entries: I, callback: IoFlushed<C>) -> Result<(), io::Error>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        // Each by itself: all of them are on disk in their order or a begin of them is, which is all
        // that a log needs, and several changes at once cost sled more than one after the other.
        let mut slots = Vec::new();
        for entry in entries {
            let mut batch = Batch::default();
            let slot = put_entry(&mut batch, &entry);
            self.inner.backing.write(batch)?;
            slots.push((entry.log_id.index, slot));
        }
        let next = {
            let mut index = self.inner.index();
            for (at, slot) in slots {
                self.inner.stats.add_appended(u64::from(slot.bytes));
                let pushed = index.push(at, slot);
                pushed.map_err(|e| damaged(format!("append of entry {at}, expected {e}")))?;
            }
            self.inner.stats.set_bytes(index.bytes());
            index.next()
        };
        self.inner.flusher.append(next, callback).await
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<(), io::Error> {
        let next = last_log_id.map_or(0, |id| id.index + 1);
        // Everyone who waits for an entry is answered before it may go, and the floor is lowered
        // before the log gets shorter: a crash in between must not look like a loss.
        self.inner.flusher.barrier().await?;
        let marker = Arc::clone(&self.inner.marker);
        C::spawn_blocking(move || marker.lower_floor(next)).await??;
        let removed = self.inner.change_index(|index| index.truncate_from(next));
        let mut batch = Batch::default();
        for (index, chunks) in removed {
            for chunk in (0..chunks).rev() {
                batch.remove(entry_key(index, chunk));
            }
        }
        self.inner.backing.write(batch)?;
        self.inner.flusher.barrier().await
    }

    async fn purge(&mut self, log_id: LogId) -> Result<(), io::Error> {
        self.inner
            .put_meta(PURGED, Some(&log_id_to_disk(&log_id)))?;
        let removed = self.inner.change_index(|index| index.purge(log_id));
        self.inner.housekeeper.delete(removed);
        Ok(())
    }
}

fn damaged(reason: impl ToString) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.to_string())
}

fn read_meta<M: Message + Default>(backing: &dyn Backing, name: &str) -> io::Result<Option<M>> {
    let Some(bytes) = backing.get(&meta_key(name))? else {
        return Ok(None);
    };
    let message = M::decode(bytes.as_slice()).map_err(|e| damaged(format!("{name}: {e}")))?;
    Ok(Some(message))
}

/// Scans, and stops at the first error of `take`.
fn scan(
    backing: &dyn Backing,
    from: &[u8],
    to: &[u8],
    mut take: impl FnMut(&[u8], &[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut outcome = Ok(());
    backing.scan(from, to, &mut |key, value| {
        outcome = take(key, value);
        if outcome.is_ok() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    })?;
    outcome
}

fn plain_range(range: &impl RangeBounds<u64>) -> Range<u64> {
    let start = match range.start_bound() {
        Bound::Included(start) => *start,
        Bound::Excluded(start) => start.saturating_add(1),
        Bound::Unbounded => 0,
    };
    let end = match range.end_bound() {
        Bound::Included(end) => end.saturating_add(1),
        Bound::Excluded(end) => *end,
        Bound::Unbounded => u64::MAX,
    };
    start..end
}

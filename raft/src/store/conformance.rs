//! openraft's own suite for log stores and state machines, on both backings; and what it does not
//! ask for.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use openraft::entry::RaftEntry;
use openraft::storage::{RaftLogStorage, RaftLogStorageExt};
use openraft::testing::log::{StoreBuilder, Suite};
use openraft::{RaftLogReader, StorageError};
use tempfile::TempDir;

use super::backing::{Backing, Batch, MemoryBacking, Visit};
use super::log_store::LogStore;
use super::state_machine::StateMachine;
use super::{Store, open, open_on};
use crate::error::StartError;
use crate::options::{DiskPolicy, FatalHook, Options};
use crate::type_config::{Entry, TypeConfig, log_id, vote};
use libra_proto::types::NodeId;

fn options(dir: &TempDir) -> Options {
    let mut options = Options::new("c", NodeId(1), dir.path());
    options.disk = DiskPolicy {
        min_free_bytes: 0,
        reserve_bytes: 0,
    };
    options
}

struct OnSled;
struct OnMemory;

fn built(
    dir: TempDir,
    opened: Result<(Store, StateMachine), StartError>,
) -> ((Store, TempDir), LogStore, StateMachine) {
    let (store, state_machine) = opened.unwrap();
    let log = store.log.clone();
    ((store, dir), log, state_machine)
}

impl StoreBuilder<TypeConfig, LogStore, StateMachine, (Store, TempDir)> for OnSled {
    async fn build(
        &self,
    ) -> Result<((Store, TempDir), LogStore, StateMachine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let opened = open(&options(&dir));
        Ok(built(dir, opened))
    }
}

impl StoreBuilder<TypeConfig, LogStore, StateMachine, (Store, TempDir)> for OnMemory {
    async fn build(
        &self,
    ) -> Result<((Store, TempDir), LogStore, StateMachine), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let opened = open_on(&options(&dir), Arc::new(MemoryBacking::default()));
        Ok(built(dir, opened))
    }
}

#[test]
fn openraft_suite_on_sled() {
    runtime().block_on(async { Suite::test_all(OnSled).await.unwrap() });
}

#[test]
fn openraft_suite_in_memory() {
    runtime().block_on(async { Suite::test_all(OnMemory).await.unwrap() });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn blanks(indexes: std::ops::Range<u64>) -> Vec<Entry> {
    indexes
        .map(|index| Entry::new_blank(log_id(1, index)))
        .collect()
}

#[tokio::test]
async fn a_hole_in_the_log_is_refused() {
    let (_guard, mut log, _) = OnMemory.build().await.unwrap();
    log.blocking_append(blanks(0..3)).await.unwrap();
    assert!(log.blocking_append(blanks(4..5)).await.is_err());
}

#[tokio::test]
async fn a_truncated_log_opens_again() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Arc::new(MemoryBacking::default());
    let (store, _) = open_on(&options(&dir), Arc::clone(&memory) as Arc<dyn Backing>).unwrap();
    let mut log = store.log.clone();
    log.save_vote(&vote(1, 1, true)).await.unwrap();
    log.blocking_append(blanks(0..10)).await.unwrap();
    store.marker.raise_floor().unwrap();
    log.truncate_after(Some(log_id(1, 4))).await.unwrap();
    drop(log);
    store.close().await.unwrap();
    // The floor had to be lowered with it.
    let left: Arc<dyn Backing> = Arc::new(memory.after_power_cut());
    let (store, _) = open_on(&options(&dir), left).unwrap();
    let state = store.log.clone().get_log_state().await.unwrap();
    assert_eq!(state.last_log_id, Some(log_id(1, 4)));
}

#[tokio::test]
async fn purged_entries_are_gone_before_they_are_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Arc::new(MemoryBacking::default());
    let (store, _) = open_on(&options(&dir), Arc::clone(&memory) as Arc<dyn Backing>).unwrap();
    let mut log = store.log.clone();
    log.blocking_append(blanks(0..1000)).await.unwrap();
    log.purge(log_id(1, 899)).await.unwrap();
    let entries = log.try_get_log_entries(0..1000).await.unwrap();
    assert_eq!(entries.first().map(|entry| entry.log_id.index), Some(900));
    assert_eq!(
        (entries.len(), store.stats.bytes()),
        (100, entry_bytes() * 100)
    );
    drop(log);
    store.close().await.unwrap();
    let mut keys = 0;
    memory
        .scan(&[1], &[2], &mut |_, _| {
            keys += 1;
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(keys, 100, "deleted by the time the store is closed");
}

fn entry_bytes() -> u64 {
    let mut batch = Batch::default();
    let slot = super::codec::put_entry(&mut batch, &blanks(900..901)[0]);
    u64::from(slot.bytes)
}

/// A process that was killed has written more than it synced: power that is cut after the next start
/// takes none of what that start has found.
#[tokio::test]
async fn what_is_found_at_the_start_is_durable() {
    let dir = tempfile::tempdir().unwrap();
    let memory = Arc::new(MemoryBacking::default());
    let opened = || open_on(&options(&dir), Arc::clone(&memory) as Arc<dyn Backing>).unwrap();
    let (store, _) = opened();
    store
        .log
        .clone()
        .blocking_append(blanks(0..5))
        .await
        .unwrap();
    store.close().await.unwrap();
    let mut batch = Batch::default();
    super::codec::put_entry(&mut batch, &blanks(5..6)[0]);
    memory.write(batch).unwrap();
    assert_eq!(memory.unsynced_batches(), 1);
    let (store, _) = opened();
    assert_eq!(store.marker.durable(), 6);
    // Before it is closed, which syncs too.
    let left: Arc<dyn Backing> = Arc::new(memory.after_power_cut());
    store.close().await.unwrap();
    let (store, _) = open_on(&options(&dir), left).unwrap();
    let state = store.log.clone().get_log_state().await.unwrap();
    assert_eq!(state.last_log_id, Some(log_id(1, 5)));
}

/// Syncs when it is opened, and never again.
#[derive(Debug, Default)]
struct NoSync {
    memory: MemoryBacking,
    opened: AtomicBool,
}

impl Backing for NoSync {
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.memory.get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> io::Result<()> {
        self.memory.scan(from, to, visit)
    }

    fn write(&self, batch: Batch) -> io::Result<()> {
        self.memory.write(batch)
    }

    fn sync(&self) -> io::Result<()> {
        match self.opened.swap(true, Ordering::Relaxed) {
            false => self.memory.sync(),
            true => Err(io::Error::from_raw_os_error(5)),
        }
    }
}

#[tokio::test]
async fn a_failed_sync_is_fatal_and_acknowledges_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (told, mut hook) = tokio::sync::mpsc::unbounded_channel();
    let mut options = options(&dir);
    options.on_fatal = FatalHook::new(move |error| told.send(error.to_string()).unwrap());
    let (store, _) = open_on(&options, Arc::new(NoSync::default())).unwrap();
    let mut log = store.log.clone();
    assert!(log.blocking_append(blanks(0..1)).await.is_err());
    assert!(hook.recv().await.unwrap().contains("sync"));
    assert_eq!(store.marker.durable(), 0);
    // The flusher is gone: a later success must not hide the loss.
    assert!(log.blocking_append(blanks(1..2)).await.is_err());
    assert!(log.save_vote(&vote(1, 1, false)).await.is_err());
    assert_eq!(store.marker.last_vote(), None);
}

//! A disk that fails under a running node: it must go, and must not say yes before.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use libra_raft::store::backing::{Backing, Batch, MemoryBacking, Visit};
use libra_raft::{FatalHook, FeedEvent, Node, Outcome, ProposeError};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::support::{options, propose_all, put_pool, until};

const FINE: u8 = 0;
const FULL: u8 = 1;
const BROKEN: u8 = 2;
const PANICS: u8 = 3;

/// A backing that starts to fail when told to.
#[derive(Debug, Default)]
struct Failing {
    memory: MemoryBacking,
    mode: AtomicU8,
}

impl Failing {
    fn is(&self, mode: u8) -> bool {
        self.mode.load(Ordering::Relaxed) == mode
    }
}

impl Backing for Failing {
    fn get(&self, key: &[u8]) -> io::Result<Option<Vec<u8>>> {
        self.memory.get(key)
    }

    fn scan(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> io::Result<()> {
        self.memory.scan(from, to, visit)
    }

    fn write(&self, batch: Batch) -> io::Result<()> {
        if self.is(FULL) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.memory.write(batch)
    }

    fn sync(&self) -> io::Result<()> {
        assert!(!self.is(PANICS), "as sled does");
        if self.is(BROKEN) {
            return Err(io::Error::from_raw_os_error(5));
        }
        self.memory.sync()
    }
}

/// Breaks a running node in some way; returns what the proposals and the hook then said.
async fn broken(mode: u8) -> (ProposeError, UnboundedReceiver<String>) {
    let dir = tempfile::tempdir().unwrap();
    let backing = Arc::new(Failing::default());
    let (told, hook) = unbounded_channel();
    let mut options = options(dir.path());
    options.propose_timeout = std::time::Duration::from_secs(3);
    options.on_fatal = FatalHook::new(move |error| {
        // The test may have seen enough.
        let _ = told.send(error.to_string());
    });
    let node = Node::start_on(options, Arc::clone(&backing) as _)
        .await
        .unwrap();
    let handle = node.handle();
    propose_all(&handle, 0..3).await;
    let mut feed = handle.subscribe();

    backing.mode.store(mode, Ordering::Relaxed);
    let error = handle.propose(put_pool(3)).await.unwrap_err();
    if mode != PANICS {
        until("failure is told", || handle.status().failure.is_some()).await;
        assert_eq!(
            handle.propose(put_pool(4)).await,
            Err(ProposeError::Stopped)
        );
        assert_eq!(feed.next().await, FeedEvent::Closed);
    }
    backing.mode.store(FINE, Ordering::Relaxed);
    (error, hook)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_fails_ends_the_node() {
    let (error, mut hook) = broken(FULL).await;
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert!(hook.recv().await.unwrap().contains("raft has stopped"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_fails_ends_the_process_first() {
    let (error, mut hook) = broken(BROKEN).await;
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(hook.recv().await.unwrap(), "sync of the registry's log");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sync_that_panics_ends_the_process_too() {
    let (error, mut hook) = broken(PANICS).await;
    assert_eq!(error.outcome(), Outcome::Unknown);
    assert_eq!(hook.recv().await.unwrap(), "panic in thread libra-flush");
}

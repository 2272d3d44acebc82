//! Opening a data directory, and closing it.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::backing::{Backing, LockedBacking, OpenError, SledBacking};
use super::flusher::{Flusher, Flushing};
use super::guards;
use super::housekeeper::{Housekeeper, Housekeeping};
use super::lock::DirLock;
use super::log_store::{Found, LogStore};
use super::marker::Marker;
use super::snapshot_dir::SnapshotDir;
use super::space::Space;
use super::state_machine::{Shared, StateMachine};
use super::stats::LogStats;
use crate::error::StartError;
use crate::feed::Publisher;
use crate::options::Options;
use crate::type_config::{GroupTypes, TypeConfig};

/// How long closing waits for whoever still reads the log.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);
const CLOSE_POLL: Duration = Duration::from_millis(2);

/// An open data directory.
#[derive(Debug)]
pub(crate) struct Store<C: GroupTypes = TypeConfig> {
    pub(crate) marker: Arc<Marker>,
    pub(crate) space: Arc<Space>,
    pub(crate) log: LogStore<C>,
    pub(crate) stats: Arc<LogStats>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) snapshots: Arc<SnapshotDir>,
    threads: Vec<JoinHandle<()>>,
}

/// What a store does beside answering; somebody has to run it.
pub(crate) struct Duties<C: GroupTypes> {
    pub(crate) flushing: Flushing<C>,
    pub(crate) housekeeping: Housekeeping,
}

/// A store, its state machine and its duties.
pub(crate) type Opened<C> = (Store<C>, StateMachine, Duties<C>);

/// Opens the data directory that the options name, with sled beneath the log.
pub(crate) fn open(options: &Options) -> Result<(Store, StateMachine), StartError> {
    let lock = lock_dir(&options.data_dir)?;
    let log_dir = options.data_dir.join("log");
    let marker = guards::check_dir(options, &log_dir)?;
    guards::check_database(&marker, &log_dir)?;
    let backing = SledBacking::open(&log_dir).map_err(|error| match error {
        OpenError::Damaged(found) => StartError::Damaged {
            path: log_dir.clone(),
            found,
        },
        OpenError::Io(error) => damaged_or_io(&log_dir, error),
    })?;
    let opened = assemble(options, lock, marker, Arc::new(backing))?;
    run_duties(options, opened)
}

/// Opens the data directory that the options name, with `backing` beneath the log.
pub(crate) fn open_on(
    options: &Options,
    backing: Arc<dyn Backing>,
) -> Result<(Store, StateMachine), StartError> {
    let lock = lock_dir(&options.data_dir)?;
    let marker = guards::check_dir(options, &options.data_dir.join("log"))?;
    let opened = assemble(options, lock, marker, backing)?;
    run_duties(options, opened)
}

/// As [`open_on`], on any runtime; the caller runs the duties.
#[cfg(feature = "simulation")]
pub(crate) fn open_idle<C: GroupTypes>(
    options: &Options,
    backing: Arc<dyn Backing>,
) -> Result<Opened<C>, StartError> {
    let lock = lock_dir(&options.data_dir)?;
    let marker = guards::check_dir(options, &options.data_dir.join("log"))?;
    assemble(options, lock, marker, backing)
}

fn lock_dir(data_dir: &Path) -> Result<DirLock, StartError> {
    fs::create_dir_all(data_dir).map_err(|e| StartError::io("create", data_dir, e))?;
    DirLock::acquire(data_dir)
}

fn assemble<C: GroupTypes>(
    options: &Options,
    lock: DirLock,
    marker: Marker,
    backing: Arc<dyn Backing>,
) -> Result<Opened<C>, StartError> {
    let dir = &options.data_dir;
    let log_dir = dir.join("log");
    let backing: Arc<dyn Backing> = Arc::new(LockedBacking::new(backing, lock));
    // What is found here counts as durable from now on, and a process that was killed may have left
    // what it had not synced.
    backing
        .sync()
        .map_err(|error| StartError::io("sync", &log_dir, error))?;
    let found = Found::read(&*backing).map_err(|error| damaged_or_io(&log_dir, error))?;
    let snapshot_dir = dir.join("snapshots");
    let purged = found.index.purged();
    let (snapshots, restored) = SnapshotDir::open(&snapshot_dir, &options.cluster_name, purged)?;
    let next = restored.meta.last_log_id.map_or(0, |id| id.index + 1);
    guards::check_content(&marker, &log_dir, &found, next)?;

    marker.note_durable(found.index.next());
    let marker = Arc::new(marker);
    let space = Arc::new(Space::new(dir, options.disk));
    space
        .refresh()
        .map_err(|e| StartError::io("check the free space of", dir, e))?;
    let stats = Arc::new(LogStats::default());
    let (flusher, flushing) = Flusher::new(
        Arc::clone(&backing),
        Arc::clone(&marker),
        Arc::clone(&stats),
        options.on_fatal.clone(),
    );
    let (housekeeper, housekeeping) = Housekeeper::new(
        Arc::clone(&backing),
        Arc::clone(&marker),
        Arc::clone(&space),
    );

    let publisher = Publisher::new(options.feed_capacity);
    let shared = Arc::new(Shared::new(restored.registry, publisher, next));
    let snapshots = Arc::new(snapshots);
    let state_machine = StateMachine::new(
        Arc::clone(&shared),
        Arc::clone(&snapshots),
        Arc::clone(&space),
        restored.meta,
    );
    let store = Store {
        log: LogStore::new(
            backing,
            found,
            Arc::clone(&marker),
            flusher,
            housekeeper,
            Arc::clone(&stats),
        ),
        marker,
        space,
        stats,
        shared,
        snapshots,
        threads: Vec::new(),
    };
    let duties = Duties {
        flushing,
        housekeeping,
    };
    Ok((store, state_machine, duties))
}

/// Gives each duty a thread; a task where the disk is simulated.
fn run_duties(
    options: &Options,
    (mut store, state_machine, duties): Opened<TypeConfig>,
) -> Result<(Store, StateMachine), StartError> {
    let Duties {
        flushing,
        housekeeping,
    } = duties;
    #[cfg(feature = "simulation")]
    if let Some(takes) = options.simulated_disk {
        tokio::spawn(flushing.run_as_task(move || tokio::time::sleep(takes)));
        tokio::spawn(housekeeping.run_as_task());
        return Ok((store, state_machine));
    }
    let spawned = |e| StartError::io("start a thread for", &options.data_dir, e);
    let thread = |name, work: Box<dyn FnOnce() + Send>| {
        super::spawn(name, options.on_fatal.clone(), work).map_err(spawned)
    };
    store.threads = vec![
        thread("libra-flush", Box::new(move || flushing.run()))?,
        thread("libra-housekeeping", Box::new(move || housekeeping.run()))?,
    ];
    Ok((store, state_machine))
}

fn damaged_or_io(path: &Path, error: io::Error) -> StartError {
    match error.kind() {
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => StartError::Damaged {
            path: path.to_owned(),
            found: error.to_string(),
        },
        _ => StartError::io("open", path, error),
    }
}

impl Store {
    /// Makes everything durable and lets go of the directory. Raft has been shut down before.
    ///
    /// # Errors
    /// When the last sync failed, or somebody still reads the log after ten seconds.
    pub(crate) async fn close(self) -> io::Result<()> {
        let flushed = self.log.flush().await;
        let is_held = self.log.release();
        let deadline = tokio::time::Instant::now() + CLOSE_LIMIT;
        while is_held() {
            if tokio::time::Instant::now() > deadline {
                return Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    "the log is still being read",
                ));
            }
            tokio::time::sleep(CLOSE_POLL).await;
        }
        // They end when nobody can reach them any more.
        for thread in self.threads {
            // A panic in one of them has been seen by whoever waited for it.
            let _ = tokio::task::spawn_blocking(|| thread.join()).await;
        }
        flushed
    }
}

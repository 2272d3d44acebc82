//! Power cuts: what was not synced is gone.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};

use libra_raft::store::backing::MemoryBacking;
use libra_raft::{FatalHook, Node, Options, StartError};

use crate::support::{options, pool_name, pools, put_pool, until};

const PROPOSERS: u64 = 16;
const ACKNOWLEDGED: usize = 300;

/// What is left after a power cut in the middle of work.
struct Wreck {
    dir: tempfile::TempDir,
    log: MemoryBacking,
    acknowledged: BTreeSet<String>,
}

fn quiet(dir: &Path) -> Options {
    let mut options = options(dir);
    options.on_fatal = FatalHook::new(|_| {});
    options
}

/// Proposes from many tasks and cuts the power when enough has been acknowledged.
async fn wreck(memory: MemoryBacking) -> Wreck {
    let dir = tempfile::tempdir().unwrap();
    let memory = Arc::new(memory);
    let node = Node::start_on(quiet(dir.path()), Arc::clone(&memory) as _)
        .await
        .unwrap();
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    let mut proposers = tokio::task::JoinSet::new();
    for proposer in 0..PROPOSERS {
        let (handle, acknowledged) = (node.handle(), Arc::clone(&acknowledged));
        proposers.spawn(async move {
            for number in (proposer..).step_by(usize::try_from(PROPOSERS).unwrap()) {
                if handle.propose(put_pool(number)).await.is_err() {
                    return;
                }
                acknowledged.lock().unwrap().insert(pool_name(number));
            }
        });
    }
    until("enough acknowledged", || {
        acknowledged.lock().unwrap().len() >= ACKNOWLEDGED
    })
    .await;
    // First what was promised, then what is left: the other way round would excuse a loss.
    let acknowledged = acknowledged.lock().unwrap().clone();
    let log = memory.after_power_cut();
    let left = tempfile::tempdir().unwrap();
    for name in ["version", "marker"] {
        fs::copy(dir.path().join(name), left.path().join(name)).unwrap();
    }
    proposers.shutdown().await;
    node.shutdown().await.unwrap();
    Wreck {
        dir: left,
        log,
        acknowledged,
    }
}

/// Starts on what is left; says what of the acknowledged is missing.
async fn missing_after(wreck: Wreck) -> Result<usize, StartError> {
    let node = Node::start_on(quiet(wreck.dir.path()), Arc::new(wreck.log)).await?;
    node.handle().read_index().await.unwrap();
    let kept = pools(&node.handle());
    node.shutdown().await.unwrap();
    Ok(wreck.acknowledged.difference(&kept).count())
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost() {
    for _ in 0..5 {
        let wreck = wreck(MemoryBacking::default()).await;
        assert!(wreck.acknowledged.len() >= ACKNOWLEDGED);
        assert_eq!(missing_after(wreck).await.unwrap(), 0);
    }
}

/// The test of the test: without a real sync the same run must go wrong, and be seen to. The
/// marker remembers a vote that the log does not, so the loss is even told of at the start.
#[tokio::test(flavor = "multi_thread")]
async fn without_sync_the_same_run_is_refused() {
    let wreck = wreck(MemoryBacking::lying()).await;
    let error = missing_after(wreck).await.unwrap_err();
    assert!(matches!(error, StartError::Emptied { .. }), "{error}");
}

/// And with the guards out of the way it loses what it had acknowledged.
#[tokio::test(flavor = "multi_thread")]
async fn without_sync_and_marker_the_same_run_loses() {
    let wreck = wreck(MemoryBacking::lying()).await;
    fs::remove_file(wreck.dir.path().join("marker")).unwrap();
    let acknowledged = wreck.acknowledged.len();
    assert_eq!(missing_after(wreck).await.unwrap(), acknowledged);
}

/// With the switch off it is the same: the marker tells of an empty log, and without it all is lost.
#[cfg(feature = "safety-switches")]
#[tokio::test(flavor = "multi_thread")]
async fn without_sync_before_acknowledging_the_same_run_loses() {
    use libra_proto::safety::{Safety, take_off};

    take_off(&[Safety::SyncBeforeAck]);
    let wreck = wreck(MemoryBacking::default()).await;
    fs::remove_file(wreck.dir.path().join("marker")).unwrap();
    let acknowledged = wreck.acknowledged.len();
    assert_eq!(missing_after(wreck).await.unwrap(), acknowledged);
}

//! Group commit, and how fast proposals are.

use std::time::{Duration, Instant};

use libra_raft::Handle;

use crate::support::{put_pool, start};

/// Proposes `total` commands from so many tasks; returns the time it took.
async fn propose_from(handle: &Handle, proposers: u64, first: u64, total: u64) -> Duration {
    let began = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for proposer in 0..proposers {
        let handle = handle.clone();
        tasks.spawn(async move {
            for number in (proposer..total).step_by(usize::try_from(proposers).unwrap()) {
                // Few names, so that the registry stays small.
                handle
                    .propose(put_pool((first + number) % 100))
                    .await
                    .unwrap();
            }
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    began.elapsed()
}

fn per_second(total: u64, took: Duration) -> f64 {
    f64::from(u32::try_from(total).unwrap()) / took.as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_proposers_share_a_sync() {
    const ALONE: u64 = 300;
    const TOTAL: u64 = 6400;
    let dir = tempfile::tempdir().unwrap();
    let node = start(dir.path()).await;
    let handle = node.handle();
    handle.read_index().await.unwrap();

    let alone = propose_from(&handle, 1, 0, ALONE).await;
    let before = handle.status().syncs;
    let together = propose_from(&handle, 64, ALONE, TOTAL).await;
    let syncs = handle.status().syncs - before;
    println!(
        "proposals per second: 1 proposer {:.0}, 64 proposers {:.0} ({TOTAL} in {syncs} syncs)",
        per_second(ALONE, alone),
        per_second(TOTAL, together),
    );
    assert!(syncs < TOTAL / 2, "{syncs} syncs for {TOTAL} proposals");
    node.shutdown().await.unwrap();
}

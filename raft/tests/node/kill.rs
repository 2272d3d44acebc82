//! kill -9, over and over: what a child process has said to be applied is there afterwards.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::support::{named, pool_name, pools, put_pool, start};

const DIR: &str = "LIBRA_TEST_KILL_DIR";
const ROUNDS: usize = 5;
const WRITERS: u64 = 8;

/// The child, when the parent starts it: proposes from several tasks without end and says what was
/// applied. In an ordinary run it has nothing to do.
#[tokio::test(flavor = "multi_thread")]
async fn child() {
    let Ok(dir) = std::env::var(DIR) else { return };
    let node = start(Path::new(&dir)).await;
    let first = u64::try_from(pools(&node.handle()).len()).unwrap() * 1000;
    let writers = (0..WRITERS).map(|writer| {
        let handle = node.handle();
        tokio::spawn(async move {
            for number in (first + writer..).step_by(usize::try_from(WRITERS).unwrap()) {
                handle.propose(put_pool(number)).await.unwrap();
                writeln!(std::io::stdout(), "applied {number}").unwrap();
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

/// Runs the child until it has said so many numbers, kills it, and returns all that it said.
fn run_and_kill(dir: &Path, enough: usize) -> Vec<u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::child", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = Vec::new();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    for line in lines {
        // The kill may cut the last line in half: it then does not end in a whole number.
        let line = line.unwrap();
        said.extend(
            line.strip_prefix("applied ")
                .and_then(|n| n.parse::<u64>().ok()),
        );
        if said.len() == enough {
            child.kill().unwrap();
        }
    }
    child.wait().unwrap();
    assert!(
        said.len() >= enough,
        "the child ended by itself after {}",
        said.len()
    );
    // A cut line could read as another number.
    said.pop();
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = Vec::new();
    for round in 0..ROUNDS {
        let path = dir.path().to_owned();
        let enough = 50 + 37 * round;
        let said = tokio::task::spawn_blocking(move || run_and_kill(&path, enough))
            .await
            .unwrap();
        acknowledged.extend(said);
        let node = start(dir.path()).await;
        node.handle().read_index().await.unwrap();
        let kept = pools(&node.handle());
        for number in &acknowledged {
            assert!(
                kept.contains(&pool_name(*number)),
                "round {round}: {number} is lost"
            );
        }
        node.shutdown().await.unwrap();
    }
    assert_eq!(
        named(acknowledged.iter().copied()).len(),
        acknowledged.len()
    );
}

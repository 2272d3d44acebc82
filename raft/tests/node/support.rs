//! Options, commands and waits that the tests share.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use libra_proto::registry::{Command, PoolRecord, PutPool, SchedulingMode, Submit, command};
use libra_proto::types::NodeId;
use libra_raft::{DiskPolicy, Handle, Node, Options};

pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Options for a directory, with no regard for free space.
pub(crate) fn options(dir: &Path) -> Options {
    let mut options = Options::new("test", NodeId(1), dir);
    options.disk = DiskPolicy {
        min_free_bytes: 0,
        reserve_bytes: 0,
    };
    options.propose_timeout = LIMIT;
    options
}

pub(crate) async fn start(dir: &Path) -> Node {
    Node::start(options(dir)).await.unwrap()
}

/// Makes a pool named after its number.
pub(crate) fn put_pool(number: u64) -> Command {
    let pool = PoolRecord {
        name: pool_name(number),
        weight: 1,
        min_share: 0,
        scheduling_mode: SchedulingMode::Fair.into(),
        max_running: 0,
        paused: false,
    };
    command(command::Kind::PutPool(PutPool { pool: Some(pool) }))
}

pub(crate) fn pool_name(number: u64) -> String {
    format!("p-{number}")
}

/// A submit that is refused, with a text of that many bytes: it only fills the log.
pub(crate) fn large_text(bytes: usize) -> Command {
    command(command::Kind::Submit(Submit {
        session_id: "nobody".to_owned(),
        code: "x".repeat(bytes),
        ..Submit::default()
    }))
}

fn command(kind: command::Kind) -> Command {
    Command {
        proposed_at_ms: 1,
        proposer_node: 1,
        kind: Some(kind),
        ..Command::default()
    }
}

pub(crate) fn pools(handle: &Handle) -> BTreeSet<String> {
    handle.view(|registry| registry.pools().map(|pool| pool.name.clone()).collect())
}

pub(crate) fn named(numbers: impl IntoIterator<Item = u64>) -> BTreeSet<String> {
    numbers.into_iter().map(pool_name).collect()
}

pub(crate) async fn propose_all(handle: &Handle, numbers: impl IntoIterator<Item = u64>) {
    for number in numbers {
        handle.propose(put_pool(number)).await.unwrap();
    }
}

/// Waits until `met`, looking often.
pub(crate) async fn until(what: &str, mut met: impl FnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + LIMIT;
    while !met() {
        assert!(tokio::time::Instant::now() < deadline, "not met: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

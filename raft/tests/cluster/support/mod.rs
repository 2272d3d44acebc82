//! Nodes, commands and waits that the tests share.

mod group;
mod load;
mod net;

use std::collections::BTreeSet;
use std::time::Duration;

use libra_proto::registry::{Command, PoolRecord, PutPool, SchedulingMode, Submit, command};
use libra_raft::Handle;
use tokio::time::Instant;

pub(crate) use group::{Group, address, peers, run};
pub(crate) use load::Load;
pub(crate) use net::Cut;

pub(crate) const LIMIT: Duration = Duration::from_secs(30);

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

/// Waits until `met`, looking often.
pub(crate) async fn until(what: &str, mut met: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !met() {
        assert!(Instant::now() < deadline, "not met: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

//! Nodes that die, stop and come back, before the stub: sessions move, statements go on.
//!
//! **Invariant:** what ran is counted by the stub's ledger: nothing twice, whatever happens.
#![expect(
    clippy::print_stdout,
    reason = "shown by the test runner when a test fails, or when it is asked for"
)]

mod all;
mod bytes;
mod clients;
mod full;
mod intents;
mod kills;
mod many;
mod paused;
mod rolling;

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use libra_tests::harness::{Cluster, Statement};
use libra_tests::scene::{
    SOON, begun, nothing_ran_twice, repeats, session_of, sql, stub, succeeded, three,
};

/// From a kill to the next sign of every running statement, at the 99th percentile.
const GOAL: Duration = Duration::from_millis(2_500);
/// What other tests on the same machine may cost on top.
const BUSY: Duration = Duration::from_secs(3);

/// What a node is that dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// It owns the session, and does not lead.
    Owner,
    /// It leads, and does not own the session.
    Leader,
    /// It is both.
    Both,
}

/// A session whose owner is, or is not, the leader; and the node that plays that role.
async fn cast(cluster: &Cluster, role: Role) -> Result<(String, u64)> {
    let leader = cluster.leader().await?;
    let follower = cluster.others(leader)[0];
    let owner = match role {
        Role::Both => leader,
        Role::Owner | Role::Leader => follower,
    };
    let session = session_of(cluster, owner).await?;
    ensure!(cluster.leader().await? == leader, "another leads by now");
    let victim = match role {
        Role::Owner => follower,
        Role::Leader | Role::Both => leader,
    };
    Ok((session, victim))
}

/// Waits for the end of a statement at each of some nodes, and checks that it ended well.
async fn ends_well(cluster: &Cluster, at: &[u64], job: &str) -> Result<Statement> {
    let mut last = None;
    for id in at {
        let ended = cluster.api(*id)?.ended(job, SOON).await?;
        succeeded(&ended)?;
        if let Some(last) = &last {
            ensure!(*last == ended, "node {id} shows {ended:?}, not {last:?}");
        }
        last = Some(ended);
    }
    last.ok_or_else(|| anyhow::anyhow!("nobody was asked"))
}

/// Asks the nodes for what they list, again and again, until `until`; the longest time that an
/// answer took, a second try at the next node included.
async fn answering(cluster: &Cluster, until: Instant) -> Result<Duration> {
    let ids = cluster.running();
    let mut longest = Duration::ZERO;
    let mut turn = 0;
    while Instant::now() < until {
        let began = Instant::now();
        let first = cluster.api(ids[turn % ids.len()])?;
        let second = cluster.api(ids[(turn + 1) % ids.len()])?;
        let path = "statements?limit=20";
        let served = first
            .get(path)
            .await
            .is_ok_and(|reply| reply.status.is_success());
        if !served {
            second.get(path).await?.expect(&[200])?;
        }
        longest = longest.max(began.elapsed());
        turn += 1;
    }
    Ok(longest)
}

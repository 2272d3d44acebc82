//! What a cluster says of itself: one statement's trace over three nodes, one log line for each change
//! of state, and the metrics that `deploy/METRICS.md` promises.
//!
//! **Invariant:** seen from outside only: at a collector, in the logs, at `/actuator/prometheus`.

mod logs;
mod metrics;
mod traces;

use anyhow::{Result, ensure};
use libra_tests::harness::{Cluster, State, Statement};
use libra_tests::scene::{SOON, begun, session_of, sql, stub, three};

#[track_caller]
fn assert_succeeded(statement: &Statement) {
    assert_eq!(statement.state, State::Succeeded, "{:?}", statement.error);
}

/// Three roles on three nodes: who leads, who owns the session, and who takes the request.
struct Cast {
    leader: u64,
    owner: u64,
    asked: u64,
    session: String,
}

impl Cast {
    async fn of(cluster: &Cluster) -> Result<Self> {
        let leader = cluster.leader().await?;
        let others = cluster.others(leader);
        ensure!(others.len() == 2, "{others:?}");
        let (owner, asked) = (others[0], others[1]);
        let session = session_of(cluster, owner).await?;
        Ok(Self {
            leader,
            owner,
            asked,
            session,
        })
    }
}

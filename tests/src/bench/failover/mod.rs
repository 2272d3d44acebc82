//! `libra-failover`: nodes killed again and again, and how long it takes until every statement that
//! ran shows its result: with its owner dead, the leader, or a node that is both.
//!
//! Each statement ends in Spark about when its node dies, so that what is measured is the failover
//! and not the statement. Beside it stands what it is made of, as the nodes that are left show it:
//! when another leads, when the sessions have moved, and what passes from there to the result.
//!
//! **Invariant:** times run from the kill, on one clock; what ran is counted by the stub's ledger.

mod round;
mod table;

use std::sync::Arc;

use anyhow::{Result, bail, ensure};

use super::figures::quantile;
use super::report::{Goal, Report};
use crate::harness::Cluster;
use crate::scene::{nothing_ran_twice, stub, three};
use round::Round;

/// From a kill to the next result of every running statement, in ms.
const GOAL: Goal = Goal::AtMost(2_500.0);
/// Sessions with a running statement, more or less, in every round.
const SESSIONS: usize = 9;

pub(super) const RESULT: &str = "kill to result";
pub(super) const LEADER: &str = "kill to new leader";
pub(super) const MOVED: &str = "kill to sessions moved";
pub(super) const AFTER: &str = "moved to last result";

/// Who dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Role {
    /// A node that owns sessions, and does not lead.
    Owner,
    /// The leader, none of whose sessions have a running statement.
    Leader,
    /// The leader, all of whose sessions have one.
    Both,
}

impl Role {
    fn name(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Leader => "leader",
            Self::Both => "owner = leader",
        }
    }
}

/// How much is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Kills of each role.
    #[arg(long, default_value_t = 30)]
    pub kills: usize,
    /// Who dies.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "owner,leader,both"
    )]
    pub roles: Vec<Role>,
}

/// Runs the benchmark.
///
/// # Errors
/// When a process does not start, a statement is lost, or one ran twice.
pub async fn run(options: &Options) -> Result<Report> {
    let mut report = Report::begin("failover")?;
    let stub = stub().await?;
    let mut cluster = three(&stub)
        .isolated(4 * SESSIONS)
        .set("libra.scheduler.slots", 4 * SESSIONS)
        .start()
        .await?;
    for turn in 0..options.kills {
        for role in &options.roles {
            let round = Round {
                name: format!("{}-{turn}", role.name().replace([' ', '='], "")),
                role: *role,
                sessions: SESSIONS,
                stub: Arc::clone(&stub),
            };
            let measured = round.measure(&mut cluster).await?;
            measured.note(turn, role.name(), &mut report);
        }
    }
    nothing_ran_twice(&stub).await?;
    cluster.all_hold_the_same().await?;
    for role in &options.roles {
        table::judge(role.name(), &mut report, GOAL)?;
    }
    report.end()
}

/// A node in a role.
async fn victim(cluster: &Cluster, role: Role) -> Result<u64> {
    let leader = cluster.leader().await?;
    match role {
        Role::Leader | Role::Both => Ok(leader),
        Role::Owner => match cluster.others(leader).first() {
            Some(follower) => Ok(*follower),
            None => bail!("there is none but the leader"),
        },
    }
}

fn p99(values: &[f64]) -> Result<f64> {
    ensure!(!values.is_empty(), "nothing was measured");
    Ok(quantile(values, 0.99))
}

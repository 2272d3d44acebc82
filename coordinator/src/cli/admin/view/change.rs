//! What was done.

use chrono::{DateTime, Utc};
use libra_proto::admin::{
    CancelStatementsResponse, CancelledStatement, Member, Pool, RebalanceSessionsResponse, Session,
    SessionMove,
};
use serde::Serialize;

use super::super::output::{Block, Cell, Column, Grid, Page, Shown};
use super::count;
use super::pool::{OnePool, pools};
use super::session::OneSession;
use super::words::{statement_state, toned, work_tone};

/// A change of which no more is to be said.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli::admin) struct ChangeView {
    /// What was done, in words.
    pub(in crate::cli::admin) done: String,
    /// False: it was as asked for already.
    pub(in crate::cli::admin) changed: bool,
}

impl Shown for ChangeView {
    fn page(&self, _now: DateTime<Utc>) -> Page {
        Page::line(&self.done)
    }
}

/// `libra admin nodes add`, `promote`, `remove`: the Raft group as it is now.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli::admin) struct MembersView {
    /// What was done, in words.
    done: String,
    members: Vec<MemberView>,
}

/// A node of the Raft group.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberView {
    node_id: u64,
    /// Its gRPC address, as other nodes reach it.
    grpc: String,
    voter: bool,
    /// Log entries that it is behind the leader.
    lag_entries: Option<u64>,
}

impl MembersView {
    pub(in crate::cli::admin) fn new(done: String, members: Vec<Member>) -> Self {
        let members = members.into_iter().map(|member| MemberView {
            node_id: member.node_id,
            grpc: member.address,
            voter: member.voter,
            lag_entries: member.lag,
        });
        Self {
            done,
            members: members.collect(),
        }
    }
}

impl Shown for MembersView {
    fn page(&self, _now: DateTime<Utc>) -> Page {
        let row = |member: &MemberView| {
            vec![
                Cell::new(member.node_id),
                Cell::new(if member.voter { "voter" } else { "learner" }),
                Cell::of(member.lag_entries),
                Cell::new(&member.grpc),
            ]
        };
        Page::line(&self.done).and(Block::Grid(Grid {
            columns: const {
                &[
                    Column::number("NODE"),
                    Column::key("VOTE"),
                    Column::number("LAG"),
                    Column::text("GRPC"),
                ]
            },
            rows: self.members.iter().map(row).collect(),
            none: "nobody is left in the group",
        }))
    }
}

/// `libra admin sessions move`, `close`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli::admin) struct SessionView {
    /// What was done, in words.
    done: String,
    /// False: it was as asked for already.
    changed: bool,
    session: Option<OneSession>,
}

impl SessionView {
    pub(in crate::cli::admin) fn new(
        done: String,
        changed: bool,
        session: Option<Session>,
    ) -> Self {
        Self {
            done,
            changed,
            session: session.map(OneSession::from),
        }
    }
}

impl Shown for SessionView {
    fn page(&self, _now: DateTime<Utc>) -> Page {
        Page::line(&self.done)
    }
}

/// `libra admin sessions rebalance`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli::admin) struct RebalanceView {
    moves: Vec<MoveView>,
}

/// One session's move.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct MoveView {
    session_id: String,
    from_node: u64,
    to_node: u64,
    /// The epoch it is in now.
    epoch: u64,
}

impl From<RebalanceSessionsResponse> for RebalanceView {
    fn from(answer: RebalanceSessionsResponse) -> Self {
        let view = |moved: SessionMove| MoveView {
            session_id: moved.session_id,
            from_node: moved.from_node,
            to_node: moved.to_node,
            epoch: moved.epoch,
        };
        Self {
            moves: answer.moves.into_iter().map(view).collect(),
        }
    }
}

impl Shown for RebalanceView {
    fn page(&self, _now: DateTime<Utc>) -> Page {
        let row = |moved: &MoveView| {
            vec![
                Cell::new(&moved.session_id),
                Cell::new(moved.from_node),
                Cell::new(moved.to_node),
                Cell::new(moved.epoch),
            ]
        };
        Page::grid(Grid {
            columns: const {
                &[
                    Column::key("SESSION"),
                    Column::number("FROM"),
                    Column::number("TO"),
                    Column::number("EPOCH"),
                ]
            },
            rows: self.moves.iter().map(row).collect(),
            none: "the sessions are even already: none was moved",
        })
    }
}

/// `libra admin statements cancel`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli::admin) struct CancelView {
    /// Whether this only says what would be done.
    dry_run: bool,
    /// Oldest first.
    statements: Vec<CancelledView>,
    /// How many more fit.
    remaining: u64,
}

/// One of the statements.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct CancelledView {
    job_id: String,
    session_id: String,
    pool: String,
    user: String,
    /// The state before.
    before: &'static str,
    /// The state after it; `running`: Spark has yet to be interrupted.
    after: &'static str,
}

impl CancelView {
    pub(in crate::cli::admin) fn new(dry_run: bool, answer: CancelStatementsResponse) -> Self {
        let view = |statement: CancelledStatement| CancelledView {
            before: statement_state(statement.before()),
            after: statement_state(statement.after()),
            job_id: statement.job_id,
            session_id: statement.session_id,
            pool: statement.pool,
            user: statement.user,
        };
        Self {
            dry_run,
            statements: answer.statements.into_iter().map(view).collect(),
            remaining: answer.remaining,
        }
    }

    /// `12 statements (4 running, 8 queued)`; those that have ended do not count.
    pub(in crate::cli::admin) fn whom(&self) -> String {
        let of = |state| {
            self.statements
                .iter()
                .filter(|it| it.before == state)
                .count()
        };
        let (running, queued) = (of("running"), of("queued"));
        let all = u64::try_from(running + queued).unwrap_or(u64::MAX);
        format!(
            "{} ({running} running, {queued} queued)",
            count(all, "statement")
        )
    }

    /// How many had not ended.
    pub(in crate::cli::admin) fn live(&self) -> usize {
        let live = |it: &&CancelledView| matches!(it.before, "running" | "queued");
        self.statements.iter().filter(live).count()
    }
}

impl Shown for CancelView {
    fn page(&self, _now: DateTime<Utc>) -> Page {
        let row = |it: &CancelledView| {
            vec![
                Cell::new(&it.job_id),
                toned(it.before, work_tone(it.before)),
                Cell::new(self.outcome(it)),
                Cell::new(&it.pool),
                Cell::new(&it.session_id),
                Cell::new(&it.user),
            ]
        };
        let page = Page::grid(Grid {
            columns: const {
                &[
                    Column::key("JOB"),
                    Column::key("WAS"),
                    Column::key("IS"),
                    Column::text("POOL"),
                    Column::text("SESSION"),
                    Column::text("USER"),
                ]
            },
            rows: self.statements.iter().map(row).collect(),
            none: "no statement fits that has not ended",
        });
        if self.remaining == 0 {
            return page;
        }
        let more = format!("{} more fit: run it again", self.remaining);
        page.and(Block::Line(more))
    }
}

impl CancelView {
    fn outcome(&self, it: &CancelledView) -> &'static str {
        match (it.before, it.after) {
            ("running" | "queued", _) if self.dry_run => "would be cancelled",
            (_, "running") => "cancelling",
            (_, is) => is,
        }
    }
}

/// `libra admin pools set`, `pause`, `resume`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli::admin) struct PoolView {
    /// What was done, in words.
    done: String,
    pool: Option<OnePool>,
}

impl PoolView {
    pub(in crate::cli::admin) fn new(done: String, pool: Option<Pool>) -> Self {
        Self {
            done,
            pool: pool.map(OnePool::from),
        }
    }
}

impl Shown for PoolView {
    fn page(&self, _now: DateTime<Utc>) -> Page {
        let page = Page::line(&self.done);
        match &self.pool {
            Some(pool) => page.and(Block::Grid(pools(std::slice::from_ref(pool)))),
            None => page,
        }
    }
}

//! The statements of one row of the table, run once.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, Utc};
use futures::future::try_join_all;

use super::{LIMIT, SparkRest};
use crate::bench::report::Report;
use crate::harness::{Libra, Marker, State, Statement, Submit, Time, Work, until_some};

/// Those of the guide, one after the other.
pub(super) const POOLS: [&str; 3] = ["low-priority", "interactive", "high-priority"];
/// How far Spark's record may be behind its answers.
const RECORDED_WITHIN: Duration = Duration::from_secs(30);

/// What one core computes, in one task; the name of its column is in its plan, but not in the code
/// that Spark compiles for it.
pub(super) fn statement(rows: u64, name: &str) -> String {
    format!("SELECT bit_xor(xxhash64(id)) AS `{name}` FROM range(0, {rows}, 1, 1)")
}

/// One row of the table: a coordinator and its Spark.
pub(super) struct Side {
    pub(super) name: &'static str,
    pub(super) libra: Libra,
    pub(super) rest: SparkRest,
    /// A session for each statement.
    pub(super) isolated: bool,
    /// One after the other.
    pub(super) in_turn: bool,
    /// Spark shares its cores by pool.
    pub(super) in_pools: bool,
}

/// Which run, and of what.
pub(super) struct Turn {
    pub(super) turn: usize,
    pub(super) rows: u64,
}

/// One statement of a run; seconds from when the first was sent.
#[derive(Debug, Clone)]
pub(super) struct Job {
    pub(super) pool: &'static str,
    /// It got its slot.
    pub(super) started: f64,
    /// Its task got a core.
    pub(super) first_task: f64,
    pub(super) completed: f64,
    /// How long its task held a core.
    pub(super) held: f64,
    pub(super) cpu: f64,
}

/// One run.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) side: &'static str,
    /// Each statement had to wait for a session of its own.
    pub(super) isolated: bool,
    pub(super) jobs: Vec<Job>,
}

impl Side {
    /// Runs `statements` at once.
    pub(super) async fn measure(&self, statements: usize, turn: &Turn) -> Result<Case> {
        let begun = Utc::now();
        let mut sent = Vec::new();
        for (n, pool) in (0..statements).zip(POOLS.into_iter().cycle()) {
            let session = if self.isolated {
                format!("user-{}-{n}", turn.turn)
            } else {
                "default".to_owned()
            };
            let marker = Marker::new();
            let submit = Submit::sql(statement(turn.rows, &marker.to_string())).pool(pool);
            // One after the other, so that they are accepted in this order.
            let accepted = self.libra.api.submit(&session, &submit).await?;
            sent.push((accepted.job_id, marker, pool));
        }
        let ended = try_join_all(sent.iter().map(|(job, marker, pool)| async move {
            let ended = self.libra.api.ended(job, LIMIT).await?;
            Ok::<_, anyhow::Error>((ended, *marker, *pool))
        }))
        .await?;
        let mut jobs = Vec::new();
        for (ended, marker, pool) in ended {
            if self.in_pools {
                let seen = self.rest.pools_of(marker).await?;
                ensure!(
                    seen == BTreeSet::from([pool.to_owned()]),
                    "{pool}: {seen:?}"
                );
            }
            let work = worked(&self.rest, marker).await?;
            jobs.push(job(&ended, pool, &work, begun)?);
        }
        let case = Case {
            side: self.name,
            isolated: self.isolated,
            jobs,
        };
        self.ran_as_it_should(&case)?;
        Ok(case)
    }

    fn ran_as_it_should(&self, case: &Case) -> Result<()> {
        let mut by_start: Vec<&Job> = case.jobs.iter().collect();
        by_start.sort_by(|a, b| a.started.total_cmp(&b.started));
        let mut pairs = by_start.iter().zip(by_start.iter().skip(1));
        let in_turn = pairs.all(|(one, next)| next.started >= one.completed);
        let first_end = case
            .jobs
            .iter()
            .map(|job| job.completed)
            .fold(f64::MAX, f64::min);
        let at_once = case.jobs.iter().all(|job| job.started < first_end);
        ensure!(
            if self.in_turn { in_turn } else { at_once },
            "{} did not run as it should: {case:?}",
            self.name
        );
        Ok(())
    }
}

fn job(ended: &Statement, pool: &'static str, work: &Work, begun: DateTime<Utc>) -> Result<Job> {
    ensure!(ended.state == State::Succeeded, "{:?}", ended.error);
    ensure!(work.tasks == 1, "{} tasks instead of one", work.tasks);
    let of = |time: &Option<Time>| time.as_ref().map(|time| since(begun, time.0));
    Ok(Job {
        pool,
        started: of(&ended.started_at).context("it never started")?,
        first_task: since(begun, work.first_task),
        completed: of(&ended.completed_at).context("it never ended")?,
        held: work.run.as_secs_f64(),
        cpu: work.cpu.as_secs_f64(),
    })
}

/// Libra and Spark count in milliseconds: what is a part of one before the beginning is at it.
fn since(begun: DateTime<Utc>, at: DateTime<Utc>) -> f64 {
    (at - begun).as_seconds_f64().max(0.0)
}

/// What Spark has recorded of an ended statement, as soon as it has.
pub(super) async fn worked(rest: &SparkRest, marker: Marker) -> Result<Work> {
    until_some("Spark's record of a task", RECORDED_WITHIN, || async {
        let work = rest.work_of(marker).await?;
        Ok(work.filter(|work| !work.run.is_zero()))
    })
    .await
}

impl Case {
    /// Seconds until the last had ended.
    pub(super) fn total(&self) -> f64 {
        let ends = self.jobs.iter().map(|job| job.completed);
        ends.fold(0.0, f64::max)
    }

    /// Seconds until the last had started.
    pub(super) fn all_started(&self) -> f64 {
        let starts = self.jobs.iter().map(|job| job.started);
        starts.fold(0.0, f64::max)
    }

    /// Cores that held a task, on average.
    pub(super) fn cores_used(&self) -> f64 {
        self.jobs.iter().map(|job| job.held).sum::<f64>() / self.total()
    }

    /// Adds its raw rows.
    pub(super) fn note(&self, turn: usize, report: &mut Report) {
        for (n, job) in (1..).zip(&self.jobs) {
            let mut row = |what: &str, value| {
                report.row(&format!("job {n} {what}"), turn, self.side, value, "s");
            };
            row("started", job.started);
            row("first task", job.first_task);
            row("completed", job.completed);
            row("processor time", job.cpu);
            report.row("task time", turn, self.side, job.held, "s");
        }
        report.row("total", turn, self.side, self.total(), "s");
        report.row("cores used", turn, self.side, self.cores_used(), "");
    }
}

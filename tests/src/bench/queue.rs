//! `libra-queue`: what a long queue costs: registry and scheduler alone, and a whole coordinator
//! before the stub.
//!
//! The coordinator has one slot, so that its order can be read off the times of start: evenly
//! between users, of each by acceptance. It is killed in the middle.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::Method;

use super::clients::all;
use super::figures::{median, quantile};
use super::process;
use super::report::{Goal, Report};
use crate::harness::{Libra, State, Statement, Submit, Time, built_binary, until};
use crate::sandbox::queue_figures;
use crate::stub::engine::Settings;
use crate::stub::process::StubProcess;

/// A submit behind a long queue takes no more than so many times what it takes without one.
const TIMES: Goal = Goal::AtMost(1.5);
/// So many users share the queue.
const USERS: usize = 20;
/// Clients that fill it.
const FILLERS: usize = 32;
/// Statements that are timed at a time.
const TIMED: usize = 200;
/// So many starts are looked at, half of them after a kill.
const STARTS: usize = 200;
const HOLDER: &str = "holder";
const SOON: Duration = Duration::from_secs(60);

const EMPTY: &str = "empty queue";
const BEHIND: &str = "behind the queue";

/// How much is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// How long the queue is.
    #[arg(default_value_t = 10_000)]
    pub queued: usize,
    /// How often submits are timed at a coordinator; 0 leaves that part out.
    #[arg(long, default_value_t = 15)]
    pub turns: usize,
}

/// Runs the benchmark.
///
/// # Errors
/// When a process does not start, a statement is refused, or the scheduler does not keep up.
pub async fn run(options: &Options) -> Result<Report> {
    let mut report = Report::begin("queue")?;
    alone(options.queued, &mut report).await?;
    if options.turns > 0 {
        whole(options, &mut report).await?;
    }
    report.end()
}

/// Registry and scheduler, in this process.
async fn alone(queued: usize, report: &mut Report) -> Result<()> {
    let measure = "one submit, in memory";
    let figures = queue_figures(queued).await?;
    for (side, times) in [(EMPTY, &figures.empty), (BEHIND, &figures.behind)] {
        for (turn, time) in times.iter().enumerate() {
            report.row(measure, turn, side, time.as_secs_f64() * 1e6, "µs");
        }
    }
    times_slower(measure, "µs", report);
    let grant = figures.grant_behind.as_secs_f64() * 1e6;
    report.figure("from an end to the next start, in memory", grant, "µs");
    let (actor, total) = (figures.queue_bytes, figures.total_bytes);
    #[expect(clippy::cast_precision_loss, reason = "far less than 2^52 bytes")]
    let [actor, total] = [actor, total].map(|bytes| bytes as f64);
    report.figure("memory of a pool actor per queued statement", actor, "B");
    report.figure(
        "memory of all actors and the registry per queued statement",
        total,
        "B",
    );
    Ok(())
}

/// Judges the median, over pairs of runs, of how much slower it is behind the queue.
fn times_slower(measure: &str, unit: &'static str, report: &mut Report) {
    let (empty, behind) = (
        report.values(measure, EMPTY),
        report.values(measure, BEHIND),
    );
    report.figure(format!("{measure}, {EMPTY}"), median(&empty), unit);
    report.figure(format!("{measure}, {BEHIND}"), median(&behind), unit);
    let ratios: Vec<f64> = behind.iter().zip(&empty).map(|(b, e)| b / e).collect();
    for (word, share) in [("least", 0.0), ("most", 1.0)] {
        let name = format!("{measure}, times slower, {word}");
        report.figure(name, quantile(&ratios, share), "");
    }
    report.judge(
        format!("{measure}, times slower"),
        median(&ratios),
        "",
        TIMES,
    );
}

/// Whole coordinators: one with the queue, one without.
async fn whole(options: &Options, report: &mut Report) -> Result<()> {
    let binary = built_binary("stub-spark", "libra-tests")?;
    let stub = StubProcess::start(&binary, &Settings::default()).await?;
    let empty = coordinator(&stub, options.queued).await?;
    let mut full = coordinator(&stub, options.queued).await?;
    let pid = full.pid().context("libra does not run")?;
    let before = process::memory(pid)?.resident;
    let queue = fill(&full, options.queued).await?;
    let after = process::memory(pid)?.resident;
    report.row("memory of a coordinator", 0, EMPTY, before, "MB");
    report.row("memory of a coordinator", 0, BEHIND, after, "MB");
    let count = f64::from(u32::try_from(options.queued.max(1))?);
    let each = (after - before) * 1e6 / count;
    report.figure("memory of a coordinator per queued statement", each, "B");

    let measure = "one submit, over REST";
    for turn in 0..=options.turns {
        let order = [(EMPTY, &empty), (BEHIND, &full)];
        for n in 0..order.len() {
            let (side, libra) = order[(n + turn) % order.len()];
            let ms = timed(libra).await?;
            // The first turn is for warming up.
            if let Some(turn) = turn.checked_sub(1) {
                report.row(measure, turn, side, ms, "ms");
            }
        }
    }
    times_slower(measure, "ms", report);

    let wanted = evenly(&queue, STARTS);
    let began = Instant::now();
    let started = starts(&mut full, wanted.len()).await?;
    report.figure(
        "starts looked at, with a kill among them",
        count_of(&wanted)?,
        "",
    );
    report.figure("those took", began.elapsed().as_secs_f64(), "s");
    let pairs = started.iter().zip(&wanted);
    let same = pairs.filter(|(started, wanted)| started == wanted).count();
    let missing = count_of(&wanted)? - f64::from(u32::try_from(same)?);
    report.judge("starts out of order", missing, "", Goal::AtMost(0.0));
    stub.end().await
}

fn count_of(list: &[u64]) -> Result<f64> {
    Ok(f64::from(u32::try_from(list.len())?))
}

/// A coordinator whose only slot is taken for the time being.
async fn coordinator(stub: &StubProcess, queued: usize) -> Result<Libra> {
    let libra = Libra::on(stub.connection_string())
        .set("libra.scheduler.slots", 1)
        .set("libra.scheduler.max-queued", 2 * queued + 2 * TIMED)
        .start()
        .await?;
    let holder = Submit {
        user: Some(HOLDER.to_owned()),
        ..Submit::sql("/* stub: hang */ SELECT 1")
    };
    let job = libra.api.submit("default", &holder).await?.job_id;
    until("the slot to be taken", SOON, || async {
        Ok(libra.api.statement(&job).await?.state == State::Running)
    })
    .await?;
    Ok(libra)
}

/// Whose the statement is, by its number.
fn user(n: usize) -> String {
    format!("user-{}", n % USERS)
}

async fn submit(libra: &Libra, n: usize) -> Result<Statement> {
    let submit = Submit {
        user: Some(user(n)),
        ..Submit::sql(format!("/* stub: delay_ms=5 */ SELECT {n}"))
    };
    libra.api.submit("default", &submit).await
}

/// Queues so many; gives the user of each, by its number.
async fn fill(libra: &Libra, queued: usize) -> Result<BTreeMap<u64, String>> {
    let accepted = all(queued, FILLERS, |n| async move {
        let statement = submit(libra, n).await?;
        ensure!(statement.state == State::Queued, "{}", statement.state);
        Ok((statement.job_number()?, statement.user))
    });
    Ok(accepted.await?.into_iter().collect())
}

/// The time of one of some submits, in milliseconds; they are cancelled then.
async fn timed(libra: &Libra) -> Result<f64> {
    let mut jobs = Vec::new();
    let mut times = Vec::new();
    for n in 0..TIMED {
        let began = Instant::now();
        let statement = submit(libra, n).await?;
        times.push(began.elapsed().as_secs_f64() * 1e3);
        jobs.push(statement.job_id);
    }
    all(jobs.len(), FILLERS, |n| {
        libra.api.cancel("default", &jobs[n])
    })
    .await?;
    Ok(median(&times))
}

/// The order that is right on one slot: evenly between users, the one with the oldest statement
/// first, of each by acceptance.
fn evenly(queue: &BTreeMap<u64, String>, most: usize) -> Vec<u64> {
    let mut by_user: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (job, user) in queue {
        by_user.entry(user).or_default().push(*job);
    }
    let mut users: Vec<Vec<u64>> = by_user.into_values().collect();
    users.sort();
    let longest = users.iter().map(Vec::len).max().unwrap_or(0);
    let rounds = (0..longest).flat_map(|n| users.iter().filter_map(move |jobs| jobs.get(n)));
    rounds.copied().take(most).collect()
}

/// What starts, in order, once the slot is free. Half way the coordinator is killed.
async fn starts(libra: &mut Libra, count: usize) -> Result<Vec<u64>> {
    let holder = libra.api.statements("state=running&limit=1").await?;
    let holder = holder
        .statements
        .into_iter()
        .next()
        .context("nothing runs")?;
    libra.api.cancel("default", &holder.job_id).await?;
    until_ended(libra, count / 2).await?;
    libra.kill()?;
    libra.start().await?;
    until_ended(libra, count).await?;
    let mut started = ended(libra).await?;
    started.sort();
    Ok(started
        .into_iter()
        .map(|(_, job)| job)
        .take(count)
        .collect())
}

async fn until_ended(libra: &Libra, count: usize) -> Result<()> {
    until("statements to start", SOON, || async {
        Ok(ended(libra).await?.len() >= count)
    })
    .await
}

/// When each of those that succeeded was started.
async fn ended(libra: &Libra) -> Result<Vec<(Time, u64)>> {
    let request = libra
        .api
        .request(Method::GET, "statements?state=succeeded&limit=1000");
    let listed: crate::harness::StatementList = libra.api.send(request).await?.json(&[200])?;
    let started = listed.statements.into_iter().map(|statement| {
        let at = statement.started_at.clone().context("it never started")?;
        Ok((at, statement.job_number()?))
    });
    started.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evenly_goes_round_between_users() {
        let queue = [(2, "b"), (3, "a"), (4, "b"), (5, "b"), (6, "a"), (7, "c")];
        let queue = queue.map(|(job, user)| (job, user.to_owned())).into();
        assert_eq!(evenly(&queue, 9), [2, 3, 7, 4, 6, 5]);
        assert_eq!(evenly(&queue, 2), [2, 3]);
    }
}

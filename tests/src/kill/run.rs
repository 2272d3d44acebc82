//! One run, from start to verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::calls::Calls;
use super::client::{Client, Signals, watch_all};
use super::closing;
use super::dice::Dice;
use super::history::{Answer, Book, History};
use super::judge::{Evidence, acknowledged, judge};
use super::lives::{Killed, Lives};
use super::plan::{Cause, POINTS, deaths};
use super::referee::Referee;
use super::report::{Kill, Report, Verdict};
use super::work::{Dialect, Kind};
use crate::harness::{Libra, Marker, SharedSpark, State, built_binary};
use crate::stub::engine::Settings;
use crate::stub::process::StubProcess;

/// How long clients may take to finish what they have begun.
const FINISH_WITHIN: Duration = Duration::from_secs(90);

/// What stands behind the coordinator.
#[derive(Debug, Clone)]
pub enum Against {
    /// A stub of this run's own.
    Stub,
    /// A real Spark that lives on.
    Spark(SharedSpark),
}

/// What a run is to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// Decides schedule and work.
    pub seed: u64,
    /// How many kills.
    pub kills: usize,
    /// At least so many at each point; the rest at random.
    pub per_point: usize,
    /// How many clients work at once.
    pub clients: usize,
    /// Statements that run at once.
    pub slots: usize,
    /// Fewer acknowledged statements for each kill are too little load to say anything.
    pub least_per_kill: usize,
    /// What stands behind.
    pub against: Against,
}

/// Kills, waits, judges.
///
/// # Errors
/// When the run cannot be begun. What goes wrong later makes its verdict unknown.
pub async fn run(options: &Options) -> Result<Report> {
    let began = Instant::now();
    let (mut referee, endpoint, dialect) = begin(options).await?;
    let libra = Libra::on(&endpoint)
        .set("libra.scheduler.slots", options.slots)
        .prepare()?;
    let calls = Calls {
        api: libra.api.clone(),
        book: Book::default(),
    };
    let mut lives = Lives {
        libra,
        up: watch::channel(false).0,
        kills: Vec::new(),
    };
    let stopped = live(options, dialect, &mut lives, &mut referee, &calls).await;
    let ended = match stopped {
        Ok(()) => conclude(options, dialect, &calls, &mut referee).await,
        Err(error) => Err(error),
    };
    let history = calls.book.read();
    let mut report = report(options, &lives.kills, &history);
    report.took = began.elapsed();
    match ended {
        Ok(evidence) => close(options, &mut report, &evidence),
        Err(error) => report.verdict = Verdict::Unknown(format!("{error:#}")),
    }
    Ok(report)
}

async fn begin(options: &Options) -> Result<(Referee, String, Dialect)> {
    match &options.against {
        Against::Stub => {
            let binary = built_binary("stub-spark", "libra-tests")?;
            let stub = StubProcess::start(&binary, &Settings::default()).await?;
            let endpoint = stub.connection_string().to_owned();
            Ok((Referee::Stub(Box::new(stub)), endpoint, Dialect::Stub))
        }
        Against::Spark(spark) => {
            let referee = Referee::Spark {
                rest: spark.rest.clone(),
                known: BTreeMap::new(),
            };
            Ok((referee, spark.endpoint.clone(), Dialect::Spark))
        }
    }
}

/// All lives with all clients; the coordinator is up at the end, and the clients have finished.
async fn live(
    options: &Options,
    dialect: Dialect,
    lives: &mut Lives,
    referee: &mut Referee,
    calls: &Calls,
) -> Result<()> {
    let (stop, stopped) = watch::channel(false);
    let signals = Signals {
        up: lives.up.subscribe(),
        stop: stopped,
    };
    let mut clients = JoinSet::new();
    clients.spawn(watch_all(calls.clone(), signals.clone()));
    for number in 1..=options.clients {
        let client = Client {
            calls: calls.clone(),
            dice: Dice::new(options.seed, number as u64),
            dialect,
            signals: signals.clone(),
        };
        clients.spawn(client.run());
    }
    let planned = deaths(
        options.kills,
        options.per_point,
        &mut Dice::new(options.seed, 0),
    );
    lives.live(planned, referee).await?;
    lives.last().await?;
    stop.send_replace(true);
    let finished = async { while clients.join_next().await.is_some() {} };
    timeout(FINISH_WITHIN, finished)
        .await
        .context("clients did not finish what they had begun")
}

/// Everything that can be known once all is quiet.
async fn conclude(
    options: &Options,
    dialect: Dialect,
    calls: &Calls,
    referee: &mut Referee,
) -> Result<Evidence> {
    closing::all_ended(&calls.api).await?;
    let finals = closing::all_statements(&calls.api).await?;
    closing::read_again(calls, &calls.book.read(), &finals).await?;
    let executions = referee.executions().await?;
    let code = match dialect {
        Dialect::Stub => |marker: Marker| format!("/* stub: hang */ SELECT {marker}"),
        Dialect::Spark => |marker: Marker| marker.sleeping(60_000),
    };
    closing::slots_are_whole(&calls.api, options.slots, code).await?;
    Ok(Evidence {
        history: calls.book.read(),
        finals,
        executions,
    })
}

fn report(options: &Options, kills: &[Killed], history: &History) -> Report {
    let mut answers = [0; 3];
    for submit in &history.submits {
        answers[match submit.answer {
            Answer::Ok(_) => 0,
            Answer::Refused(_) => 1,
            Answer::Unknown(_) => 2,
        }] += 1;
    }
    Report {
        seed: options.seed,
        took: Duration::ZERO,
        answers,
        acknowledged: acknowledged(history).len(),
        executions: 0,
        readings: history.readings.len(),
        violations: Vec::new(),
        verdict: Verdict::Unknown("not judged".to_owned()),
        kills: in_flight(kills, history),
    }
}

/// The kills, each with the acknowledged statements whose end nobody had seen when it came.
fn in_flight(kills: &[Killed], history: &History) -> Vec<Kill> {
    let mut ended: BTreeMap<&str, Instant> = BTreeMap::new();
    for seen in &history.seen {
        if seen.state.is_some_and(State::ended) {
            let first = ended.entry(&seen.job).or_insert(seen.span.ended);
            *first = seen.span.ended.min(*first);
        }
    }
    let begun = acknowledged(history);
    let flying = |at: Instant| -> BTreeSet<String> {
        begun
            .iter()
            .filter(|(job, begun)| **begun < at && ended.get(*job).is_none_or(|end| *end > at))
            .map(|(job, _)| (*job).to_owned())
            .collect()
    };
    kills
        .iter()
        .map(|kill| Kill {
            cause: kill.cause,
            recovery: kill.recovery,
            in_flight: flying(kill.at),
        })
        .collect()
}

/// Executions of the works of this run; a real Spark also ran things for others.
fn executions(evidence: &Evidence) -> usize {
    let submits = evidence.history.submits.iter();
    let markers = submits.map(|submit| submit.work.marker.number()).collect();
    evidence.executions.by_marker(&markers).values().sum()
}

fn close(options: &Options, report: &mut Report, evidence: &Evidence) {
    report.violations = judge(evidence);
    report.executions = executions(evidence);
    report.readings = evidence.history.readings.len();
    report.verdict = match too_little(options, report, &evidence.history) {
        _ if !report.violations.is_empty() => Verdict::Violated,
        Some(why) => Verdict::Unknown(why),
        None => Verdict::Pass,
    };
}

/// Why there was too little to see, if there was.
fn too_little(options: &Options, report: &Report, history: &History) -> Option<String> {
    for point in 0..POINTS.len() {
        let cause = Cause::Point(point);
        let (kills, wanted) = (report.kills_at(cause), options.per_point);
        if kills < wanted {
            return Some(format!("{kills} kills at {cause}, {wanted} wanted"));
        }
    }
    let (acknowledged, wanted) = (report.acknowledged, options.least_per_kill * options.kills);
    if acknowledged < wanted {
        return Some(format!(
            "{acknowledged} statements acknowledged, {wanted} wanted"
        ));
    }
    let seen = |kind: Kind| {
        let mut submits = history.submits.iter();
        submits.any(|s| s.work.kind == kind && matches!(s.answer, Answer::Ok(_)))
    };
    let missing = Kind::ALL.into_iter().find(|kind| !seen(*kind));
    missing.map(|kind| format!("no statement of kind {kind:?} was acknowledged"))
}

//! One run on one coordinator, from start to verdict.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use tokio::sync::watch;

use super::lives::Lives;
use super::load::{Load, Setup};
use super::plan::{Cause, POINTS, deaths};
use super::referee::Referee;
use super::report::Report;
use crate::checkers::Verdict;
use crate::evidence::{Answer, Dice, History, Kind};
use crate::harness::{Libra, SharedSpark, built_binary};
use crate::stub::engine::Settings;
use crate::stub::process::StubProcess;

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
    let (referee, endpoint) = begin(&options.against).await?;
    let libra = Libra::on(&endpoint)
        .set("libra.scheduler.slots", options.slots)
        .prepare()?;
    let setup = Setup {
        seed: options.seed,
        clients: options.clients,
        slots: options.slots,
        least: options.least_per_kill * options.kills,
        own_sessions: false,
    };
    let (up, is_up) = watch::channel(false);
    let apis = [libra.api.clone()];
    let mut load = Load::begin_when(&apis, referee, setup, &is_up);
    let mut lives = Lives {
        libra,
        up,
        kills: Vec::new(),
    };
    let lived = live(options, &mut lives, &mut load.referee).await;
    load.kills.clone_from(&lives.kills);
    let mut report = match lived {
        Ok(()) => {
            let (mut report, history) = load.conclude().await;
            if let (Verdict::Pass, Some(why)) =
                (&report.verdict, too_little(options, &report, &history))
            {
                report.verdict = Verdict::Unknown(why);
            }
            report
        }
        Err(error) => load.broken_off(&error),
    };
    report.took = began.elapsed();
    Ok(report)
}

async fn begin(against: &Against) -> Result<(Referee, String)> {
    match against {
        Against::Stub => {
            let binary = built_binary("stub-spark", "libra-tests")?;
            let stub = Arc::new(StubProcess::start(&binary, &Settings::default()).await?);
            let endpoint = stub.connection_string().to_owned();
            Ok((Referee::stub(&stub), endpoint))
        }
        Against::Spark(spark) => Ok((Referee::spark(spark), spark.endpoint.clone())),
    }
}

/// All lives; the coordinator is up at the end.
async fn live(options: &Options, lives: &mut Lives, referee: &mut Referee) -> Result<()> {
    let mut dice = Dice::new(options.seed, 0);
    let planned = deaths(options.kills, options.per_point, &mut dice);
    lives.live(planned, referee).await?;
    lives.last().await
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
    let seen = |kind: Kind| {
        let mut submits = history.submits.iter();
        submits.any(|s| s.work.kind == kind && matches!(s.answer, Answer::Ok(_)))
    };
    let missing = Kind::ALL.into_iter().find(|kind| !seen(*kind));
    missing.map(|kind| format!("no statement of kind {kind:?} was acknowledged"))
}

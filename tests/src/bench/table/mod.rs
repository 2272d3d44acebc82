//! `libra-bench table`: the guide's table "3 Concurrent SQL Queries", on real Spark.
//!
//! The same statements, of one task each, at once: in one session with FAIR pools, with one slot,
//! in sessions of their own, and on a Spark whose own scheduler is FIFO. With n statements on c
//! cores, FAIR takes ceil(n/c) lengths where one slot takes n: that ratio is what is judged.
//!
//! **Invariant:** when a statement's task began and how long it held a core is Spark's own word.

mod case;
mod text;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::clients::seconds;
use super::figures::{median, quantile};
use super::report::{Goal, Report};
use crate::harness::{Libra, Marker, SparkRest, SparkServer, Submit};
use case::{Case, Side, Turn, statement, worked};

const CLASSES: &str = "spark.connect.grpc.interceptor.classes";
/// How far from the ideal the ratio may be.
const WITHIN: f64 = 0.1;
/// Rows of the first statement of all: well under a second on any machine.
const FIRST_ROWS: u64 = 100_000_000;
/// What one statement may take while its length is sought.
const LIMIT: Duration = Duration::from_secs(300);

const FAIR: &str = "SHARED, FAIR";
const ONE_SLOT: &str = "SHARED, FIFO, slots 1";
const ISOLATED: &str = "ISOLATED";
const SPARKS_FIFO: &str = "SHARED, Spark's FIFO";

/// How much is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Statements at once.
    #[arg(long, default_value_t = 3)]
    pub statements: usize,
    /// Spark's cores; those of the machine if it is left out.
    #[arg(long)]
    pub cores: Option<u32>,
    /// About how many seconds one statement takes alone.
    #[arg(long = "seconds", default_value = "5", value_parser = seconds)]
    pub length: Duration,
    /// How often each side is measured.
    #[arg(long, default_value_t = 3)]
    pub turns: usize,
}

/// Runs the benchmark. Starts two servers from `SPARK_HOME`, and needs a JDK for the plugin.
///
/// # Errors
/// When a server cannot be used, a statement fails, or did not run as its side says.
pub async fn run(options: &Options) -> Result<Report> {
    ensure!(options.statements > 0 && options.turns > 0, "nothing to do");
    let mut report = Report::begin("table")?;
    let cores = match options.cores {
        Some(cores) => cores,
        None => u32::try_from(std::thread::available_parallelism()?.get())?,
    };
    let servers = Servers::start(cores).await?;
    let sides = servers.sides(options).await?;
    let rows = calibrate(&sides, options, &mut report).await?;
    let mut cases: Vec<Vec<Case>> = vec![Vec::new(); sides.len()];
    for turn in 0..options.turns {
        for n in 0..sides.len() {
            // Another one is first in every turn.
            let n = (n + turn) % sides.len();
            let turn = Turn { turn, rows };
            let case = sides[n].measure(options.statements, &turn).await?;
            case.note(turn.turn, &mut report);
            cases[n].push(case);
        }
    }
    report.table(text::head(options.statements, cores, &statement(rows, "m")));
    for cases in &cases {
        report.table(text::side(median_case(cases), cores));
    }
    judge(options.statements, cores, &mut report)?;
    report.end()
}

/// Two servers whose own scheduler is FAIR and FIFO, both with the interceptor.
struct Servers {
    fair: SparkServer,
    fifo: SparkServer,
    _plugin: TempDir,
}

impl Servers {
    async fn start(cores: u32) -> Result<Self> {
        let plugin = tempfile::tempdir()?;
        let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
        let jar = build_plugin(&deploy, plugin.path())?;
        let allocations = deploy.join("fairscheduler.xml").canonicalize()?;
        let server = |mode: &str| {
            SparkServer::builder()
                .cores(cores)
                .conf("spark.driver.extraClassPath", &jar.display().to_string())
                .conf(CLASSES, "org.libra.spark.PoolInterceptor")
                .conf("spark.scheduler.mode", mode)
                .conf(
                    "spark.scheduler.allocation.file",
                    &format!("file://{}", allocations.display()),
                )
                .start()
        };
        let (fair, fifo) = tokio::try_join!(server("FAIR"), server("FIFO"))?;
        Ok(Self {
            fair,
            fifo,
            _plugin: plugin,
        })
    }

    /// A coordinator for every row of the table.
    async fn sides(&self, options: &Options) -> Result<Vec<Side>> {
        // One more is used to warm up.
        let sessions = options.statements * options.turns + 1;
        let on_fair = || Libra::on(&self.fair.endpoint());
        let fifo = "spark.config.spark.scheduler.mode";
        let (shared, one_slot, isolated, sparks_fifo) = tokio::try_join!(
            on_fair().start(),
            on_fair()
                .set(fifo, "FIFO")
                .set("libra.scheduler.slots", 1)
                .start(),
            on_fair()
                .set("libra.session.mode", "ISOLATED")
                .set("libra.session.max-sessions", sessions)
                .start(),
            Libra::on(&self.fifo.endpoint()).set(fifo, "FIFO").start(),
        )?;
        let side = |name, libra, server: &SparkServer| -> Result<Side> {
            Ok(Side {
                name,
                libra,
                rest: server.rest()?,
                isolated: name == ISOLATED,
                in_turn: name == ONE_SLOT,
                in_pools: name == FAIR || name == ISOLATED,
            })
        };
        Ok(vec![
            side(FAIR, shared, &self.fair)?,
            side(ONE_SLOT, one_slot, &self.fair)?,
            side(ISOLATED, isolated, &self.fair)?,
            side(SPARKS_FIFO, sparks_fifo, &self.fifo)?,
        ])
    }
}

fn build_plugin(deploy: &Path, folder: &Path) -> Result<PathBuf> {
    let jar = folder.join("pools.jar");
    let mut build = Command::new("sh");
    build.arg(deploy.join("spark-plugin/build.sh")).arg(&jar);
    let built = build.status().context("build of the plugin")?;
    ensure!(built.success(), "the plugin was not built: {built}");
    Ok(jar)
}

/// Finds how many rows a statement needs to be as long as wanted, and leaves both servers warm.
async fn calibrate(sides: &[Side], options: &Options, report: &mut Report) -> Result<u64> {
    let mut rows = FIRST_ROWS;
    let fair = sides.first().context("no sides")?;
    for turn in 0..3 {
        let marker = Marker::new();
        alone(&fair.libra, rows, marker).await?;
        let took = worked(&fair.rest, marker).await?.run;
        report.row("calibration", turn, fair.name, took.as_secs_f64(), "s");
        rows = scaled(rows, options.length, took)?;
    }
    for side in sides {
        alone(&side.libra, rows, Marker::new()).await?;
    }
    Ok(rows)
}

fn scaled(rows: u64, wanted: Duration, took: Duration) -> Result<u64> {
    let rows = u128::from(rows) * wanted.as_millis() / took.as_millis().max(1);
    Ok(u64::try_from(rows)?.max(1))
}

/// A statement while nothing else runs.
async fn alone(libra: &Libra, rows: u64, marker: Marker) -> Result<()> {
    let submit = Submit::sql(statement(rows, &marker.to_string()));
    let ended = libra.api.run("default", &submit, LIMIT).await?;
    ensure!(ended.error.is_none(), "{:?}", ended.error);
    Ok(())
}

/// The one whose total is the middle one.
fn median_case(cases: &[Case]) -> &Case {
    let totals: Vec<f64> = cases.iter().map(Case::total).collect();
    let middle = median(&totals);
    let found = cases.iter().min_by(|a, b| {
        let far = |case: &Case| (case.total() - middle).abs();
        far(a).total_cmp(&far(b))
    });
    // There is one for every turn.
    found.unwrap_or(&cases[0])
}

/// Holds FAIR over one slot to what n statements on c cores come to.
fn judge(statements: usize, cores: u32, report: &mut Report) -> Result<()> {
    let (n, c) = (u32::try_from(statements)?, cores);
    let ideal = f64::from(n.div_ceil(c)) / f64::from(n);
    let totals = |report: &Report, side| report.values("total", side);
    let one_slot = totals(report, ONE_SLOT);
    for side in [FAIR, ONE_SLOT, ISOLATED, SPARKS_FIFO] {
        let own = totals(report, side);
        report.figure(format!("{side}: total"), median(&own), "s");
        let cores_used = median(&report.values("cores used", side));
        report.figure(format!("{side}: cores used"), cores_used, "");
        if side == ONE_SLOT {
            continue;
        }
        let ratios: Vec<f64> = own.iter().zip(&one_slot).map(|(a, b)| a / b).collect();
        let name = format!("{side} over {ONE_SLOT}");
        for (word, share) in [("least", 0.0), ("median", 0.5), ("most", 1.0)] {
            report.figure(format!("{name}, {word}"), quantile(&ratios, share), "");
        }
        if side == FAIR {
            let off = median(&ratios) / ideal;
            report.figure("ideal", ideal, "");
            report.judge("FAIR to ideal", off, "", Goal::AtMost(1.0 + WITHIN));
            report.judge("FAIR to ideal", off, "", Goal::AtLeast(1.0 - WITHIN));
        }
    }
    let held = |side| median(&report.values("task time", side));
    let slower = held(FAIR) / held(ONE_SLOT);
    report.figure("a task beside others, to one alone", slower, "");
    Ok(())
}

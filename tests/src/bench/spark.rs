//! `libra-bench spark`: what Libra costs, against Spark Connect itself, on one real server.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::clients::{per_second, seconds};
use super::figures::{median, quantile};
use super::report::{Goal, Report};
use super::sides::{Direct, Taken, Through};
use crate::harness::{Api, Libra};

const SMALL: &str = "SELECT 1";
/// The goals.
const ADDED_MS: Goal = Goal::AtMost(10.0);
const THROUGHPUT: Goal = Goal::AtLeast(0.97);
const BANDWIDTH: Goal = Goal::AtLeast(0.9);

const LATENCY: &str = "latency of SELECT 1";
const DOWNLOAD: &str = "100 MB result";
const FETCH: &str = "100 MB result, download alone";

/// How much is measured, and where.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The Spark Connect server, `sc://host:port`.
    #[arg(long, env = "LIBRA_TEST_SPARK")]
    pub remote: String,
    /// A running Libra on that server in SHARED mode; started if it is left out.
    #[arg(long)]
    pub url: Option<String>,
    /// Statements on each side for latency.
    #[arg(long, default_value_t = 200)]
    pub samples: usize,
    /// Turns on each side for throughput and for the large result.
    #[arg(long, default_value_t = 5)]
    pub turns: usize,
    /// What the clients run for throughput.
    #[arg(long, default_value = SMALL)]
    pub statement: String,
    /// Seconds of one turn of throughput.
    #[arg(long = "seconds", default_value = "5", value_parser = seconds)]
    pub span: Duration,
    /// Numbers of clients.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 32])]
    pub clients: Vec<usize>,
    /// Rows of the large result, 32 bytes each.
    #[arg(long, default_value_t = 3_125_000)]
    pub rows: u64,
}

/// Runs the benchmark.
///
/// # Errors
/// When a server cannot be used, or a statement fails.
pub async fn run(options: &Options) -> Result<Report> {
    let mut report = Report::begin("spark")?;
    let direct = Direct::open(&options.remote).await?;
    let mut started = None;
    let api = match &options.url {
        Some(url) => Api::new(url)?,
        None => {
            let slots = options.clients.iter().copied().max().unwrap_or(1);
            let libra = Libra::on(&options.remote)
                .set("libra.scheduler.slots", slots.max(1))
                .set("libra.results.max-rows", options.rows.max(1))
                .start()
                .await?;
            started.insert(libra).api.clone()
        }
    };
    let bench = Bench {
        direct,
        through: Through::new(&api, "default"),
    };
    bench.warm_up(options.samples.min(50)).await?;
    bench.latency(options.samples, &mut report).await?;
    for clients in &options.clients {
        bench.throughput(*clients, options, &mut report).await?;
    }
    bench.large(options, &mut report).await?;
    bench.direct.close().await?;
    report.end()
}

struct Bench {
    direct: Direct,
    through: Through,
}

/// Which side is measured first changes from turn to turn, so that none profits from its place.
fn order(turn: usize) -> [&'static str; 2] {
    if turn.is_multiple_of(2) {
        ["direct", "libra"]
    } else {
        ["libra", "direct"]
    }
}

impl Bench {
    async fn warm_up(&self, statements: usize) -> Result<()> {
        for _ in 0..statements {
            self.direct.run(SMALL).await?;
            self.through.run(SMALL).await?;
        }
        Ok(())
    }

    async fn latency(&self, samples: usize, report: &mut Report) -> Result<()> {
        for turn in 0..samples {
            for side in order(turn) {
                let begun = Instant::now();
                let rows = if side == "direct" {
                    self.direct.run(SMALL).await?.rows
                } else {
                    self.through.run(SMALL).await?.rows().len() as u64
                };
                let ms = begun.elapsed().as_secs_f64() * 1e3;
                ensure!(rows == 1, "{rows} rows of {SMALL}");
                report.row(LATENCY, turn, side, ms, "ms");
            }
        }
        let (direct, libra) = (
            report.values(LATENCY, "direct"),
            report.values(LATENCY, "libra"),
        );
        let pairs: Vec<f64> = direct.iter().zip(&libra).map(|(d, l)| l - d).collect();
        for share in [0.5, 0.99] {
            let percent = share * 100.0;
            let (of_direct, of_libra) = (quantile(&direct, share), quantile(&libra, share));
            report.figure(format!("direct p{percent}"), of_direct, "ms");
            report.figure(format!("Libra p{percent}"), of_libra, "ms");
            let name = format!("added at p{percent}");
            if share < 0.9 {
                report.judge(name, of_libra - of_direct, "ms", ADDED_MS);
            } else {
                report.figure(name, of_libra - of_direct, "ms");
            }
        }
        report.figure("median of the differences of pairs", median(&pairs), "ms");
        Ok(())
    }

    async fn throughput(
        &self,
        clients: usize,
        options: &Options,
        report: &mut Report,
    ) -> Result<()> {
        let measure = format!("throughput at {clients} clients");
        let statement: Arc<str> = options.statement.as_str().into();
        for turn in 0..options.turns {
            for side in order(turn) {
                let reached = if side == "direct" {
                    let (direct, statement) = (self.direct.clone(), Arc::clone(&statement));
                    let run = move || {
                        let (direct, statement) = (direct.clone(), Arc::clone(&statement));
                        async move { direct.run(&statement).await.map(drop) }
                    };
                    per_second(clients, options.span, run).await?
                } else {
                    let (through, statement) = (self.through.clone(), Arc::clone(&statement));
                    let run = move || {
                        let (through, statement) = (through.clone(), Arc::clone(&statement));
                        async move { through.run(&statement).await.map(drop) }
                    };
                    per_second(clients, options.span, run).await?
                };
                report.row(&measure, turn, side, reached, "statements/s");
            }
        }
        let ratio = ratio(report, &measure);
        report.judge(format!("{measure}, Libra to direct"), ratio, "", THROUGHPUT);
        Ok(())
    }

    async fn large(&self, options: &Options, report: &mut Report) -> Result<()> {
        let rows = options.rows;
        let sql =
            format!("SELECT id, id + 1 AS b, id + 2 AS c, id + 3 AS d FROM range(0, {rows}, 1, 4)");
        for turn in 0..options.turns {
            for side in order(turn) {
                let begun = Instant::now();
                let taken = if side == "direct" {
                    self.direct.run(&sql).await?
                } else {
                    self.large_through(&sql, turn, report).await?
                };
                ensure!(taken.rows == rows, "{} of {rows} rows", taken.rows);
                let reached = megabytes_per_second(taken, begun);
                report.row(DOWNLOAD, turn, side, reached, "MB/s");
            }
        }
        let fetched = median(&report.values(FETCH, "libra"));
        report.figure(FETCH, fetched, "MB/s");
        let ratio = ratio(report, DOWNLOAD);
        report.judge(format!("{DOWNLOAD}, Libra to direct"), ratio, "", BANDWIDTH);
        Ok(())
    }

    /// From the submit to the last byte; the download is noted on its own too.
    async fn large_through(&self, sql: &str, turn: usize, report: &mut Report) -> Result<Taken> {
        let mut first = None;
        let note = |_| {
            first.get_or_insert_with(Instant::now);
            Ok(())
        };
        let taken = self.through.arrow(sql, note).await?;
        if let Some(begun) = first {
            let reached = megabytes_per_second(taken, begun);
            report.row(FETCH, turn, "libra", reached, "MB/s");
        }
        Ok(taken)
    }
}

fn megabytes_per_second(taken: Taken, begun: Instant) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "far less than 2^52 bytes")]
    let bytes = taken.bytes as f64;
    bytes / 1e6 / begun.elapsed().as_secs_f64()
}

/// The median, over all turns, of what Libra reached in a turn to what direct reached in it.
fn ratio(report: &Report, measure: &str) -> f64 {
    let (direct, libra) = (
        report.values(measure, "direct"),
        report.values(measure, "libra"),
    );
    let ratios: Vec<f64> = direct.iter().zip(&libra).map(|(d, l)| l / d).collect();
    median(&ratios)
}

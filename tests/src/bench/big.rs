//! `libra-bench big`: a result of 1 GB in bounded memory, and many sessions at once, on a real
//! server.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use arrow_buffer::Buffer;
use arrow_ipc::reader::StreamDecoder;
use bytes::Bytes;
use reqwest::Method;

use super::clients::all;
use super::figures::quantile;
use super::process;
use super::report::{Goal, Report};
use super::sides::{LIMIT, Through};
use crate::harness::{Libra, SparkServer, Submit, until};

const PEAK_MB: Goal = Goal::AtMost(150.0);
const CLOSED_WITHIN: Duration = Duration::from_secs(120);

/// How much is measured, and where.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// The Spark Connect server; one of its own is started from `SPARK_HOME` if it is left out.
    #[arg(long)]
    pub remote: Option<String>,
    /// Rows of the large result, 32 bytes each; 0 leaves that part out.
    #[arg(long, default_value_t = 31_250_000)]
    pub rows: u64,
    /// Sessions at once; 0 leaves that part out.
    #[arg(long, default_value_t = 200)]
    pub sessions: usize,
}

/// Runs the benchmark.
///
/// # Errors
/// When a server cannot be used, a statement fails, or an answer is wrong.
pub async fn run(options: &Options) -> Result<Report> {
    let mut report = Report::begin("big")?;
    let mut own = None;
    let remote = match &options.remote {
        Some(remote) => remote.clone(),
        None => {
            // A result lies in the driver as a whole before the first batch leaves it.
            let builder = SparkServer::builder().conf("spark.driver.memory", "4g");
            let builder = builder.conf("spark.driver.maxResultSize", "2g");
            own.insert(builder.start().await?).endpoint()
        }
    };
    if options.rows > 0 {
        large(&remote, options.rows, &mut report).await?;
    }
    if options.sessions > 0 {
        many_sessions(&remote, options.sessions, &mut report).await?;
    }
    report.end()
}

async fn large(remote: &str, rows: u64, report: &mut Report) -> Result<()> {
    let libra = Libra::on(remote)
        .set("libra.results.max-rows", rows)
        .set("libra.results.max-bytes", "4GiB")
        .start()
        .await?;
    let pid = libra.pid().context("libra does not run")?;
    let through = Through::new(&libra.api, "default");
    let sql =
        format!("SELECT id, id + 1 AS b, id + 2 AS c, id + 3 AS d FROM range(0, {rows}, 1, 64)");
    let begun = Instant::now();
    let mut reader = Reader::default();
    let mut first = None;
    let taken = through
        .arrow(&sql, |chunk| {
            first.get_or_insert_with(Instant::now);
            reader.read(chunk)
        })
        .await?;
    let total = begun.elapsed().as_secs_f64();
    ensure!(
        taken.rows == rows,
        "{} of {rows} rows announced",
        taken.rows
    );
    ensure!(
        reader.rows == rows,
        "{} of {rows} rows in the stream",
        reader.rows
    );
    reader.decoder.finish()?;
    #[expect(clippy::cast_precision_loss, reason = "far less than 2^52 bytes")]
    let megabytes = taken.bytes as f64 / 1e6;
    report.figure("result", megabytes, "MB");
    report.figure("from submit to the last byte", total, "s");
    let fetched = first.map_or(0.0, |at| at.elapsed().as_secs_f64());
    report.figure("download alone", fetched, "s");
    report.judge(
        "peak memory of a large result",
        process::memory(pid)?.peak,
        "MB",
        PEAK_MB,
    );
    Ok(())
}

/// Reads one Arrow IPC stream as it comes, and counts its rows.
#[derive(Default)]
struct Reader {
    decoder: StreamDecoder,
    rows: u64,
}

impl Reader {
    fn read(&mut self, chunk: Bytes) -> Result<()> {
        let mut buffer = Buffer::from(chunk);
        while !buffer.is_empty() {
            if let Some(batch) = self.decoder.decode(&mut buffer)? {
                self.rows += batch.num_rows() as u64;
            }
        }
        Ok(())
    }
}

async fn many_sessions(remote: &str, sessions: usize, report: &mut Report) -> Result<()> {
    let libra = Libra::on(remote)
        .set("libra.session.mode", "ISOLATED")
        .set("libra.session.max-sessions", sessions)
        .start()
        .await?;
    let pid = libra.pid().context("libra does not run")?;
    let begun = Instant::now();
    let waits = all(sessions, sessions, |n| own_view(&libra, n)).await?;
    report.figure(
        format!("{sessions} sessions used in"),
        begun.elapsed().as_secs_f64(),
        "s",
    );
    for (turn, ms) in waits.iter().enumerate() {
        report.row("first use of a session", turn, "libra", *ms, "ms");
    }
    report.figure("first use, p50", quantile(&waits, 0.5), "ms");
    report.figure("first use, p99", quantile(&waits, 0.99), "ms");
    let one_more = libra
        .api
        .try_submit("one-more", &Submit::sql("SELECT 1"), 0)
        .await?;
    one_more.problem(429)?;
    report.judge(
        "peak memory of many sessions",
        process::memory(pid)?.peak,
        "MB",
        PEAK_MB,
    );
    close_all(&libra, sessions).await
}

/// Makes a temporary view of the same name in session `n`, and reads it back: from its first
/// statement to its last row, in milliseconds.
async fn own_view(libra: &Libra, n: usize) -> Result<f64> {
    let through = Through::new(&libra.api, &format!("user-{n}"));
    let begun = Instant::now();
    through
        .run(&format!("CREATE TEMPORARY VIEW mine AS SELECT {n} AS n"))
        .await?;
    let read = through.run("SELECT n FROM mine").await?;
    let ms = begun.elapsed().as_secs_f64() * 1e3;
    ensure!(
        read.rows() == [[serde_json::json!(n)]],
        "session {n} sees {:?}",
        read.rows()
    );
    Ok(ms)
}

/// Leaves nothing behind in a server that others use.
async fn close_all(libra: &Libra, sessions: usize) -> Result<()> {
    all(sessions, 16, |n| async move {
        let path = format!("sessions/user-{n}");
        let request = libra.api.request(Method::DELETE, &path).timeout(LIMIT);
        libra.api.send(request).await?.expect(&[204]).map(drop)
    })
    .await?;
    until("all sessions to be closed", CLOSED_WITHIN, || async {
        let listed = libra.api.get("sessions?limit=1000").await?.text();
        Ok(!listed.contains("\"closing\""))
    })
    .await
}

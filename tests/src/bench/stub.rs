//! `libra-bench stub`: the coordinator alone, before a Spark that costs next to nothing.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use reqwest::Method;
use serde_json::json;

use super::clients::{all, per_second, seconds};
use super::figures::median;
use super::process;
use super::report::{Goal, Report};
use super::sides::Through;
use crate::harness::{Libra, SessionList, built_binary, until};
use crate::stub::engine::Settings;
use crate::stub::process::StubProcess;

const SMALL: &str = "SELECT 1";
const IDLE_MB: Goal = Goal::AtMost(256.0);
/// Sessions that are being made at once.
const MAKERS: usize = 64;
const OPEN_WITHIN: Duration = Duration::from_secs(600);
const PAGE: usize = 1000;
/// How often memory is looked at while it settles: channels are closed after a minute of idleness.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// How much is measured.
#[derive(Debug, Clone, clap::Args)]
pub struct Options {
    /// Turns of throughput; 0 leaves that part out.
    #[arg(long, default_value_t = 5)]
    pub turns: usize,
    /// Seconds of one turn.
    #[arg(long = "seconds", default_value = "5", value_parser = seconds)]
    pub span: Duration,
    /// Numbers of clients.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64])]
    pub clients: Vec<usize>,
    /// Idle sessions; 0 leaves that part out.
    #[arg(long, default_value_t = 10_000)]
    pub sessions: usize,
    /// Seconds that memory may settle after the last session is open.
    #[arg(long, default_value = "130", value_parser = seconds)]
    pub settle: Duration,
}

/// Runs the benchmark.
///
/// # Errors
/// When a process does not start, or a statement fails.
pub async fn run(options: &Options) -> Result<Report> {
    let mut report = Report::begin("stub")?;
    let binary = built_binary("stub-spark", "libra-tests")?;
    if options.turns > 0 {
        let stub = StubProcess::start(&binary, &Settings::default()).await?;
        throughput(&stub, options, &mut report).await?;
    }
    if options.sessions > 0 {
        let stub = StubProcess::start(&binary, &Settings::default()).await?;
        idle_sessions(&stub, options, &mut report).await?;
    }
    report.end()
}

async fn throughput(stub: &StubProcess, options: &Options, report: &mut Report) -> Result<()> {
    let slots = options.clients.iter().copied().max().unwrap_or(1);
    let libra = Libra::on(stub.connection_string())
        .set("libra.scheduler.slots", slots.max(1))
        .start()
        .await?;
    let pid = libra.pid().context("libra does not run")?;
    let through = Through::new(&libra.api, "default");
    let run = move || {
        let through = through.clone();
        async move { through.run(SMALL).await.map(drop) }
    };
    per_second(slots, Duration::from_secs(1), run.clone()).await?;
    for clients in &options.clients {
        let measure = format!("throughput at {clients} clients");
        let cpu = format!("processor time per statement at {clients} clients");
        for turn in 0..options.turns {
            let (begun, used) = (Instant::now(), process::cpu_seconds(pid)?);
            let reached = per_second(*clients, options.span, run.clone()).await?;
            let used = process::cpu_seconds(pid)? - used;
            let statements = reached * begun.elapsed().as_secs_f64();
            report.row(&measure, turn, "libra", reached, "statements/s");
            report.row(&cpu, turn, "libra", used * 1e3 / statements, "ms");
        }
        let (reached, used) = (
            median(&report.values(&measure, "libra")),
            median(&report.values(&cpu, "libra")),
        );
        report.figure(measure, reached, "statements/s");
        report.figure(cpu, used, "ms");
    }
    report.figure("peak memory", process::memory(pid)?.peak, "MB");
    Ok(())
}

async fn idle_sessions(stub: &StubProcess, options: &Options, report: &mut Report) -> Result<()> {
    let sessions = options.sessions;
    let libra = Libra::on(stub.connection_string())
        .set("libra.session.mode", "ISOLATED")
        .set("libra.session.max-sessions", sessions)
        .start()
        .await?;
    let pid = libra.pid().context("libra does not run")?;
    let empty = process::memory(pid)?.resident;
    report.row("memory without sessions", 0, "libra", empty, "MB");
    let begun = Instant::now();
    all(sessions, MAKERS, |n| make(&libra, n)).await?;
    until("all sessions to be open", OPEN_WITHIN, || async {
        Ok(idle(&libra).await? == sessions)
    })
    .await?;
    let took = begun.elapsed().as_secs_f64();
    report.figure(format!("{sessions} sessions opened in"), took, "s");
    let settled = settle(pid, options.settle, report).await?;
    ensure!(idle(&libra).await? == sessions, "sessions were lost");
    report.figure("peak memory", process::memory(pid)?.peak, "MB");
    report.judge(
        format!("memory with {sessions} idle sessions"),
        settled,
        "MB",
        IDLE_MB,
    );
    Ok(())
}

async fn make(libra: &Libra, n: usize) -> Result<()> {
    let body = json!({"sessionId": format!("idle-{n}")});
    let request = libra.api.request(Method::POST, "sessions").json(&body);
    libra.api.send(request).await?.expect(&[201])?;
    Ok(())
}

/// How many sessions are open and have nothing to do.
async fn idle(libra: &Libra) -> Result<usize> {
    let (mut idle, mut after) = (0, String::new());
    loop {
        let path = format!("sessions?limit={PAGE}{after}");
        let page: SessionList = libra.api.get(&path).await?.json(&[200])?;
        let fitting = page.sessions.iter().filter(|s| s.state == "idle");
        idle += fitting.count();
        match page.next {
            Some(next) => after = format!("&after={next}"),
            None => return Ok(idle),
        }
    }
}

/// Notes the memory until `span` has passed; the last is what it settles at.
async fn settle(pid: u32, span: Duration, report: &mut Report) -> Result<f64> {
    let begun = Instant::now();
    let mut turn = 0;
    loop {
        let resident = process::memory(pid)?.resident;
        report.row("memory with idle sessions", turn, "libra", resident, "MB");
        if begun.elapsed() >= span {
            return Ok(resident);
        }
        tokio::time::sleep(LOOK_EVERY).await;
        turn += 1;
    }
}

//! Seeds: one decides all that is left to chance in a world, and each is played in a process of its
//! own, because what one world leaves behind in its process would reach the next.
//!
//! Everything runs on one thread, and `mad-turmoil` gives it the system's random numbers from the
//! seed, and its clocks from the simulation. So the same seed is the same run, message for message,
//! without `--cfg tokio_unstable`: tokio, openraft, hash maps and UUIDs all draw from there.

use std::env;
use std::future::Future;
use std::io::Write as _;
use std::process::{Command, Output};
use std::thread;

use anyhow::{Context, Result, anyhow, ensure};
use mad_turmoil::time::SimClocksGuard;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tracing_subscriber::EnvFilter;

use super::world::{World, simulate};

/// Which seed is played, in this process.
const SEED: &str = "SEED";
/// How many seeds are played; for long runs.
const SEEDS: &str = "SEEDS";
/// Before each line of a story.
const LINE: &str = "story: ";

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

/// Plays a script: with one seed here if that is asked for, else with seeds from 1 on in processes
/// of their own. `test` is the name of the test that calls this.
pub(crate) fn play<F>(test: &str, script: fn(World) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + 'static,
{
    let Some(seed) = number(SEED) else {
        for seed in 1..=number(SEEDS).unwrap_or(1) {
            told(test, seed)?;
        }
        return Ok(());
    };
    // A fresh thread: its hash maps have drawn nothing yet.
    let playing = thread::spawn(move || {
        mad_turmoil::rand::set_rng(StdRng::seed_from_u64(seed));
        log();
        let _clocks = SimClocksGuard::init();
        simulate(seed, script)
    });
    let story = playing
        .join()
        .map_err(|_| anyhow!("seed {seed}: a panic"))?;
    let mut out = std::io::stdout().lock();
    for line in story? {
        writeln!(out, "{LINE}{line}")?;
    }
    Ok(())
}

/// Shows log lines, if `RUST_LOG` asks for some; `turmoil=trace` shows every message.
fn log() {
    if let Ok(filter) = EnvFilter::try_from_default_env() {
        let lines = tracing_subscriber::fmt().with_env_filter(filter);
        lines.without_time().init();
    }
}

/// The story of a seed, told by a process of its own.
pub(crate) fn told(test: &str, seed: u64) -> Result<Vec<String>> {
    let output = process(test, seed, "")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "{said}{}\nreplay: {SEED}={seed} cargo nextest run -p libra-tests --test shells \
         --features libra-coordinator/failpoints --no-capture -- --exact {test}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = said.lines().filter_map(|line| line.strip_prefix(LINE));
    Ok(lines.map(str::to_owned).collect())
}

/// The same test with that seed, and with safeties off.
pub(crate) fn process(test: &str, seed: u64, safeties_off: &str) -> Result<Output> {
    Command::new(env::current_exe()?)
        .args(["--exact", test, "--nocapture", "--test-threads", "1"])
        .env(SEED, seed.to_string())
        .env(libra_proto::safety::VARIABLE, safeties_off)
        .output()
        .context("a process of the same test")
}

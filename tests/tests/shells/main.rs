//! Whole coordinators, with their real shells (tonic, ractor, openraft, the result store), in one
//! simulated network before the stub: links that are cut one way or both, crashes, power cuts.
//!
//! A seed decides the network: `SEED=7 cargo nextest run -p libra-tests --test shells` replays it.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod net;
mod node;
mod scenarios;
mod spark;
mod work;
mod world;

use std::env;
use std::future::Future;
use std::process::{Command, Output};

use anyhow::{Context, Result, ensure};
use mad_turmoil::time::SimClocksGuard;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use scenarios as on;
use tracing_subscriber::EnvFilter;
use world::{World, simulate};

/// Which seed is played, in this process.
const SEED: &str = "SEED";
/// How many seeds are played, each in a process of its own; for long runs.
const SEEDS: &str = "SEEDS";
/// Before each line of a story.
const LINE: &str = "story: ";

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

/// Plays a script with one seed here, or with several in processes of their own: what one world
/// leaves behind in its process must not reach the next.
fn play<F>(test: &str, script: fn(World) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + 'static,
{
    if let Some(seed) = number(SEED) {
        log();
        mad_turmoil::rand::set_rng(StdRng::seed_from_u64(seed));
        let _clocks = SimClocksGuard::init();
        for line in simulate(seed, script)? {
            println!("{LINE}{line}");
        }
        return Ok(());
    }
    for seed in 1..=number(SEEDS).unwrap_or(1) {
        told(test, seed)?;
    }
    Ok(())
}

/// Shows log lines, if `RUST_LOG` asks for some; `turmoil=trace` shows every message.
fn log() {
    if let Ok(filter) = EnvFilter::try_from_default_env() {
        tracing_subscriber::fmt().with_env_filter(filter).without_time().init();
    }
}

/// The story of a seed, told by a process of its own.
fn told(test: &str, seed: u64) -> Result<Vec<String>> {
    let output = child(test, seed)?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(
        output.status.success(),
        "{said}{}\nreplay: {SEED}={seed} cargo nextest run -p libra-tests --test shells {test}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = said.lines().filter_map(|line| line.strip_prefix(LINE));
    Ok(lines.map(str::to_owned).collect())
}

fn child(test: &str, seed: u64) -> Result<Output> {
    Command::new(env::current_exe()?)
        .args(["--exact", test, "--nocapture"])
        .env(SEED, seed.to_string())
        .output()
        .context("a process of the same test")
}

#[test]
fn the_leader_is_cut_off() -> Result<()> {
    play("the_leader_is_cut_off", on::the_leader_is_cut_off)
}

#[test]
fn the_owner_crashes() -> Result<()> {
    play("the_owner_crashes", on::the_owner_crashes)
}

#[test]
fn the_owner_is_cut_off_both_ways() -> Result<()> {
    play(
        "the_owner_is_cut_off_both_ways",
        on::the_owner_is_cut_off_both_ways,
    )
}

#[test]
fn the_owner_is_not_heard() -> Result<()> {
    play("the_owner_is_not_heard", on::the_owner_is_not_heard)
}

#[test]
fn the_owner_does_not_hear() -> Result<()> {
    play("the_owner_does_not_hear", on::the_owner_does_not_hear)
}

#[test]
fn spark_is_cut_off() -> Result<()> {
    play("spark_is_cut_off", on::spark_is_cut_off)
}

#[test]
fn the_power_fails() -> Result<()> {
    play("the_power_fails", on::the_power_fails)
}

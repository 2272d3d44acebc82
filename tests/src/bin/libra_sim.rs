//! `libra-sim`: simulates clusters by seed; each seed is the same each time.

#![expect(clippy::print_stdout, reason = "it is a command")]

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use libra_proto::safety::{Safety, take_off};
use libra_tests::sim::report::{Report, failure};
use libra_tests::sim::{Outcome, run};

/// Simulates clusters: thousands of faults a minute, the same each time.
#[derive(Debug, Parser)]
#[command(name = "libra-sim")]
struct Arguments {
    /// One seed.
    #[arg(long, conflicts_with = "seeds")]
    seed: Option<u64>,
    /// Seeds from the first on and below the second: 0..1000.
    #[arg(long, value_parser = range, default_value = "0..100")]
    seeds: Range<u64>,
    /// Ends after so many seconds, whatever seeds are left.
    #[arg(long)]
    seconds: Option<u64>,
    /// Takes a safety off (epoch-check, sync-before-ack, …); more than once for more.
    #[arg(long, value_parser = safety)]
    safety_off: Vec<Safety>,
    /// Seeds at once.
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Prints what happens, as it happens; with --seed.
    #[arg(long)]
    trace: bool,
    /// Goes on after a red seed.
    #[arg(long)]
    keep_going: bool,
    /// Runs each seed twice and compares the traces.
    #[arg(long)]
    twice: bool,
}

fn range(text: &str) -> Result<Range<u64>> {
    let (from, to) = text.split_once("..").context("FROM..TO")?;
    Ok(from.parse()?..to.parse()?)
}

fn safety(name: &str) -> Result<Safety, String> {
    Safety::from_name(name).ok_or_else(|| {
        let names: Vec<&str> = Safety::ALL.iter().map(|safety| safety.name()).collect();
        format!("one of {}", names.join(", "))
    })
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    take_off(&arguments.safety_off);
    if let Some(seed) = arguments.seed {
        return one(&arguments, seed);
    }
    many(&arguments)
}

fn one(arguments: &Arguments, seed: u64) -> Result<()> {
    let outcome = run(seed, arguments.trace);
    println!("{outcome}");
    let began = Instant::now();
    let mut report = Report::default();
    report.add(&outcome);
    println!("{}", report.text(began.elapsed()));
    if arguments.twice {
        compare(&outcome)?;
    }
    if !outcome.is_green() {
        println!("{}", failure(&outcome, &arguments.safety_off));
        bail!("a promise was broken");
    }
    Ok(())
}

fn compare(first: &Outcome) -> Result<()> {
    let second = run(first.seed, false);
    if second.trace_hash != first.trace_hash {
        bail!("not the same: {first}; then {second}");
    }
    Ok(())
}

fn many(arguments: &Arguments) -> Result<()> {
    let began = Instant::now();
    let next = AtomicU64::new(arguments.seeds.start);
    let stop = AtomicBool::new(false);
    let report = Mutex::new(Report::default());
    let limit = arguments.seconds.map(Duration::from_secs);
    std::thread::scope(|scope| {
        for _ in 0..arguments.jobs.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed)
                    && limit.is_none_or(|limit| began.elapsed() < limit)
                {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= arguments.seeds.end {
                        return;
                    }
                    let outcome = run(seed, false);
                    let mut differs = None;
                    if arguments.twice {
                        differs = compare(&outcome).err();
                    }
                    let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
                    report.add(&outcome);
                    if let Some(differs) = &differs {
                        println!("{differs}");
                    }
                    if !outcome.is_green() {
                        println!("{}", failure(&outcome, &arguments.safety_off));
                    }
                    if (!outcome.is_green() || differs.is_some()) && !arguments.keep_going {
                        stop.store(true, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let report = report.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!("{}", report.text(began.elapsed()));
    if !report.red().is_empty() {
        bail!("red seeds: {:?}", report.red());
    }
    Ok(())
}

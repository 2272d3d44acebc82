//! `libra-sim`: simulates clusters by seed; each seed is the same each time.

#![expect(clippy::print_stdout, reason = "it is a command")]

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    let began = Instant::now();
    let outcome = run(seed, arguments.trace);
    println!("{outcome}");
    let mut report = Report::default();
    report.add(&outcome, began.elapsed());
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
    let watch = Watch::new(&arguments.safety_off);
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
                    let watched = watch.begin(seed);
                    let begun = Instant::now();
                    let outcome = run(seed, false);
                    let took = begun.elapsed();
                    let mut differs = None;
                    if arguments.twice {
                        differs = compare(&outcome).err();
                    }
                    drop(watched);
                    let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
                    report.add(&outcome, took);
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

/// What a seed may take, in real time: some hundred times what it takes alone.
const SEED_LIMIT: Duration = Duration::from_secs(120);

type Running = Arc<Mutex<BTreeMap<u64, Instant>>>;

/// Ends the process, and says why, when a seed does not end.
#[derive(Debug)]
struct Watch {
    running: Running,
    /// Whoever looks ends with it.
    _alive: mpsc::Sender<()>,
}

/// A seed that runs, until it is dropped.
struct Watched<'a> {
    watch: &'a Watch,
    seed: u64,
}

impl Watch {
    fn new(off: &[Safety]) -> Self {
        let off: String = off
            .iter()
            .map(|safety| format!(" --safety-off {}", safety.name()))
            .collect();
        let running = Running::default();
        let looked_at = Arc::clone(&running);
        let (alive, ended) = mpsc::channel();
        std::thread::spawn(move || {
            while ended.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                if let Some(seed) = overdue(&looked_at) {
                    println!("seed {seed} has not ended within {SEED_LIMIT:?}");
                    println!("replay: libra-sim --seed {seed}{off} --trace");
                    std::process::exit(1);
                }
            }
        });
        Self {
            running,
            _alive: alive,
        }
    }

    fn begin(&self, seed: u64) -> Watched<'_> {
        lock(&self.running).insert(seed, Instant::now());
        Watched { watch: self, seed }
    }
}

fn overdue(running: &Running) -> Option<u64> {
    let running = lock(running);
    let mut seeds = running.iter();
    let late = seeds.find(|(_, began)| began.elapsed() > SEED_LIMIT);
    late.map(|(seed, _)| *seed)
}

fn lock(running: &Running) -> MutexGuard<'_, BTreeMap<u64, Instant>> {
    running.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        lock(&self.watch.running).remove(&self.seed);
    }
}

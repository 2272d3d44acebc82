//! Fuzz targets: one for each parser of what comes from outside, and the one place that lists them.
//!
//! `tests/tests/fuzz.rs` runs all of them for a bounded time on stable Rust, from the seeds of
//! [`seeds`] by blind mutation ([`mutate`]). `tests/fuzz` runs them under libFuzzer, which is guided
//! by coverage; its README says how.
//!
//! **Invariant:** a target takes any bytes and returns: no panic, and memory in proportion to them.

mod mutate;
mod seeds;
mod targets;

use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use mutate::Mutator;
pub use targets::{TARGETS, Target};

/// One input may take so long, on a machine that is busy with other things.
const SLOWEST: Duration = Duration::from_secs(10);
/// More than any target needs for inputs of a few KiB.
const MOST_MEMORY_KIB: u64 = 256 << 10;

/// The target of that name.
#[must_use]
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

/// Runs a target on its seeds and on what chance makes of them, for so long. Returns how many
/// inputs there were.
///
/// # Errors
/// When an input makes it panic, takes too long, or too much memory; the error holds the input.
pub fn run(target: &Target, seed: u64, time: Duration) -> Result<u64> {
    let before = peak_kib()?;
    let began = Instant::now();
    let seeds = (target.seeds)();
    for input in &seeds {
        one(target, input)?;
    }
    let mut mutator = Mutator::new(seed, seeds);
    let mut inputs = 0;
    while began.elapsed() < time {
        one(target, &mutator.next())?;
        inputs += 1;
    }
    let grown = peak_kib()?.saturating_sub(before);
    ensure!(
        grown < MOST_MEMORY_KIB,
        "{}: {grown} KiB more memory, seed {seed}",
        target.name
    );
    Ok(inputs)
}

fn one(target: &Target, input: &[u8]) -> Result<()> {
    let began = Instant::now();
    if catch_unwind(|| (target.run)(input)).is_err() {
        bail!("{} panics on: {}", target.name, input.escape_ascii());
    }
    ensure!(
        began.elapsed() < SLOWEST,
        "{} takes {:?} on: {}",
        target.name,
        began.elapsed(),
        input.escape_ascii()
    );
    Ok(())
}

/// The most memory that this process ever had.
fn peak_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|rest| rest.trim().strip_suffix(" kB")?.parse().ok());
    number.ok_or_else(|| anyhow::anyhow!("no VmHWM in a process status"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_panics_is_caught_with_its_input() {
        let fragile = Target {
            name: "fragile",
            run: |bytes| assert!(!bytes.contains(&0xff)),
            seeds: || vec![b"soft".to_vec()],
        };
        let error = run(&fragile, 1, Duration::from_secs(20)).unwrap_err();
        assert!(error.to_string().contains("\\xff"), "{error}");
    }

    #[test]
    fn a_target_that_takes_memory_is_caught() {
        let greedy = Target {
            name: "greedy",
            run: |bytes| {
                if bytes == b"big" {
                    std::hint::black_box(vec![1_u8; 300 << 20]);
                }
            },
            seeds: || vec![b"big".to_vec()],
        };
        let error = run(&greedy, 1, Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains("more memory"), "{error}");
    }
}

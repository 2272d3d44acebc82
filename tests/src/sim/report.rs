//! What many seeds came to, in words.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use libra_proto::safety::Safety;

use super::Outcome;

/// The sum of many seeds.
#[derive(Debug, Default)]
pub struct Report {
    seeds: u64,
    events: u64,
    commands: u64,
    virtual_time: Duration,
    tally: BTreeMap<&'static str, u64>,
    red: Vec<u64>,
    /// The seed that took longest.
    slowest: Option<(Duration, u64)>,
}

impl Report {
    /// Adds a seed, which took so long.
    pub fn add(&mut self, outcome: &Outcome, took: Duration) {
        self.slowest = self.slowest.max(Some((took, outcome.seed)));
        self.seeds += 1;
        self.events += outcome.events;
        self.commands += outcome.commands;
        self.virtual_time += outcome.virtual_time;
        for (what, times) in &outcome.tally {
            *self.tally.entry(what).or_default() += times;
        }
        if !outcome.is_green() {
            self.red.push(outcome.seed);
        }
    }

    /// The seeds that broke a promise.
    #[must_use]
    pub fn red(&self) -> &[u64] {
        &self.red
    }

    /// In words, with how long it took.
    #[must_use]
    pub fn text(&self, wall: Duration) -> String {
        let seconds = wall.as_secs_f64().max(0.001);
        let mut text = format!(
            "{} seeds, {} red; {:.0} virtual seconds in {seconds:.1} s; {} commands, {} events\n",
            self.seeds,
            self.red.len(),
            self.virtual_time.as_secs_f64(),
            self.commands,
            self.events,
        );
        if let Some((took, seed)) = self.slowest {
            let line =
                format_args!("the slowest was {seed}, {:.1} s\n", took.as_secs_f64()).to_string();
            text.push_str(&line);
        }
        for (what, times) in &self.tally {
            let line = format_args!("{times:>10}  {what}\n").to_string();
            text.push_str(&line);
        }
        text
    }
}

/// The one command that replays a seed.
#[must_use]
pub fn replay(seed: u64, off: &[Safety]) -> String {
    let mut command = format!("libra-sim --seed {seed}");
    for safety in off {
        command.push_str(" --safety-off ");
        command.push_str(safety.name());
    }
    command.push_str(" --trace");
    command
}

/// What a red seed found, and how to see it again.
#[must_use]
pub fn failure(outcome: &Outcome, off: &[Safety]) -> String {
    let mut text = format!("seed {} is red:\n", outcome.seed);
    for violation in &outcome.violations {
        let line = format_args!(
            "  {} at {:.3} s: {}\n",
            violation.invariant,
            violation.at.as_secs_f64(),
            violation.text
        )
        .to_string();
        text.push_str(&line);
    }
    text.push_str("  replay: ");
    text.push_str(&replay(outcome.seed, off));
    text
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "seed {}: {} events, hash {:016x}, {:.1} virtual seconds",
            self.seed,
            self.events,
            self.trace_hash,
            self.virtual_time.as_secs_f64()
        )
    }
}

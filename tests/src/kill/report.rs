//! What a run found, as a table.
//!
//! **Invariant:** only measured numbers; what was not measured is a dash.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::time::Duration;

use super::plan::Cause;
use crate::checkers::{Class, Verdict, Violation};

/// One kill.
#[derive(Debug, Clone)]
pub(super) struct Kill {
    pub(super) cause: Cause,
    /// From the kill until the coordinator was ready again.
    pub(super) recovery: Option<Duration>,
    /// Acknowledged statements that had not been seen ended.
    pub(super) in_flight: BTreeSet<String>,
}

/// What a run did and found.
#[derive(Debug)]
pub struct Report {
    /// Replays the schedule and the work.
    pub seed: u64,
    /// How long it took.
    pub took: Duration,
    /// Submits by their answer: ok, refused, unknown.
    pub answers: [usize; 3],
    /// Statements that were acknowledged.
    pub acknowledged: usize,
    /// Executions that the referee counted.
    pub executions: usize,
    /// Results that were read.
    pub readings: usize,
    /// Everything that is wrong.
    pub violations: Vec<Violation>,
    /// The judgement.
    pub verdict: Verdict,
    pub(super) kills: Vec<Kill>,
}

impl Report {
    /// How many kills there were at a cause.
    #[must_use]
    pub fn kills_at(&self, cause: Cause) -> usize {
        self.kills.iter().filter(|kill| kill.cause == cause).count()
    }

    /// How many violations there are of a class.
    #[must_use]
    pub fn count(&self, class: Class) -> usize {
        let of_class = |violation: &&Violation| violation.class == class;
        self.violations.iter().filter(of_class).count()
    }
}

/// One line of the table.
#[derive(Debug, Default)]
struct Row {
    kills: usize,
    in_flight: usize,
    broken: BTreeSet<String>,
    lost: BTreeSet<String>,
    doubled: BTreeSet<String>,
    back: BTreeSet<String>,
    recoveries: Vec<Duration>,
}

impl Row {
    fn add(&mut self, kill: &Kill, violations: &[Violation]) {
        self.kills += 1;
        self.in_flight += kill.in_flight.len();
        self.recoveries.extend(kill.recovery);
        for violation in violations {
            let Some(job) = violation
                .job
                .as_ref()
                .filter(|job| kill.in_flight.contains(*job))
            else {
                continue;
            };
            let list = match violation.class {
                Class::Lost => Some(&mut self.lost),
                Class::Doubled => Some(&mut self.doubled),
                Class::Back => Some(&mut self.back),
                Class::Owners
                | Class::WrongEnd
                | Class::Bytes
                | Class::Slots
                | Class::Share
                | Class::Key
                | Class::Phantom
                | Class::Stale
                | Class::Differs
                | Class::Never
                | Class::Odd => None,
            };
            list.map(|list| list.insert(job.clone()));
            self.broken.insert(job.clone());
        }
    }

    fn print(&mut self, name: &str, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.recoveries.sort_unstable();
        let ms = |time: Option<&Duration>| {
            time.map_or_else(|| "-".to_owned(), |time| time.as_millis().to_string())
        };
        let median = ms(self.recoveries.get(self.recoveries.len() / 2));
        let most = ms(self.recoveries.last());
        let recovered = self.in_flight.saturating_sub(self.broken.len());
        writeln!(
            out,
            "{name:<24}{:>6}{:>11}{recovered:>11}{:>6}{:>9}{:>6}{median:>11}{most:>9}",
            self.kills,
            self.in_flight,
            self.lost.len(),
            self.doubled.len(),
            self.back.len(),
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [ok, refused, unknown] = self.answers;
        writeln!(
            f,
            "seed {}, {:.1} s; submits: {ok} ok, {refused} refused, {unknown} unknown; \
             {} statements acknowledged, {} executions, {} results read",
            self.seed,
            self.took.as_secs_f64(),
            self.acknowledged,
            self.executions,
            self.readings,
        )?;
        writeln!(
            f,
            "{:<24}{:>6}{:>11}{:>11}{:>6}{:>9}{:>6}{:>11}{:>9}",
            "killed at",
            "kills",
            "in flight",
            "recovered",
            "lost",
            "doubled",
            "back",
            "median ms",
            "max ms"
        )?;
        let mut rows: BTreeMap<Cause, Row> = BTreeMap::new();
        let mut total = Row::default();
        for kill in &self.kills {
            rows.entry(kill.cause)
                .or_default()
                .add(kill, &self.violations);
            total.add(kill, &self.violations);
        }
        for (cause, mut row) in rows {
            row.print(&cause.to_string(), f)?;
        }
        total.print("all", f)?;
        let mut classes = String::new();
        for class in Class::ALL {
            write!(classes, "{class} {}, ", self.count(class))?;
        }
        writeln!(f, "{}", classes.trim_end_matches(", "))?;
        for violation in self.violations.iter().take(50) {
            let job = violation.job.as_deref().unwrap_or("-");
            writeln!(f, "  {} {job}: {}", violation.class, violation.text)?;
        }
        write!(f, "verdict: {}", self.verdict)
    }
}

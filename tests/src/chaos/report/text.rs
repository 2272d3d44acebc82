//! The report in Markdown.

use std::fmt::{self, Display, Formatter};

use super::{Report, Row};
use crate::checkers::Verdict;

/// How many violations of a row are told.
const TOLD: usize = 20;

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let on = &self.machine;
        writeln!(f, "# What survives, and how long it takes\n")?;
        writeln!(
            f,
            "{} nodes, {}; {}. {} processors ({}), {} MB, Linux {}; a {} build; {} UTC, load {} at \
             the start.\n",
            self.nodes,
            on.place,
            on.spark,
            on.cpus,
            on.cpu,
            on.memory,
            on.kernel,
            on.build,
            on.day,
            on.load,
        )?;
        writeln!(f, "`{}`\n", self.command)?;
        head(f)?;
        for row in &self.rows {
            line(row, f)?;
        }
        if !self.not_run.is_empty() {
            writeln!(f, "\nNot run:\n")?;
            for (fault, why) in &self.not_run {
                writeln!(f, "- {fault}: {why}")?;
            }
        }
        for row in &self.rows {
            violations(row, f)?;
        }
        writeln!(f, "\nVerdict: {}.", self.verdict())
    }
}

fn head(f: &mut Formatter<'_>) -> fmt::Result {
    writeln!(
        f,
        "| fault | injections | times run from, sessions | p50 ms | p99 ms | pMax ms | in time \
         | all serve after its end, pMax ms | in flight | lost | doubled | stale | failed \
         | failed after one retry | verdict |"
    )?;
    writeln!(
        f,
        "|---|--:|---|--:|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|---|"
    )
}

fn line(row: &Row, f: &mut Formatter<'_>) -> fmt::Result {
    let again = &row.served_again;
    let ms = |value: f64, samples: usize| {
        if samples == 0 {
            "-".to_owned()
        } else {
            format!("{value:.0}")
        }
    };
    let in_time = match row.in_time {
        Some(true) => "yes",
        Some(false) => "NO",
        None => "-",
    };
    let verdict = match &row.verdict {
        Verdict::Pass => "true",
        Verdict::Violated => "FALSE",
        Verdict::Unknown(_) => "unknown",
    };
    writeln!(
        f,
        "| {} | {} | {}, {} | {} | {} | {} | {in_time} | {} | {} | {} | {} | {} | {} | {} | {verdict} |",
        row.fault,
        row.injections,
        row.from,
        row.whose,
        ms(again.p50, again.samples),
        ms(again.p99, again.samples),
        ms(again.most, again.samples),
        ms(row.after_its_end.most, row.after_its_end.samples),
        row.in_flight,
        row.lost,
        row.doubled,
        row.stale,
        row.failed,
        row.failed_after_retry,
    )
}

fn violations(row: &Row, f: &mut Formatter<'_>) -> fmt::Result {
    if let Some((slowest, all)) = row.refused {
        let all = if all { "all 503" } else { "NOT all 503" };
        writeln!(
            f,
            "\n{}: answers without a majority: {all}, the slowest after {slowest:.0} ms.",
            row.fault
        )?;
    }
    if let Verdict::Unknown(why) = &row.verdict {
        writeln!(f, "\n{} is unknown, which is no pass: {why}", row.fault)?;
    }
    let all = row.findings.iter().flat_map(|finding| &finding.violations);
    let count = all.clone().count();
    if count > 0 {
        writeln!(
            f,
            "\n{}, seed {}: {count} violations:\n",
            row.fault, row.seed
        )?;
    }
    for violation in all.take(TOLD) {
        let job = violation.job.as_deref().unwrap_or("-");
        writeln!(f, "- {} {job}: {}", violation.class, violation.text)?;
    }
    Ok(())
}

impl Display for Row {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        head(f)?;
        line(self, f)?;
        violations(self, f)
    }
}

//! The table of times, and what they are held to. PURE.

use anyhow::Result;

use super::super::figures::{median, quantile};
use super::super::report::{Goal, Report};
use super::{AFTER, LEADER, MOVED, RESULT, p99};

/// Adds the table of one role, and judges it.
pub(super) fn judge(side: &'static str, report: &mut Report, goal: Goal) -> Result<()> {
    let mut lines = vec![format!(
        "{side:<16}{:>28}{:>8}{:>8}{:>8}{:>8}",
        "ms", "n", "p50", "p99", "max"
    )];
    for measure in [RESULT, LEADER, MOVED, AFTER] {
        let values = report.values(measure, side);
        if values.is_empty() {
            continue;
        }
        lines.push(format!(
            "{:<16}{measure:>28}{:>8}{:>8.0}{:>8.0}{:>8.0}",
            "",
            values.len(),
            median(&values),
            quantile(&values, 0.99),
            quantile(&values, 1.0)
        ));
    }
    report.table(lines.join("\n") + "\n");
    let worst = p99(&report.values(RESULT, side))?;
    report.judge(format!("{side} killed, {RESULT}, p99"), worst, "ms", goal);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_is_judged_by_its_slowest_result_and_shows_what_was_measured() {
        let mut report = Report::begin("test").unwrap();
        for (turn, value) in [300.0, 1_900.0, 2_600.0].into_iter().enumerate() {
            report.row(RESULT, turn, "owner", value, "ms");
        }
        report.row(MOVED, 0, "owner", 1_500.0, "ms");
        assert!(judge("leader", &mut report, Goal::AtMost(2_500.0)).is_err());
        judge("owner", &mut report, Goal::AtMost(2_500.0)).unwrap();
        assert!(!report.is_good());
        let text = report.to_string();
        assert!(
            text.contains("kill to result       3    1900    2600    2600"),
            "{text}"
        );
        assert!(!text.contains(LEADER), "{text}");
    }
}

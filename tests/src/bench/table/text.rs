//! The table, in the form of the guide. PURE.

use super::case::Case;

/// What was run, and on what.
pub(super) fn head(statements: usize, cores: u32, sql: &str) -> String {
    format!("{statements} concurrent SQL statements, Spark with {cores} cores\n{sql}\n")
}

/// One row of the table.
pub(super) fn side(case: &Case, cores: u32) -> String {
    let mut lines = vec![case.side.to_owned()];
    for (n, job) in (1..).zip(&case.jobs) {
        lines.push(format!(
            "  Job {n}: Started at T+{:.1}s, Completed at T+{:.1}s   ({}, on a core from T+{:.1}s)",
            job.started, job.completed, job.pool, job.first_task
        ));
    }
    let used = case.cores_used();
    lines.push(format!(
        "  Total Time: {:.1}s   Cores used: {used:.2} of {cores} ({:.0}%)\n",
        case.total(),
        used / f64::from(cores) * 100.0
    ));
    if case.isolated {
        let overhead = case.all_started();
        lines.insert(
            1,
            format!("  Overhead: +{overhead:.2}s for sessions made at once"),
        );
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::super::case::Job;
    use super::*;

    #[test]
    fn a_row_of_the_table() {
        let job = |pool, started, completed| Job {
            pool,
            started,
            first_task: started + 0.1,
            completed,
            held: 4.0,
            cpu: 3.9,
        };
        let case = Case {
            side: "ISOLATED",
            isolated: true,
            jobs: vec![job("a", 0.0, 5.0), job("b", 0.04, 8.0)],
        };
        let expected = "\
ISOLATED
  Overhead: +0.04s for sessions made at once
  Job 1: Started at T+0.0s, Completed at T+5.0s   (a, on a core from T+0.1s)
  Job 2: Started at T+0.0s, Completed at T+8.0s   (b, on a core from T+0.1s)
  Total Time: 8.0s   Cores used: 1.00 of 2 (50%)
";
        assert_eq!(side(&case, 2), expected);
    }
}

//! What a benchmark found, for people and as JSON.

use std::fmt;

use anyhow::Result;
use serde::Serialize;

use super::process;

/// One raw measurement.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// What was measured.
    pub measure: String,
    /// In which turn, from 0.
    pub turn: usize,
    /// On which side: `direct`, `libra`.
    pub side: &'static str,
    /// The value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
}

/// What a figure should be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Goal {
    /// No more than this.
    AtMost(f64),
    /// No less than this.
    AtLeast(f64),
}

/// A figure made of rows, and what it should be, if that is said.
#[derive(Debug, Clone, Serialize)]
pub struct Figure {
    /// What it says.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its unit; empty for a ratio.
    pub unit: &'static str,
    /// What it should be.
    pub goal: Option<Goal>,
    /// Whether it is; true without a goal.
    pub met: bool,
}

/// What one run of a benchmark found.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Which benchmark.
    pub benchmark: &'static str,
    /// Load average of the last minute, before and after.
    pub load: Vec<f64>,
    /// Every measurement, in order.
    pub rows: Vec<Row>,
    /// What they come to.
    pub figures: Vec<Figure>,
    /// The same for the eye, if the benchmark has a form of its own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
}

impl Report {
    /// An empty report; notes the machine's load.
    ///
    /// # Errors
    /// When the load cannot be read.
    pub(super) fn begin(benchmark: &'static str) -> Result<Self> {
        Ok(Self {
            benchmark,
            load: vec![process::load()?],
            rows: Vec::new(),
            figures: Vec::new(),
            tables: Vec::new(),
        })
    }

    /// Notes the machine's load at the end.
    pub(super) fn end(mut self) -> Result<Self> {
        self.load.push(process::load()?);
        Ok(self)
    }

    pub(super) fn row(
        &mut self,
        measure: &str,
        turn: usize,
        side: &'static str,
        value: f64,
        unit: &'static str,
    ) {
        self.rows.push(Row {
            measure: measure.to_owned(),
            turn,
            side,
            value,
            unit,
        });
    }

    /// Adds text that is printed between rows and figures.
    pub(super) fn table(&mut self, text: String) {
        self.tables.push(text);
    }

    /// The values of one measure on one side, in order.
    pub(super) fn values(&self, measure: &str, side: &str) -> Vec<f64> {
        let rows = self.rows.iter();
        rows.filter(|row| row.measure == measure && row.side == side)
            .map(|row| row.value)
            .collect()
    }

    pub(super) fn figure(&mut self, name: impl Into<String>, value: f64, unit: &'static str) {
        self.add(name.into(), value, unit, None);
    }

    pub(super) fn judge(
        &mut self,
        name: impl Into<String>,
        value: f64,
        unit: &'static str,
        goal: Goal,
    ) {
        self.add(name.into(), value, unit, Some(goal));
    }

    fn add(&mut self, name: String, value: f64, unit: &'static str, goal: Option<Goal>) {
        let met = match goal {
            None => true,
            Some(Goal::AtMost(limit)) => value <= limit,
            Some(Goal::AtLeast(limit)) => value >= limit,
        };
        self.figures.push(Figure {
            name,
            value,
            unit,
            goal,
            met,
        });
    }

    /// Whether no goal was missed.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.figures.iter().all(|figure| figure.met)
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(limit) => write!(f, "≤ {limit}"),
            Self::AtLeast(limit) => write!(f, "≥ {limit}"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "measure\tturn\tside\tvalue")?;
        for row in &self.rows {
            let (measure, turn, side) = (&row.measure, row.turn, row.side);
            writeln!(
                f,
                "{measure}\t{turn}\t{side}\t{:.3} {}",
                row.value, row.unit
            )?;
        }
        for table in &self.tables {
            write!(f, "\n{table}")?;
        }
        writeln!(
            f,
            "\n{}; load before and after {:?}",
            self.benchmark, self.load
        )?;
        for figure in &self.figures {
            write!(f, "{}: {:.3} {}", figure.name, figure.value, figure.unit)?;
            if let Some(goal) = figure.goal {
                let word = if figure.met { "met" } else { "MISSED" };
                write!(f, "  (goal {goal}: {word})")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missed_goal_makes_a_report_bad() {
        let mut report = Report::begin("test").unwrap();
        report.row("x", 0, "direct", 1.0, "ms");
        report.row("x", 0, "libra", 2.0, "ms");
        assert_eq!(report.values("x", "libra").len(), 1);
        report.figure("a", 1.0, "ms");
        report.judge("b", 10.0, "ms", Goal::AtMost(10.0));
        report.judge("c", 0.97, "", Goal::AtLeast(0.97));
        assert!(report.is_good());
        report.judge("d", 0.9, "", Goal::AtLeast(0.97));
        assert!(!report.is_good());
        assert!(report.to_string().contains("goal ≥ 0.97: MISSED"));
    }
}

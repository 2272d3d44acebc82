//! What Spark says it ran. PURE.
//!
//! **Invariant:** Libra is never asked. Executions are told apart by the marker in their text.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// One run of one statement.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Execution {
    /// Its text, or its plan.
    pub(crate) text: String,
    /// Its operation, where the referee knows that.
    pub(crate) operation: Option<String>,
    /// When it began, ms, and when it ended, if it has; where the referee says that exactly.
    pub(crate) span: Option<(u64, Option<u64>)>,
}

/// What ran, as far as it is known.
#[derive(Debug, Default, Clone)]
pub(crate) struct Executions(pub(crate) Vec<Execution>);

impl Executions {
    /// How often each operation ran; empty where the referee does not know operations.
    pub(crate) fn operations(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for operation in self.0.iter().filter_map(|e| e.operation.as_deref()) {
            *counts.entry(operation).or_default() += 1;
        }
        counts
    }

    /// The most that ran at any one moment.
    pub(crate) fn most_at_once(&self) -> usize {
        let (mut now, mut most) = (0_usize, 0);
        for step in self.steps() {
            now = if step.begins {
                now + 1
            } else {
                now.saturating_sub(1)
            };
            most = most.max(now);
        }
        most
    }

    /// Beginnings and ends in order. In one millisecond an end counts before a beginning: which
    /// was first is not known. What took no time was beside nothing, as far as milliseconds tell.
    pub(crate) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (which, execution) in self.0.iter().enumerate() {
            let Some((began, ended)) = execution.span else {
                continue;
            };
            if ended == Some(began) {
                continue;
            }
            let step = |at, begins| Step { at, begins, which };
            steps.push(step(began, true));
            steps.extend(ended.map(|ended| step(ended, false)));
        }
        steps.sort_unstable();
        steps
    }

    /// How often each of `markers` ran, each text being counted once for a marker that is in it.
    pub(crate) fn by_marker(&self, markers: &BTreeSet<u64>) -> BTreeMap<u64, usize> {
        let mut counts = BTreeMap::new();
        for execution in &self.0 {
            for marker in execution.markers(markers) {
                *counts.entry(marker).or_default() += 1;
            }
        }
        counts
    }
}

impl Execution {
    /// Those of `markers` that its text holds.
    pub(crate) fn markers(&self, markers: &BTreeSet<u64>) -> BTreeSet<u64> {
        let numbers = self
            .text
            .split(|c: char| !c.is_ascii_digit())
            .filter_map(|digits| digits.parse().ok());
        numbers.filter(|n| markers.contains(n)).collect()
    }
}

/// A beginning or an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Step {
    /// Milliseconds on the referee's clock.
    pub(crate) at: u64,
    pub(crate) begins: bool,
    /// Its place among the executions.
    pub(crate) which: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Execution {
        Execution {
            text: text.to_owned(),
            ..Execution::default()
        }
    }

    #[test]
    fn a_marker_counts_once_for_every_text_that_holds_it() {
        let texts = ["range(17, 18) (17)", "SELECT 17", "171"];
        let executions = Executions(texts.map(text).to_vec());
        let counts = executions.by_marker(&BTreeSet::from([17, 19]));
        assert_eq!(counts, BTreeMap::from([(17, 2)]));
    }

    #[test]
    fn what_runs_at_once_is_counted_from_beginnings_and_ends() {
        let most = |spans: &[(u64, Option<u64>)]| {
            let spans = spans.iter().map(|span| Execution {
                span: Some(*span),
                ..Execution::default()
            });
            Executions(spans.collect()).most_at_once()
        };
        assert_eq!(most(&[]), 0);
        assert_eq!(most(&[(0, Some(10)), (10, Some(20)), (20, None)]), 1);
        assert_eq!(most(&[(0, Some(11)), (10, None), (12, Some(13))]), 2);
        assert_eq!(most(&[(5, Some(5)), (5, Some(5)), (5, None)]), 1);
    }
}

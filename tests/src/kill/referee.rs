//! What Spark itself says it ran.
//!
//! **Invariant:** Libra is never asked. Executions are told apart by the marker in their code.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use super::work::Dialect;
use crate::harness::{SharedSpark, SparkRest, until_some};
use crate::stub::process::StubProcess;

/// How long a real Spark may take to list what it ran.
const LISTED_WITHIN: Duration = Duration::from_secs(20);

/// Who counts.
#[derive(Debug)]
pub struct Referee(By);

#[derive(Debug)]
enum By {
    /// The stub's ledger.
    Stub(Arc<StubProcess>),
    /// A real Spark's REST API, which forgets old executions: it is asked after every kill, and
    /// what it said is kept.
    Spark {
        rest: SparkRest,
        known: BTreeMap<u64, String>,
    },
}

/// What ran, as far as it is known.
#[derive(Debug, Default, Clone)]
pub(super) struct Executions {
    /// The text (or plan) of every execution.
    pub(super) texts: Vec<String>,
    /// How often each operation ran; empty where the referee does not know operations.
    pub(super) operations: BTreeMap<String, usize>,
    /// When each began and ended, ms; empty where the referee does not say it exactly.
    pub(super) spans: Vec<(u64, Option<u64>)>,
}

impl Referee {
    /// The ledger of a stub.
    #[must_use]
    pub fn stub(stub: &Arc<StubProcess>) -> Self {
        Self(By::Stub(Arc::clone(stub)))
    }

    /// A real Spark's own record.
    #[must_use]
    pub fn spark(spark: &SharedSpark) -> Self {
        Self(By::Spark {
            rest: spark.rest.clone(),
            known: BTreeMap::new(),
        })
    }

    /// The SQL that is spoken there.
    pub(super) fn dialect(&self) -> Dialect {
        match self.0 {
            By::Stub(_) => Dialect::Stub,
            By::Spark { .. } => Dialect::Spark,
        }
    }

    /// Keeps what ran so far.
    ///
    /// # Errors
    /// When Spark does not say.
    pub(super) async fn look(&mut self) -> Result<()> {
        match &mut self.0 {
            By::Stub(_) => Ok(()),
            By::Spark { rest, known } => {
                // The list answers 404 when an old execution is dropped while it is being made.
                let all = until_some("Spark's list of executions", LISTED_WITHIN, || async {
                    Ok(rest.all_executions().await.ok())
                })
                .await?;
                known.extend(all.into_iter().map(|e| (e.id, e.plan_description)));
                Ok(())
            }
        }
    }

    /// Everything that ran.
    ///
    /// # Errors
    /// When Spark does not say.
    pub(super) async fn executions(&mut self) -> Result<Executions> {
        self.look().await?;
        match &self.0 {
            By::Stub(stub) => {
                let mut found = Executions::default();
                for execution in stub.executions().await? {
                    found.texts.push(execution.code);
                    found.spans.push((execution.started_ms, execution.ended_ms));
                    *found.operations.entry(execution.operation_id).or_default() += 1;
                }
                Ok(found)
            }
            By::Spark { known, .. } => Ok(Executions {
                texts: known.values().cloned().collect(),
                ..Executions::default()
            }),
        }
    }
}

impl Executions {
    /// The most that ran at any one moment.
    pub(super) fn most_at_once(&self) -> usize {
        let mut steps: Vec<(u64, bool)> = Vec::new();
        // What took no time was beside nothing, as far as milliseconds tell.
        let lasting = self.spans.iter().filter(|(b, e)| *e != Some(*b));
        for (began, ended) in lasting {
            steps.push((*began, true));
            steps.extend(ended.map(|ended| (ended, false)));
        }
        // In one millisecond an end counts before a beginning: which was first is not known.
        steps.sort_unstable();
        let (mut now, mut most) = (0_usize, 0);
        for (_, begins) in steps {
            now = if begins {
                now + 1
            } else {
                now.saturating_sub(1)
            };
            most = most.max(now);
        }
        most
    }

    /// How often each of `markers` ran, each text being counted once for a marker that is in it.
    pub(super) fn by_marker(&self, markers: &BTreeSet<u64>) -> BTreeMap<u64, usize> {
        let mut counts = BTreeMap::new();
        for text in &self.texts {
            let numbers = text
                .split(|c: char| !c.is_ascii_digit())
                .filter_map(|digits| digits.parse().ok());
            let found: BTreeSet<u64> = numbers.filter(|n| markers.contains(n)).collect();
            for marker in found {
                *counts.entry(marker).or_default() += 1;
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_counts_once_for_every_text_that_holds_it() {
        let executions = Executions {
            texts: vec![
                "range(17, 18) (17)".into(),
                "SELECT 17".into(),
                "171".into(),
            ],
            ..Executions::default()
        };
        let counts = executions.by_marker(&BTreeSet::from([17, 19]));
        assert_eq!(counts, BTreeMap::from([(17, 2)]));
    }

    #[test]
    fn what_runs_at_once_is_counted_from_beginnings_and_ends() {
        let most = |spans: &[(u64, Option<u64>)]| {
            let spans = spans.to_vec();
            let executions = Executions {
                spans,
                ..Executions::default()
            };
            executions.most_at_once()
        };
        assert_eq!(most(&[]), 0);
        assert_eq!(most(&[(0, Some(10)), (10, Some(20)), (20, None)]), 1);
        assert_eq!(most(&[(0, Some(11)), (10, None), (12, Some(13))]), 2);
        assert_eq!(most(&[(5, Some(5)), (5, Some(5)), (5, None)]), 1);
    }
}

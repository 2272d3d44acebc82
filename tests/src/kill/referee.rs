//! What Spark itself says it ran.
//!
//! **Invariant:** Libra is never asked. Executions are told apart by the marker in their code.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Result;

use crate::harness::{SparkRest, until_some};
use crate::stub::process::StubProcess;

/// How long a real Spark may take to list what it ran.
const LISTED_WITHIN: Duration = Duration::from_secs(20);

/// Who counts.
#[derive(Debug)]
pub(super) enum Referee {
    /// The stub's ledger.
    Stub(Box<StubProcess>),
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
}

impl Referee {
    /// Keeps what ran so far.
    ///
    /// # Errors
    /// When Spark does not say.
    pub(super) async fn look(&mut self) -> Result<()> {
        match self {
            Self::Stub(_) => Ok(()),
            Self::Spark { rest, known } => {
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
        match self {
            Self::Stub(stub) => {
                let mut found = Executions::default();
                for execution in stub.executions().await? {
                    found.texts.push(execution.code);
                    *found.operations.entry(execution.operation_id).or_default() += 1;
                }
                Ok(found)
            }
            Self::Spark { known, .. } => Ok(Executions {
                texts: known.values().cloned().collect(),
                operations: BTreeMap::new(),
            }),
        }
    }
}

impl Executions {
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
            operations: BTreeMap::new(),
        };
        let counts = executions.by_marker(&BTreeSet::from([17, 19]));
        assert_eq!(counts, BTreeMap::from([(17, 2)]));
    }
}

//! What Spark itself says it ran.
//!
//! **Invariant:** Libra is never asked. Executions are told apart by the marker in their code.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;

use crate::evidence::{Dialect, Execution, Executions};
use crate::harness::{SharedSpark, SparkRest, until_some};
use crate::stub::process::StubProcess;
use crate::stub::speakers::Turn;

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
    pub(crate) fn dialect(&self) -> Dialect {
        match self.0 {
            By::Stub(_) => Dialect::Stub,
            By::Spark { .. } => Dialect::Spark,
        }
    }

    /// Keeps what ran so far.
    ///
    /// # Errors
    /// When Spark does not say.
    pub(crate) async fn look(&mut self) -> Result<()> {
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
    pub(crate) async fn executions(&mut self) -> Result<Executions> {
        self.look().await?;
        match &self.0 {
            By::Stub(stub) => {
                let ran = stub.executions().await?.into_iter();
                let ran = ran.map(|execution| Execution {
                    text: execution.code,
                    operation: Some(execution.operation_id),
                    span: Some((execution.started_ms, execution.ended_ms)),
                });
                Ok(Executions(ran.collect()))
            }
            By::Spark { known, .. } => {
                let ran = known.values().map(|text| Execution {
                    text: text.clone(),
                    ..Execution::default()
                });
                Ok(Executions(ran.collect()))
            }
        }
    }

    /// Which node spoke for which session; a real Spark does not say.
    ///
    /// # Errors
    /// When the stub does not answer.
    pub(crate) async fn turns(&self) -> Result<Vec<Turn>> {
        match &self.0 {
            By::Stub(stub) => stub.speakers().await,
            By::Spark { .. } => Ok(Vec::new()),
        }
    }
}

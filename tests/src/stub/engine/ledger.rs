//! What really ran: the referee of every exactly-once test.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Millis;

/// How an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It ran to its end.
    Succeeded,
    /// It ended with an error of its own.
    Failed,
    /// It was interrupted: by a client, by a release, by the detached timeout, with its session.
    Cancelled,
    /// The driver died under it.
    DriverDied,
}

/// One run of one statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Execution {
    /// Which driver ran it, counted from 1.
    pub incarnation: u64,
    /// User of the Spark session.
    pub user_id: String,
    /// Client-side id of the Spark session.
    pub session_id: String,
    /// The operation's id.
    pub operation_id: String,
    /// The statement.
    pub code: String,
    /// When it began, ms.
    pub started_ms: Millis,
    /// When it ended, ms; none while it runs.
    pub ended_ms: Option<Millis>,
    /// How it ended; none while it runs.
    pub outcome: Option<Outcome>,
}

/// Every execution since the engine was made, across driver restarts.
#[derive(Debug, Default)]
pub struct Ledger {
    executions: Vec<Execution>,
    by_operation: BTreeMap<String, Vec<usize>>,
    by_code: BTreeMap<Arc<str>, usize>,
}

impl Ledger {
    /// All executions, in the order in which they began.
    #[must_use]
    pub fn executions(&self) -> &[Execution] {
        &self.executions
    }

    /// The executions of one operation id; more than one is a statement that ran twice.
    #[must_use]
    pub fn of_operation(&self, operation_id: &str) -> Vec<&Execution> {
        self.by_operation
            .get(operation_id)
            .into_iter()
            .flatten()
            .map(|index| &self.executions[*index])
            .collect()
    }

    /// How often exactly this statement ran.
    #[must_use]
    pub fn count_of_code(&self, code: &str) -> usize {
        self.by_code.get(code).copied().unwrap_or(0)
    }

    /// How many executions have `part` in their statement.
    #[must_use]
    pub fn count_containing(&self, part: &str) -> usize {
        self.by_code
            .iter()
            .filter(|(code, _)| code.contains(part))
            .map(|(_, count)| count)
            .sum()
    }

    /// Operation ids that ran more than once, with their counts.
    #[must_use]
    pub fn repeated_operations(&self) -> Vec<(&str, usize)> {
        self.by_operation
            .iter()
            .filter(|(_, runs)| runs.len() > 1)
            .map(|(id, runs)| (id.as_str(), runs.len()))
            .collect()
    }

    /// Statements with how often each ran.
    #[must_use]
    pub fn counts_by_code(&self) -> &BTreeMap<Arc<str>, usize> {
        &self.by_code
    }

    /// Notes a beginning and returns its place.
    pub(super) fn begin(&mut self, execution: Execution) -> usize {
        let index = self.executions.len();
        self.by_operation
            .entry(execution.operation_id.clone())
            .or_default()
            .push(index);
        *self
            .by_code
            .entry(execution.code.as_str().into())
            .or_default() += 1;
        self.executions.push(execution);
        index
    }

    /// Notes an end; the first one counts. What never began has no end.
    pub(super) fn end(&mut self, index: Option<usize>, now: Millis, outcome: Outcome) {
        if let Some(execution) = index.and_then(|index| self.executions.get_mut(index))
            && execution.outcome.is_none()
        {
            execution.ended_ms = Some(now);
            execution.outcome = Some(outcome);
        }
    }
}

//! The bodies of the REST API.
//!
//! **Invariant:** every type refuses a field that the contract does not name.

use std::fmt;

use anyhow::{Result, ensure};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// A moment as the contract prints it: RFC 3339, UTC, with a fraction and `Z`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub DateTime<Utc>);

impl Time {
    /// Milliseconds from `earlier` to this; negative if it is not earlier.
    #[must_use]
    pub fn millis_since(&self, earlier: &Self) -> i64 {
        (self.0 - earlier.0).num_milliseconds()
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let shape = text.ends_with('Z') && text.contains('.');
        match DateTime::parse_from_rfc3339(&text) {
            Ok(time) if shape => Ok(Self(time.to_utc())),
            _ => Err(D::Error::custom(format!(
                "{text:?} is not RFC 3339 UTC with fraction and Z"
            ))),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_rfc3339_opts(SecondsFormat::Micros, true))
    }
}

/// Where a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Accepted, waits for a slot.
    Queued,
    /// Has a slot.
    Running,
    /// Ended with a result.
    Succeeded,
    /// Ended with an error.
    Failed,
    /// Ended by a cancel.
    Cancelled,
}

impl State {
    /// Whether nothing more will happen.
    #[must_use]
    pub fn ended(self) -> bool {
        match self {
            Self::Queued | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Cancelled => true,
        }
    }

    /// The word on the wire.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// Tasks done and known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct ProgressView {
    pub completed_tasks: u64,
    pub total_tasks: u64,
}

/// Why a statement failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct ErrorView {
    pub error_class: Option<String>,
    pub sql_state: Option<String>,
    pub message: String,
    pub query_context: Option<Value>,
}

/// One column.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct SchemaField {
    pub name: String,
    #[serde(rename = "type")]
    pub ddl_type: String,
    pub nullable: bool,
}

/// The result inside a statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct ResultView {
    pub schema: Vec<SchemaField>,
    pub row_count: u64,
    pub truncated: bool,
    pub rows: Option<Vec<Vec<Value>>>,
    pub next: Option<u64>,
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct Statement {
    pub job_id: String,
    pub session_id: String,
    pub spark_session_id: Option<String>,
    pub kind: String,
    pub pool: String,
    pub user: String,
    pub state: State,
    #[serde(default)]
    pub reconnecting: bool,
    pub code: String,
    pub description: Option<String>,
    pub owner_node_id: u64,
    pub operation_id: String,
    pub submitted_at: Time,
    pub started_at: Option<Time>,
    pub completed_at: Option<Time>,
    pub cancel_requested_at: Option<Time>,
    pub queue_time_ms: Option<u64>,
    pub execution_time_ms: Option<u64>,
    pub progress: Option<ProgressView>,
    pub error: Option<ErrorView>,
    pub result: Option<ResultView>,
}

impl Statement {
    /// The number in `job-N`.
    ///
    /// # Errors
    /// When the id has another form.
    pub fn job_number(&self) -> Result<u64> {
        let number = self
            .job_id
            .strip_prefix("job-")
            .and_then(|n| n.parse().ok());
        ensure!(number.is_some(), "{:?} is not job-N", self.job_id);
        Ok(number.unwrap_or_default())
    }

    /// The rows that came inside; empty if none did.
    #[must_use]
    pub fn rows(&self) -> &[Vec<Value>] {
        self.result
            .as_ref()
            .and_then(|r| r.rows.as_deref())
            .unwrap_or_default()
    }
}

/// A page of statements.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct StatementList {
    pub statements: Vec<Statement>,
    pub next: Option<String>,
}

/// A page of rows.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct PageView {
    pub job_id: String,
    pub schema: Vec<SchemaField>,
    pub offset: u64,
    pub row_count: u64,
    pub truncated: bool,
    pub rows: Vec<Vec<Value>>,
    pub next: Option<u64>,
}

/// The node that owns a session.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct OwnerView {
    pub node_id: u64,
    pub http: String,
}

/// How many statements a session has.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct StatementCounts {
    pub queued: u64,
    pub running: u64,
    pub total: u64,
}

/// A statement of a session that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct ActiveStatement {
    pub job_id: String,
    pub pool: String,
    pub state: State,
}

/// A Spark session that was replaced by a new one.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct ResetView {
    pub at: Time,
    pub reason: String,
    pub old_spark_session_id: String,
}

/// One session.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct Session {
    pub session_id: String,
    pub state: String,
    pub mode: String,
    pub user: String,
    pub owner: OwnerView,
    pub epoch: u64,
    pub endpoint: String,
    pub spark_session_id: Option<String>,
    pub app_id: Option<String>,
    pub spark_version: Option<String>,
    pub spark_ui_url: Option<String>,
    pub conf: serde_json::Map<String, Value>,
    pub created_at: Time,
    pub last_activity: Time,
    pub statements: StatementCounts,
    pub active_statements: Vec<ActiveStatement>,
    pub resets: Vec<ResetView>,
    pub error: Option<Value>,
}

/// A page of sessions.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct SessionList {
    pub sessions: Vec<Session>,
    pub total: u64,
    pub next: Option<String>,
}

/// One pool. What a pool says beyond the contract is kept in `more`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct PoolView {
    pub name: String,
    pub weight: u64,
    pub min_share: u64,
    pub scheduling_mode: String,
    pub max_running: Option<u64>,
    #[serde(flatten)]
    pub more: serde_json::Map<String, Value>,
}

/// All pools.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct PoolList {
    pub pools: Vec<PoolView>,
}

/// One node of the cluster.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct NodeView {
    pub node_id: u64,
    pub http: String,
    pub grpc: String,
    pub role: String,
    pub state: String,
    pub sessions: u64,
    pub last_seen: Option<Time>,
}

/// The cluster.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct ClusterView {
    pub cluster_name: String,
    pub leader: Option<u64>,
    pub term: u64,
    pub nodes: Vec<NodeView>,
}

/// One field that was refused.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct FieldError {
    pub field: String,
    pub value: Option<Value>,
    pub allowed: Option<Value>,
}

/// An RFC 9457 problem, which may carry members that its reader does not know.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct Problem {
    #[serde(rename = "type")]
    pub urn: String,
    pub code: String,
    pub title: String,
    pub status: u16,
    pub detail: Option<String>,
    pub instance: Option<String>,
    pub errors: Option<Vec<FieldError>>,
    pub outcome: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_must_be_utc_with_a_fraction() {
        for (text, good) in [
            ("\"2026-01-02T03:04:05.006Z\"", true),
            ("\"2026-01-02T03:04:05Z\"", false),
            ("\"2026-01-02T03:04:05.006+00:00\"", false),
            ("\"now\"", false),
            ("7", false),
        ] {
            assert_eq!(serde_json::from_str::<Time>(text).is_ok(), good, "{text}");
        }
    }

    #[test]
    fn a_field_beyond_the_contract_is_an_error() {
        let text = r#"{"completedTasks": 1, "totalTasks": 2, "failedTasks": 0}"#;
        let error = serde_json::from_str::<ProgressView>(text).unwrap_err();
        assert!(error.to_string().contains("failedTasks"), "{error}");
    }
}

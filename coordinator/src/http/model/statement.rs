//! A statement, as the API shows it.

use libra_proto::registry::{QueryContext, StatementError, StatementRecord, StatementState};
use libra_proto::types::{JobId, NodeId};
use serde::Serialize;

use super::{ResultView, Timestamp};
use crate::live::LiveSigns;

/// A statement.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Statement)]
pub struct StatementView {
    /// Unique in the cluster, in order of acceptance.
    #[schema(example = "job-17")]
    pub job_id: String,
    /// Its session.
    #[schema(example = "default")]
    pub session_id: String,
    /// The Spark session it was accepted for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spark_session_id: Option<String>,
    /// Always `sql`.
    #[schema(example = "sql")]
    pub kind: String,
    /// Its pool.
    #[schema(example = "default")]
    pub pool: String,
    /// Who sent it.
    #[schema(example = "anonymous")]
    pub user: String,
    /// `queued`, `running`, `succeeded`, `failed` or `cancelled`; only moves forward.
    #[schema(example = "succeeded")]
    pub state: &'static str,
    /// Whether the connection to Spark is lost and being sought.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reconnecting: Option<bool>,
    /// Its text.
    #[schema(example = "SELECT 1")]
    pub code: String,
    /// What its sender wrote about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The coordinator that runs it, or ran it.
    #[schema(example = 1)]
    pub owner_node_id: u64,
    /// The id of the operation in Spark.
    pub operation_id: String,
    /// When it was accepted.
    pub submitted_at: Timestamp,
    /// When it was given a slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// When its cancellation was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_requested_at: Option<Timestamp>,
    /// Milliseconds from acceptance to start (or to the end, if it never started).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_time_ms: Option<u64>,
    /// Milliseconds from start to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_time_ms: Option<u64>,
    /// How far it is, while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<ProgressView>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorView>,
    /// What it gave.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultView>,
}

/// How far a running statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Progress)]
pub struct ProgressView {
    /// Spark tasks done.
    pub completed_tasks: u64,
    /// Spark tasks known so far.
    pub total_tasks: u64,
}

/// Why a statement, or a session, failed: Spark's words, or a class of Libra's own (`LIBRA_…`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Error)]
pub struct ErrorView {
    /// The error class.
    #[schema(example = "TABLE_OR_VIEW_NOT_FOUND")]
    pub error_class: String,
    /// The SQLSTATE.
    #[schema(example = "42P01")]
    pub sql_state: String,
    /// The message.
    pub message: String,
    /// Where in the text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub query_context: Vec<QueryContextView>,
}

/// Where in the text an error is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = QueryContext)]
pub struct QueryContextView {
    /// What kind of object the text belongs to, such as a view.
    pub object_type: String,
    /// Its name.
    pub object_name: String,
    /// The first character, from 0.
    pub start_index: i32,
    /// The last character.
    pub stop_index: i32,
    /// The text between them.
    pub fragment: String,
    /// Where a program called, for statements that came from one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub call_site: String,
    /// All of it, readable.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub summary: String,
}

/// A list of statements, newest first, without rows.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct StatementList {
    /// The statements.
    pub statements: Vec<StatementView>,
    /// The `after` with which the list goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "job-17")]
    pub next: Option<String>,
}

impl StatementView {
    /// The statement as the registry has it, with its live signs; its result is put in by the
    /// caller. `owner` is the present owner of its session.
    #[must_use]
    pub fn of(record: &StatementRecord, owner: NodeId, live: LiveSigns) -> Self {
        let state = record.state();
        let running = state == StatementState::Running;
        let owner_node_id = match record.ended_on_node {
            0 => owner.0,
            ended_on => ended_on,
        };
        Self {
            job_id: JobId(record.job).to_string(),
            session_id: record.session_id.clone(),
            spark_session_id: non_empty(&record.spark_session_id),
            kind: record.kind.clone(),
            pool: record.pool.clone(),
            user: record.user.clone(),
            state: state.label(),
            reconnecting: (running && live.reconnecting).then_some(true),
            code: record.code.clone(),
            description: record.description.clone(),
            owner_node_id,
            operation_id: record.operation_id.clone(),
            submitted_at: Timestamp::at(record.submitted_at_ms),
            started_at: Timestamp::of(record.started_at_ms),
            completed_at: Timestamp::of(record.completed_at_ms),
            cancel_requested_at: Timestamp::of(record.cancel_requested_at_ms),
            queue_time_ms: queue_time(record),
            execution_time_ms: between(record.started_at_ms, record.completed_at_ms),
            progress: live.progress.filter(|_| running).map(|p| ProgressView {
                completed_tasks: p.completed_tasks,
                total_tasks: p.total_tasks,
            }),
            error: record.error.as_ref().map(ErrorView::of),
            result: None,
        }
    }
}

impl ErrorView {
    /// The error as the registry has it.
    #[must_use]
    pub fn of(error: &StatementError) -> Self {
        Self {
            error_class: error.error_class.clone(),
            sql_state: error.sql_state.clone(),
            message: error.message.clone(),
            query_context: error
                .query_context
                .iter()
                .map(QueryContextView::of)
                .collect(),
        }
    }
}

impl QueryContextView {
    fn of(context: &QueryContext) -> Self {
        Self {
            object_type: context.object_type.clone(),
            object_name: context.object_name.clone(),
            start_index: context.start_index,
            stop_index: context.stop_index,
            fragment: context.fragment.clone(),
            call_site: context.call_site.clone(),
            summary: context.summary.clone(),
        }
    }
}

fn queue_time(record: &StatementRecord) -> Option<u64> {
    between(record.submitted_at_ms, record.started_at_ms)
        .or_else(|| between(record.submitted_at_ms, record.completed_at_ms))
}

fn between(from_ms: u64, to_ms: u64) -> Option<u64> {
    (from_ms != 0 && to_ms != 0).then(|| to_ms.saturating_sub(from_ms))
}

pub(super) fn non_empty(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::live::Progress;

    fn fields(record: &StatementRecord, live: LiveSigns) -> BTreeSet<String> {
        let view = serde_json::to_value(StatementView::of(record, NodeId(3), live)).unwrap();
        view.as_object().unwrap().keys().cloned().collect()
    }

    fn record(state: StatementState) -> StatementRecord {
        StatementRecord {
            job: 17,
            session_id: "default".to_owned(),
            kind: "sql".to_owned(),
            state: state.into(),
            submitted_at_ms: 1_000,
            ..StatementRecord::default()
        }
    }

    const ALWAYS: [&str; 10] = [
        "jobId",
        "sessionId",
        "kind",
        "pool",
        "user",
        "state",
        "code",
        "ownerNodeId",
        "operationId",
        "submittedAt",
    ];

    #[test]
    fn a_new_statement_has_the_fields_that_are_always_there() {
        let queued = record(StatementState::Queued);
        let expected = ALWAYS.iter().map(|f| (*f).to_owned()).collect();
        assert_eq!(fields(&queued, LiveSigns::default()), expected);
    }

    #[test]
    fn a_full_statement_has_all_fields_of_the_contract() {
        let full = StatementRecord {
            spark_session_id: "s".to_owned(),
            description: Some("d".to_owned()),
            started_at_ms: 3_000,
            completed_at_ms: 7_000,
            cancel_requested_at_ms: 6_000,
            error: Some(StatementError::default()),
            ..record(StatementState::Running)
        };
        let live = LiveSigns {
            progress: Some(Progress {
                completed_tasks: 1,
                total_tasks: 2,
            }),
            reconnecting: true,
        };
        let optional = [
            "sparkSessionId",
            "reconnecting",
            "description",
            "startedAt",
            "completedAt",
            "cancelRequestedAt",
            "queueTimeMs",
            "executionTimeMs",
            "progress",
            "error",
        ];
        let expected = ALWAYS
            .iter()
            .chain(&optional)
            .map(|f| (*f).to_owned())
            .collect();
        assert_eq!(fields(&full, live), expected);
        let view = StatementView::of(&full, NodeId(3), live);
        assert_eq!(
            (view.queue_time_ms, view.execution_time_ms),
            (Some(2_000), Some(4_000))
        );
    }

    #[test]
    fn live_signs_are_shown_only_while_it_runs() {
        let live = LiveSigns {
            progress: Some(Progress {
                completed_tasks: 1,
                total_tasks: 2,
            }),
            reconnecting: true,
        };
        let ended = StatementView::of(&record(StatementState::Succeeded), NodeId(3), live);
        assert!(ended.progress.is_none() && ended.reconnecting.is_none());
    }

    #[test]
    fn an_ended_statement_keeps_the_node_that_ran_it() {
        let mut ended = record(StatementState::Failed);
        assert_eq!(
            StatementView::of(&ended, NodeId(3), LiveSigns::default()).owner_node_id,
            3
        );
        ended.ended_on_node = 2;
        assert_eq!(
            StatementView::of(&ended, NodeId(3), LiveSigns::default()).owner_node_id,
            2
        );
    }
}

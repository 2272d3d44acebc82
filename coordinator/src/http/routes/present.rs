//! Snapshots of the service in the form of the API.

use libra_proto::types::JobId;

use crate::http::Api;
use crate::http::extract::Query;
use crate::http::model::{
    ColumnView, ResultView, Rows, SessionView, StatementCountsView, StatementView,
};
use crate::http::problem::Problem;
use crate::results::{Column, RenderOptions};
use crate::service::{Service, ServiceError, SessionSnapshot, StatementSnapshot, unreadable};

/// How many rows a statement shows, and how.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowsWanted {
    pub(super) rows: u64,
    pub(super) options: RenderOptions,
}

impl RowsWanted {
    /// Reads `rows` and `bigint`.
    pub(super) fn read(query: &mut Query) -> Self {
        Self {
            rows: query.number("rows", &(0..=1000), 1000),
            options: render_options(query),
        }
    }
}

/// Reads `bigint`.
pub(super) fn render_options(query: &mut Query) -> RenderOptions {
    let choice = query.choice("bigint", &[("number", false), ("string", true)]);
    RenderOptions {
        bigint_as_string: choice.unwrap_or_default(),
    }
}

pub(super) fn session(snapshot: &SessionSnapshot) -> SessionView {
    let counts = StatementCountsView {
        queued: snapshot.counts.queued,
        running: snapshot.counts.running,
        total: snapshot.counts.total,
    };
    let active = snapshot.active.iter().map(AsRef::as_ref);
    SessionView::of(
        &snapshot.record,
        snapshot.owner_http.clone(),
        counts,
        active,
    )
}

/// A statement without rows.
pub(super) fn statement(snapshot: &StatementSnapshot) -> Result<StatementView, Problem> {
    let mut view = StatementView::of(&snapshot.record, snapshot.owner, snapshot.live);
    view.result = snapshot.result_summary()?.map(|summary| ResultView {
        schema: columns(&summary.schema),
        row_count: summary.row_count,
        truncated: summary.truncated,
        rows: None,
        next: None,
    });
    Ok(view)
}

/// A statement with its first rows, if it has a result.
pub(super) async fn statement_with_rows(
    api: &Api,
    snapshot: &StatementSnapshot,
    wanted: RowsWanted,
) -> Result<StatementView, Problem> {
    let mut view = statement(snapshot)?;
    if let Some(result) = &mut view.result {
        let (rows, next) = first_rows(api.service(), snapshot, wanted).await?;
        result.rows = Some(rows);
        result.next = next;
    }
    Ok(view)
}

async fn first_rows(
    service: &Service,
    snapshot: &StatementSnapshot,
    wanted: RowsWanted,
) -> Result<(Rows, Option<u64>), ServiceError> {
    let stored = snapshot.record.result.as_ref().map_or(0, |m| m.rows);
    if wanted.rows == 0 || stored == 0 {
        // No need to touch the file: a lost one does not hide the statement.
        return Ok((no_rows()?, (stored > 0).then_some(0)));
    }
    let opened = match service.open_result(snapshot).await {
        // What is lost for good does not hide the statement either.
        Err(ServiceError::ResultLost { .. }) => return Ok((no_rows()?, Some(0))),
        opened => opened?,
    };
    let Some(reader) = opened.reader else {
        return Ok((no_rows()?, None));
    };
    let page = reader.page(0, wanted.rows, wanted.options).await;
    let page = page.map_err(|error| unreadable(opened.job, error))?;
    Ok((Rows(page.rows), page.next))
}

pub(super) fn no_rows() -> Result<Rows, ServiceError> {
    let rows = serde_json::value::RawValue::from_string("[]".to_owned());
    rows.map(Rows).map_err(|error| ServiceError::Internal {
        cause: error.to_string(),
    })
}

pub(super) fn columns(schema: &[Column]) -> Vec<ColumnView> {
    let column = |column: &Column| ColumnView {
        name: column.name.clone(),
        kind: column.kind.clone(),
        nullable: column.nullable,
    };
    schema.iter().map(column).collect()
}

/// Where a statement is found.
pub(super) fn location(session_id: &str, job: JobId) -> String {
    format!("/api/v1/sessions/{session_id}/statements/{job}")
}

//! Statements.

use chrono::{DateTime, Utc};
use libra_proto::admin::{ListStatementsResponse, Statement, StatementError, StatementResult};
use serde::Serialize;

use super::super::output::{Block, Cell, Column, Grid, Page, Shown, Time, Tone, age};
use super::words::{statement_state, toned, work_tone};
use super::{bytes, count, known, said};

/// `libra admin statements list`.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli::admin) struct StatementsView {
    /// Newest first.
    statements: Vec<StatementView>,
    /// Whether there are more than are shown.
    more: bool,
}

/// `libra admin statements show`.
#[derive(Debug, Clone, Serialize)]
#[serde(transparent)]
pub(in crate::cli::admin) struct OneStatement(StatementView);

/// One statement.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StatementView {
    job_id: String,
    session_id: String,
    user: String,
    pool: String,
    /// `queued`, `running`, `succeeded`, `failed`, `cancelled`.
    state: &'static str,
    /// Its owner tries to reach Spark again.
    reconnecting: bool,
    kind: String,
    code: String,
    /// Whether `code` is only the beginning, as in lists.
    code_cut: bool,
    description: Option<String>,
    owner_node: Option<u64>,
    endpoint: Option<String>,
    operation_id: Option<String>,
    spark_session_id: Option<String>,
    submitted_at: Option<Time>,
    started_at: Option<Time>,
    completed_at: Option<Time>,
    cancel_requested_at: Option<Time>,
    timed_out_at: Option<Time>,
    /// Counted from acceptance.
    timeout_ms: Option<u64>,
    error: Option<ErrorView>,
    result: Option<ResultView>,
}

/// Why it failed.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ErrorView {
    error_class: String,
    sql_state: Option<String>,
    message: String,
}

/// What it gave.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResultView {
    row_count: u64,
    /// Of Arrow.
    bytes: u64,
    /// Whether it was cut at a limit.
    truncated: bool,
    /// The nodes that hold it; none = it is lost.
    holders: Vec<u64>,
}

impl StatementsView {
    /// Takes a page of the list in.
    pub(in crate::cli::admin) fn extend(&mut self, page: ListStatementsResponse) {
        self.more = !page.next.is_empty();
        self.statements
            .extend(page.statements.into_iter().map(StatementView::from));
    }

    pub(in crate::cli::admin) fn len(&self) -> usize {
        self.statements.len()
    }
}

impl From<Statement> for OneStatement {
    fn from(statement: Statement) -> Self {
        Self(statement.into())
    }
}

impl From<Statement> for StatementView {
    fn from(statement: Statement) -> Self {
        Self {
            state: statement_state(statement.state()),
            job_id: statement.job_id,
            session_id: statement.session_id,
            user: statement.user,
            pool: statement.pool,
            reconnecting: statement.reconnecting,
            kind: statement.kind,
            code: statement.code,
            code_cut: statement.code_cut,
            description: said(statement.description),
            owner_node: known(statement.owner_node),
            endpoint: said(statement.endpoint),
            operation_id: said(statement.operation_id),
            spark_session_id: said(statement.spark_session_id),
            submitted_at: Time::of_millis(statement.submitted_at_ms),
            started_at: Time::of_millis(statement.started_at_ms),
            completed_at: Time::of_millis(statement.completed_at_ms),
            cancel_requested_at: Time::of_millis(statement.cancel_requested_at_ms),
            timed_out_at: Time::of_millis(statement.timed_out_at_ms),
            timeout_ms: known(statement.timeout_ms),
            error: statement.error.map(ErrorView::from),
            result: statement.result.map(ResultView::from),
        }
    }
}

impl From<StatementError> for ErrorView {
    fn from(error: StatementError) -> Self {
        Self {
            error_class: error.error_class,
            sql_state: said(error.sql_state),
            message: error.message,
        }
    }
}

impl From<StatementResult> for ResultView {
    fn from(result: StatementResult) -> Self {
        Self {
            row_count: result.rows,
            bytes: result.bytes,
            truncated: result.truncated,
            holders: result.holders,
        }
    }
}

impl ErrorView {
    /// Spark's messages begin with their class.
    pub(super) fn text(&self) -> String {
        if self.message.contains(&self.error_class) {
            self.message.clone()
        } else {
            format!("[{}] {}", self.error_class, self.message)
        }
    }
}

impl StatementView {
    fn shown_state(&self) -> Cell {
        match self.state {
            "running" | "queued" if self.cancel_requested_at.is_some() => {
                toned("cancelling", Tone::Warn)
            }
            "running" if self.reconnecting => toned("reconnecting", Tone::Warn),
            state => toned(state, work_tone(state)),
        }
    }

    /// How long it waited before it started or ended, or has waited.
    fn waited(&self, now: DateTime<Utc>) -> String {
        let until = self.started_at.or(self.completed_at);
        age(self.submitted_at, until.map_or(now, Time::at))
    }

    /// How long it ran, or has run.
    fn ran(&self, now: DateTime<Utc>) -> String {
        age(self.started_at, self.completed_at.map_or(now, Time::at))
    }
}

impl Shown for StatementsView {
    fn page(&self, now: DateTime<Utc>) -> Page {
        let page = Page::grid(statements(&self.statements, now));
        if self.more {
            page.and(Block::Line(
                "there are more; --limit 0 shows all".to_owned(),
            ))
        } else {
            page
        }
    }
}

pub(super) fn statements(statements: &[StatementView], now: DateTime<Utc>) -> Grid {
    let row = |statement: &StatementView| {
        vec![
            Cell::new(&statement.job_id),
            statement.shown_state(),
            Cell::new(statement.waited(now)),
            Cell::new(statement.ran(now)),
            Cell::new(&statement.pool),
            Cell::new(&statement.session_id),
            Cell::new(&statement.user),
            Cell::new(&statement.code),
        ]
    };
    Grid {
        columns: const {
            &[
                Column::key("JOB"),
                Column::key("STATE"),
                Column::number("WAITED"),
                Column::number("RAN"),
                Column::text("POOL"),
                Column::text("SESSION"),
                Column::text("USER").optional(),
                Column::text("CODE"),
            ]
        },
        rows: statements.iter().map(row).collect(),
        none: "no statements",
    }
}

impl Shown for OneStatement {
    fn page(&self, now: DateTime<Utc>) -> Page {
        let it = &self.0;
        let owner = it.owner_node.map(|node| format!("node {node}"));
        let mut facts = vec![
            ("statement", Cell::new(&it.job_id)),
            ("state", it.shown_state()),
            ("session", Cell::new(&it.session_id)),
            ("pool", Cell::new(&it.pool)),
            ("user", Cell::new(&it.user)),
            ("owner", Cell::of(owner)),
            ("waited", Cell::new(it.waited(now))),
            ("ran", Cell::new(it.ran(now))),
        ];
        let mut also = |name, value: Option<String>| {
            facts.extend(value.map(|value| (name, Cell::new(value))));
        };
        also("submitted", it.submitted_at.map(Time::text));
        also("started", it.started_at.map(Time::text));
        also("cancel asked for", it.cancel_requested_at.map(Time::text));
        also("timed out", it.timed_out_at.map(Time::text));
        also("completed", it.completed_at.map(Time::text));
        also(
            "timeout",
            it.timeout_ms.map(|ms| format!("{} s", ms / 1_000)),
        );
        also("endpoint", it.endpoint.clone());
        also("operation", it.operation_id.clone());
        also("spark session", it.spark_session_id.clone());
        also("description", it.description.clone());
        also("result", it.result.as_ref().map(ResultView::text));
        also("error", it.error.as_ref().map(ErrorView::text));
        Page::facts(facts).and(Block::Line(it.code.trim_end().to_owned()))
    }
}

impl ResultView {
    fn text(&self) -> String {
        let nodes: Vec<String> = self.holders.iter().map(ToString::to_string).collect();
        let holders = if nodes.is_empty() {
            "lost: no node holds it".to_owned()
        } else {
            format!("on nodes {}", nodes.join(", "))
        };
        let cut = if self.truncated {
            ", cut at a limit"
        } else {
            ""
        };
        format!(
            "{}, {}{cut}, {holders}",
            count(self.row_count, "row"),
            bytes(self.bytes)
        )
    }
}

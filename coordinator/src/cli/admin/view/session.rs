//! Sessions.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use libra_proto::admin::{GetSessionResponse, ListSessionsResponse, Session, SessionReset};
use serde::Serialize;

use super::super::output::{Block, Cell, Column, Grid, Page, Shown, Time, age};
use super::statement::{ErrorView, StatementView, statements};
use super::words::{session_state, toned, work_tone};
use super::{known, said};

/// `libra admin sessions list`.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli::admin) struct SessionsView {
    sessions: Vec<OneSession>,
    /// How many fit, shown or not.
    total: u64,
}

/// `libra admin sessions show`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli::admin) struct SessionAndStatements {
    pub(in crate::cli::admin) session: OneSession,
    /// Those that have not ended, in order of acceptance, at most 100.
    active_statements: Vec<StatementView>,
}

/// One session.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli::admin) struct OneSession {
    pub(in crate::cli::admin) session_id: String,
    /// `starting`, `idle`, `busy`, `closing`, `closed`, `failed`.
    pub(in crate::cli::admin) state: &'static str,
    /// `SHARED` or `ISOLATED`.
    mode: String,
    user: String,
    pub(in crate::cli::admin) owner_node: u64,
    /// Rises with every change of owner.
    pub(in crate::cli::admin) epoch: u64,
    /// The Spark Connect endpoint, `sc://host:port`.
    endpoint: String,
    spark_session_id: Option<String>,
    app_id: Option<String>,
    spark_version: Option<String>,
    spark_ui_url: Option<String>,
    /// Secrets are not shown.
    conf: BTreeMap<String, String>,
    created_at: Option<Time>,
    last_activity: Option<Time>,
    closed_at: Option<Time>,
    /// None = never.
    idle_timeout_ms: Option<u64>,
    pub(in crate::cli::admin) queued: u64,
    pub(in crate::cli::admin) running: u64,
    /// All statements that it ever had.
    total: u64,
    /// Losses of the session in Spark.
    resets: Vec<ResetView>,
    error: Option<ErrorView>,
    close_reason: Option<String>,
}

/// A loss of the session in Spark.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ResetView {
    at: Option<Time>,
    reason: String,
    old_spark_session_id: Option<String>,
}

impl SessionsView {
    /// Takes a page of the list in.
    pub(in crate::cli::admin) fn extend(&mut self, page: ListSessionsResponse) {
        self.total = page.total;
        self.sessions
            .extend(page.sessions.into_iter().map(OneSession::from));
    }

    pub(in crate::cli::admin) fn len(&self) -> usize {
        self.sessions.len()
    }
}

impl SessionAndStatements {
    /// None if the answer holds no session.
    pub(in crate::cli::admin) fn of(answer: GetSessionResponse) -> Option<Self> {
        let active = answer.active_statements.into_iter();
        Some(Self {
            session: answer.session?.into(),
            active_statements: active.map(StatementView::from).collect(),
        })
    }
}

impl From<Session> for OneSession {
    fn from(session: Session) -> Self {
        Self {
            state: session_state(session.state()),
            session_id: session.session_id,
            mode: session.mode,
            user: session.user,
            owner_node: session.owner_node,
            epoch: session.epoch,
            endpoint: session.endpoint,
            spark_session_id: said(session.spark_session_id),
            app_id: said(session.app_id),
            spark_version: said(session.spark_version),
            spark_ui_url: said(session.spark_ui_url),
            conf: session.conf.into_iter().collect(),
            created_at: Time::of_millis(session.created_at_ms),
            last_activity: Time::of_millis(session.last_activity_ms),
            closed_at: Time::of_millis(session.closed_at_ms),
            idle_timeout_ms: known(session.idle_timeout_ms),
            queued: session.queued,
            running: session.running,
            total: session.total,
            resets: session.resets.into_iter().map(ResetView::from).collect(),
            error: session.error.map(ErrorView::from),
            close_reason: said(session.close_reason),
        }
    }
}

impl From<SessionReset> for ResetView {
    fn from(reset: SessionReset) -> Self {
        Self {
            at: Time::of_millis(reset.at_ms),
            reason: reset.reason,
            old_spark_session_id: said(reset.old_spark_session_id),
        }
    }
}

impl Shown for SessionsView {
    fn page(&self, now: DateTime<Utc>) -> Page {
        let row = |session: &OneSession| {
            vec![
                Cell::new(&session.session_id),
                toned(session.state, work_tone(session.state)),
                Cell::new(session.owner_node),
                Cell::new(session.epoch),
                Cell::new(session.running),
                Cell::new(session.queued),
                Cell::new(session.total),
                Cell::new(age(session.last_activity, now)),
                Cell::new(&session.user),
                Cell::new(&session.endpoint),
            ]
        };
        let page = Page::grid(Grid {
            columns: const {
                &[
                    Column::key("SESSION"),
                    Column::key("STATE"),
                    Column::number("NODE"),
                    Column::number("EPOCH"),
                    Column::number("RUNNING"),
                    Column::number("QUEUED"),
                    Column::number("TOTAL").optional(),
                    Column::number("ACTIVE AGO"),
                    Column::text("USER").optional(),
                    Column::text("ENDPOINT").optional(),
                ]
            },
            rows: self.sessions.iter().map(row).collect(),
            none: "no sessions",
        });
        let shown = self.sessions.len();
        if u64::try_from(shown).is_ok_and(|shown| shown < self.total) {
            let total = self.total;
            page.and(Block::Line(format!(
                "{shown} of {total} sessions; --limit 0 shows all"
            )))
        } else {
            page
        }
    }
}

impl OneSession {
    pub(super) fn facts(&self, now: DateTime<Utc>) -> Vec<(&'static str, Cell)> {
        let ago = |time: Option<Time>| {
            Cell::of(time.map(|at| format!("{} ago, {}", age(time, now), at.text())))
        };
        let idle = self
            .idle_timeout_ms
            .map(|ms| format!("{} min", ms / 60_000));
        let statements = format!(
            "{} running, {} queued, {} in all",
            self.running, self.queued, self.total
        );
        let mut facts = vec![
            ("session", Cell::new(&self.session_id)),
            ("state", toned(self.state, work_tone(self.state))),
            ("mode", Cell::new(&self.mode)),
            ("user", Cell::new(&self.user)),
            (
                "owner",
                Cell::new(format!("node {}, epoch {}", self.owner_node, self.epoch)),
            ),
            ("endpoint", Cell::new(&self.endpoint)),
            ("statements", Cell::new(statements)),
            ("created", ago(self.created_at)),
            ("active", ago(self.last_activity)),
            (
                "idle timeout",
                Cell::new(idle.unwrap_or_else(|| "never".to_owned())),
            ),
        ];
        let mut also = |name, value: Option<String>| {
            facts.extend(value.map(|value| (name, Cell::new(value))));
        };
        also("spark session", self.spark_session_id.clone());
        also("spark version", self.spark_version.clone());
        also("application", self.app_id.clone());
        also("spark UI", self.spark_ui_url.clone());
        also("closed", self.closed_at.map(Time::text));
        also("close reason", self.close_reason.clone());
        also("error", self.error.as_ref().map(ErrorView::text));
        for reset in &self.resets {
            let at = reset.at.map(Time::text).unwrap_or_default();
            also("reset", Some(format!("{at} {}", reset.reason)));
        }
        for (key, value) in &self.conf {
            also("conf", Some(format!("{key} = {value}")));
        }
        facts
    }
}

impl Shown for SessionAndStatements {
    fn page(&self, now: DateTime<Utc>) -> Page {
        let page = Page::facts(self.session.facts(now));
        if self.active_statements.is_empty() {
            return page;
        }
        page.and(Block::Grid(statements(&self.active_statements, now)))
    }
}

//! A session, as the API shows it.

use std::collections::BTreeMap;

use libra_proto::registry::{Mode, SessionRecord, SessionState, StatementRecord};
use libra_proto::types::JobId;
use serde::Serialize;

use super::statement::non_empty;
use super::{ErrorView, Timestamp};

/// How many active statements a session shows.
pub(crate) const MAX_ACTIVE_SHOWN: usize = 100;

/// A session.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Session)]
pub struct SessionView {
    /// Its id.
    #[schema(example = "user-alice")]
    pub session_id: String,
    /// `starting`, `idle`, `busy`, `closing`, `closed` or `failed`.
    #[schema(example = "idle")]
    pub state: &'static str,
    /// `SHARED` or `ISOLATED`.
    #[schema(example = "SHARED")]
    pub mode: &'static str,
    /// Who made it.
    #[schema(example = "anonymous")]
    pub user: String,
    /// The coordinator that runs it.
    pub owner: OwnerView,
    /// Rises with every change of owner and every reopening.
    pub epoch: u64,
    /// Its Spark Connect server.
    #[schema(example = "sc://127.0.0.1:15002")]
    pub endpoint: String,
    /// Its session in Spark.
    pub spark_session_id: String,
    /// The Spark application.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// Spark's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "4.3.0")]
    pub spark_version: Option<String>,
    /// Spark's own pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spark_ui_url: Option<String>,
    /// Its configuration; secrets are not shown.
    pub conf: BTreeMap<String, String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When something last happened in it.
    pub last_activity: Timestamp,
    /// How many statements it has.
    pub statements: StatementCountsView,
    /// Those that have not ended, at most 100, in order of acceptance.
    pub active_statements: Vec<ActiveStatement>,
    /// When it had to be given a new Spark session.
    pub resets: Vec<ResetView>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorView>,
}

/// The coordinator that runs a session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Owner)]
pub struct OwnerView {
    /// Its id.
    #[schema(example = 1)]
    pub node_id: u64,
    /// Its REST address.
    #[schema(example = "127.0.0.1:8080")]
    pub http: String,
}

/// How many statements a session has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[schema(as = StatementCounts)]
pub struct StatementCountsView {
    /// Waiting for a slot.
    pub queued: u64,
    /// Running.
    pub running: u64,
    /// All that it ever had.
    pub total: u64,
}

/// A statement that has not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ActiveStatement {
    /// Its id.
    #[schema(example = "job-17")]
    pub job_id: String,
    /// Its pool.
    pub pool: String,
    /// `queued` or `running`.
    #[schema(example = "running")]
    pub state: &'static str,
}

/// One loss of the Spark session.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Reset)]
pub struct ResetView {
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
    /// The session in Spark that was lost.
    pub old_spark_session_id: String,
}

/// A list of sessions, by id.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct SessionList {
    /// The sessions.
    pub sessions: Vec<SessionView>,
    /// How many there are on all pages.
    pub total: u64,
    /// The `after` with which the list goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

impl SessionView {
    /// The session as the registry has it. `owner_http` is the owner's address, `active` its
    /// statements that have not ended, in order of acceptance.
    #[must_use]
    pub fn of<'a>(
        record: &SessionRecord,
        owner_http: String,
        counts: StatementCountsView,
        active: impl IntoIterator<Item = &'a StatementRecord>,
    ) -> Self {
        let incarnation = record.incarnation.clone().unwrap_or_default();
        let busy = counts.queued + counts.running > 0;
        Self {
            session_id: record.session_id.clone(),
            state: state_label(record.state(), busy),
            mode: mode_label(record.mode()),
            user: record.user.clone(),
            owner: OwnerView {
                node_id: record.owner_node,
                http: owner_http,
            },
            epoch: record.epoch,
            endpoint: record.endpoint.clone(),
            spark_session_id: record.spark_session_id.clone(),
            app_id: non_empty(&incarnation.app_id),
            spark_version: non_empty(&incarnation.spark_version),
            spark_ui_url: non_empty(&incarnation.spark_ui_url),
            conf: shown_conf(&record.conf),
            created_at: Timestamp::at(record.created_at_ms),
            last_activity: Timestamp::at(record.last_activity_ms),
            statements: counts,
            active_statements: active
                .into_iter()
                .take(MAX_ACTIVE_SHOWN)
                .map(ActiveStatement::of)
                .collect(),
            resets: record.resets.iter().map(ResetView::of).collect(),
            error: record.error.as_ref().map(ErrorView::of),
        }
    }
}

impl ActiveStatement {
    fn of(record: &StatementRecord) -> Self {
        Self {
            job_id: JobId(record.job).to_string(),
            pool: record.pool.clone(),
            state: record.state().label(),
        }
    }
}

impl ResetView {
    fn of(reset: &libra_proto::registry::SessionReset) -> Self {
        Self {
            at: Timestamp::at(reset.at_ms),
            reason: reset.reason.clone(),
            old_spark_session_id: reset.old_spark_session_id.clone(),
        }
    }
}

fn state_label(state: SessionState, busy: bool) -> &'static str {
    match state {
        SessionState::Unspecified | SessionState::Starting => "starting",
        SessionState::Open if busy => "busy",
        SessionState::Open => "idle",
        SessionState::Closing => "closing",
        SessionState::Closed => "closed",
        SessionState::Failed => "failed",
    }
}

/// As the API names a mode.
pub(crate) fn mode_label(mode: Mode) -> &'static str {
    match mode {
        Mode::Unspecified | Mode::Shared => "SHARED",
        Mode::Isolated => "ISOLATED",
    }
}

// The words by which Spark itself recognises what it must not show (`spark.redaction.regex`).
const SECRET_WORDS: [&str; 5] = ["secret", "password", "token", "access.key", "accesskey"];

/// The conf without its secrets.
pub(crate) fn shown_conf(conf: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let shown = |key: &str, value: &str| {
        let key = key.to_ascii_lowercase();
        if SECRET_WORDS.iter().any(|word| key.contains(word)) {
            "*********(redacted)".to_owned()
        } else {
            value.to_owned()
        }
    };
    conf.iter().map(|(k, v)| (k.clone(), shown(k, v))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use libra_proto::registry::{Incarnation, StatementError, StatementState};

    use super::*;

    fn counts(queued: u64, running: u64) -> StatementCountsView {
        StatementCountsView {
            queued,
            running,
            total: 5_000,
        }
    }

    #[test]
    fn a_full_session_has_all_fields_of_the_contract() {
        let record = SessionRecord {
            session_id: "default".to_owned(),
            incarnation: Some(Incarnation {
                app_id: "a".to_owned(),
                spark_version: "4.3.0".to_owned(),
                spark_ui_url: "u".to_owned(),
                ..Incarnation::default()
            }),
            error: Some(StatementError::default()),
            ..SessionRecord::default()
        };
        let none: [&StatementRecord; 0] = [];
        let view = SessionView::of(&record, String::new(), counts(0, 0), none);
        let json = serde_json::to_value(view).unwrap();
        let fields: BTreeSet<&str> = json
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let contract = "sessionId state mode user owner epoch endpoint sparkSessionId appId \
                        sparkVersion sparkUiUrl conf createdAt lastActivity statements \
                        activeStatements resets error";
        assert_eq!(fields, contract.split_whitespace().collect());
    }

    #[test]
    fn open_sessions_are_idle_or_busy() {
        for (state, queued, running, label) in [
            (SessionState::Starting, 1, 0, "starting"),
            (SessionState::Open, 0, 0, "idle"),
            (SessionState::Open, 1, 0, "busy"),
            (SessionState::Open, 0, 1, "busy"),
            (SessionState::Closing, 0, 1, "closing"),
            (SessionState::Closed, 0, 0, "closed"),
            (SessionState::Failed, 0, 0, "failed"),
        ] {
            let record = SessionRecord {
                state: state.into(),
                ..SessionRecord::default()
            };
            let none: [&StatementRecord; 0] = [];
            let view = SessionView::of(&record, String::new(), counts(queued, running), none);
            assert_eq!(view.state, label);
        }
    }

    #[test]
    fn at_most_a_hundred_active_statements_are_shown() {
        let queued = StatementRecord {
            state: StatementState::Queued.into(),
            ..StatementRecord::default()
        };
        let many = vec![queued; 250];
        let record = SessionRecord::default();
        let view = SessionView::of(&record, String::new(), counts(250, 0), &many);
        assert_eq!(view.active_statements.len(), 100);
        assert_eq!(view.statements.queued, 250);
    }

    #[test]
    fn secrets_are_not_shown() {
        let conf = [
            ("fs.s3a.secret.key", "x"),
            ("spark.sql.ansi.enabled", "true"),
        ];
        let conf = conf.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let shown = shown_conf(&conf);
        assert!(shown["fs.s3a.secret.key"].contains("redacted"));
        assert_eq!(shown["spark.sql.ansi.enabled"], "true");
    }
}

//! What the service answers when it cannot do what was asked.

use std::time::Duration;

use libra_proto::types::JobId;
use thiserror::Error;

use super::ErrorCode;

/// What a field may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Allowed {
    /// In words.
    Text(String),
    /// One of these.
    OneOf(Vec<String>),
}

impl Allowed {
    /// One of a fixed list.
    #[must_use]
    pub fn one_of(values: &[&str]) -> Self {
        Self::OneOf(values.iter().map(|v| (*v).to_owned()).collect())
    }
}

impl From<&str> for Allowed {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Allowed {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// One field, parameter or header that has a wrong value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Its name, with a path inside the body (`conf.spark.sql.shuffle.partitions`).
    pub field: String,
    /// What it held; long values are cut.
    pub value: String,
    /// What it may hold.
    pub allowed: Allowed,
}

const SHOWN_VALUE_CHARS: usize = 120;

impl FieldError {
    /// A wrong value of a field.
    pub fn new(
        field: impl Into<String>,
        value: impl Into<String>,
        allowed: impl Into<Allowed>,
    ) -> Self {
        let value: String = value.into();
        let shown = match value.char_indices().nth(SHOWN_VALUE_CHARS) {
            Some((end, _)) => format!("{}…", &value[..end]),
            None => value,
        };
        Self {
            field: field.into(),
            value: shown,
            allowed: allowed.into(),
        }
    }
}

/// A limit that was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit {
    /// `libra.session.max-sessions`, in the whole cluster.
    Sessions,
    /// `libra.scheduler.max-queued`, per pool.
    Queued,
    /// `libra.limits.queued-bytes`, all queued statement texts.
    QueuedBytes,
    /// `libra.limits.statements-per-session`, queued and running.
    ActivePerSession,
    /// `libra.limits.statements-per-user`, queued and running.
    ActivePerUser,
    /// Requests at once on this node.
    Requests,
    /// Open streams at once on this node.
    Streams,
}

impl Limit {
    /// The setting that the limit comes from.
    #[must_use]
    pub fn setting(self) -> &'static str {
        match self {
            Self::Sessions => "libra.session.max-sessions",
            Self::Queued => "libra.scheduler.max-queued",
            Self::QueuedBytes => "libra.limits.queued-bytes",
            Self::ActivePerSession => "libra.limits.statements-per-session",
            Self::ActivePerUser => "libra.limits.statements-per-user",
            Self::Requests => "libra.limits.concurrent-requests",
            Self::Streams => "libra.limits.open-streams",
        }
    }
}

/// Why a request came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ServiceError {
    /// Values that are not allowed, each with what is.
    #[error("{}", describe(errors))]
    Invalid {
        /// At least one.
        errors: Vec<FieldError>,
    },
    /// The statement's text is longer than allowed.
    #[error("`code` has {bytes} bytes, at most {limit} are allowed")]
    CodeTooLarge {
        /// Its length.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// No such session.
    #[error("there is no session `{session_id}`")]
    UnknownSession {
        /// The id asked for.
        session_id: String,
    },
    /// No such statement, or not in that session.
    #[error("there is no statement `{job}`{}", in_session(session_id.as_deref()))]
    UnknownStatement {
        /// The id asked for.
        job: JobId,
        /// The session it was looked for in, if in one.
        session_id: Option<String>,
    },
    /// No such pool.
    #[error("there is no pool `{pool}`")]
    UnknownPool {
        /// The name asked for.
        pool: String,
    },
    /// The session id is in use.
    #[error("there is a session `{session_id}` already")]
    SessionTaken {
        /// The id.
        session_id: String,
    },
    /// The session takes no statements any more.
    #[error("session `{session_id}` is closing or closed")]
    SessionClosed {
        /// The id.
        session_id: String,
    },
    /// The session was given up.
    #[error("session `{session_id}` has failed: its `error` says why")]
    SessionFailed {
        /// The id.
        session_id: String,
    },
    /// Not possible with the one session of SHARED mode.
    #[error(
        "the cluster runs in SHARED mode: its one session is `default`, \
         which is neither made nor closed by request"
    )]
    ModeShared,
    /// The pool holds statements.
    #[error("pool `{pool}` holds statements that have not ended")]
    PoolInUse {
        /// The pool.
        pool: String,
    },
    /// The pool stays.
    #[error("pool `{pool}` always exists")]
    PoolProtected {
        /// The pool.
        pool: String,
    },
    /// A limit was met.
    #[error("the limit of {}, {value}, is reached", limit.setting())]
    LimitReached {
        /// Which.
        limit: Limit,
        /// Its value.
        value: u64,
    },
    /// The Idempotency-Key came with another body before.
    #[error("the Idempotency-Key `{key}` was used before on this path with another body")]
    IdempotencyMismatch {
        /// The key.
        key: String,
    },
    /// The statement has not ended: there is no result yet.
    #[error("statement `{job}` is {state}")]
    NotFinished {
        /// The statement.
        job: JobId,
        /// Its state.
        state: &'static str,
    },
    /// The statement ended without a result.
    #[error("statement `{job}` is {state}{}", because(error_class))]
    NoResult {
        /// The statement.
        job: JobId,
        /// Its state.
        state: &'static str,
        /// Its error class, empty if it was cancelled.
        error_class: String,
    },
    /// The result is recorded, but no stored copy can be read now.
    #[error("the stored result of `{job}` cannot be read now")]
    ResultUnavailable {
        /// The statement.
        job: JobId,
        /// What the store said: for the log.
        cause: String,
    },
    /// The result is recorded, and no node holds it any more.
    #[error("LIBRA_RESULT_LOST: no node holds the stored result of `{job}` any more")]
    ResultLost {
        /// The statement.
        job: JobId,
    },
    /// The result holds something that the form asked for cannot show.
    #[error("{cause}; `Accept: application/vnd.apache.arrow.stream` gives it as Spark sent it")]
    Unrenderable {
        /// What it is.
        cause: String,
    },
    /// No leader was found, or no majority answered, in the time there was.
    #[error("no leader answered{}", doubt(*outcome_unknown))]
    NoLeader {
        /// Whether what was asked may have been done all the same.
        outcome_unknown: bool,
    },
    /// The node is being shut down.
    #[error("this node is shutting down")]
    Draining,
    /// Nothing can be written durably: nothing is accepted.
    #[error("the disk is full: no statement or session is accepted")]
    DiskFull,
    /// The time the request had is over.
    #[error("no answer within {} s", limit.as_secs())]
    DeadlineExceeded {
        /// How long it had.
        limit: Duration,
    },
    /// A fault of Libra's own; the cause is for the log.
    #[error("internal error")]
    Internal {
        /// What happened.
        cause: String,
    },
}

fn describe(errors: &[FieldError]) -> String {
    let one = |e: &FieldError| match &e.allowed {
        Allowed::Text(text) => format!("`{}` is `{}`, allowed: {text}", e.field, e.value),
        Allowed::OneOf(values) => format!(
            "`{}` is `{}`, allowed: one of {}",
            e.field,
            e.value,
            values.join(", ")
        ),
    };
    errors.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn in_session(session_id: Option<&str>) -> String {
    session_id.map_or_else(String::new, |id| format!(" in session `{id}`"))
}

fn because(error_class: &str) -> String {
    if error_class.is_empty() {
        String::new()
    } else {
        format!(": {error_class}")
    }
}

fn doubt(outcome_unknown: bool) -> &'static str {
    if outcome_unknown {
        "; what was asked may have been done: repeat it with the same Idempotency-Key"
    } else {
        ""
    }
}

impl ServiceError {
    /// One wrong value.
    pub fn invalid(
        field: impl Into<String>,
        value: impl Into<String>,
        allowed: impl Into<Allowed>,
    ) -> Self {
        Self::Invalid {
            errors: vec![FieldError::new(field, value, allowed)],
        }
    }

    /// The error's line of the table.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Invalid { .. } => ErrorCode::InvalidRequest,
            Self::CodeTooLarge { .. } => ErrorCode::CodeTooLarge,
            Self::UnknownSession { .. } => ErrorCode::SessionNotFound,
            Self::UnknownStatement { .. } => ErrorCode::StatementNotFound,
            Self::UnknownPool { .. } => ErrorCode::PoolNotFound,
            Self::SessionTaken { .. } => ErrorCode::SessionTaken,
            Self::SessionClosed { .. } => ErrorCode::SessionClosed,
            Self::SessionFailed { .. } => ErrorCode::SessionFailed,
            Self::ModeShared => ErrorCode::ModeShared,
            Self::PoolInUse { .. } => ErrorCode::PoolInUse,
            Self::PoolProtected { .. } => ErrorCode::PoolProtected,
            Self::LimitReached { limit, .. } => match limit {
                Limit::Sessions => ErrorCode::TooManySessions,
                Limit::Queued => ErrorCode::QueueFull,
                Limit::QueuedBytes => ErrorCode::QueuedBytes,
                Limit::ActivePerSession | Limit::ActivePerUser => ErrorCode::TooManyStatements,
                Limit::Requests => ErrorCode::TooManyRequests,
                Limit::Streams => ErrorCode::TooManyStreams,
            },
            Self::IdempotencyMismatch { .. } => ErrorCode::IdempotencyMismatch,
            Self::NotFinished { .. } => ErrorCode::StatementNotFinished,
            Self::NoResult { .. } => ErrorCode::StatementFailed,
            Self::ResultUnavailable { .. } => ErrorCode::ResultUnavailable,
            Self::ResultLost { .. } => ErrorCode::ResultLost,
            Self::Unrenderable { .. } => ErrorCode::NotAcceptable,
            Self::NoLeader { .. } => ErrorCode::NoLeader,
            Self::Draining => ErrorCode::Draining,
            Self::DiskFull => ErrorCode::DiskFull,
            Self::DeadlineExceeded { .. } => ErrorCode::DeadlineExceeded,
            Self::Internal { .. } => ErrorCode::Internal,
        }
    }

    /// After how many whole seconds a repetition may succeed, where that is worth saying.
    #[must_use]
    pub fn retry_after_seconds(&self) -> Option<u64> {
        match self {
            Self::LimitReached {
                limit: Limit::Sessions,
                ..
            } => Some(10),
            Self::LimitReached { .. }
            | Self::NotFinished { .. }
            | Self::NoLeader { .. }
            | Self::ResultUnavailable { .. }
            | Self::DiskFull
            | Self::Draining => Some(1),
            Self::Invalid { .. }
            | Self::CodeTooLarge { .. }
            | Self::UnknownSession { .. }
            | Self::UnknownStatement { .. }
            | Self::UnknownPool { .. }
            | Self::SessionTaken { .. }
            | Self::SessionClosed { .. }
            | Self::SessionFailed { .. }
            | Self::ModeShared
            | Self::PoolInUse { .. }
            | Self::PoolProtected { .. }
            | Self::IdempotencyMismatch { .. }
            | Self::NoResult { .. }
            | Self::ResultLost { .. }
            | Self::Unrenderable { .. }
            | Self::DeadlineExceeded { .. }
            | Self::Internal { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_values_are_cut_at_a_character() {
        let error = FieldError::new("code", "ä".repeat(500), "short");
        assert_eq!(error.value.chars().count(), SHOWN_VALUE_CHARS + 1);
    }

    #[test]
    fn the_message_names_field_value_and_what_is_allowed() {
        let error = ServiceError::invalid("pool", "x", Allowed::one_of(&["default", "b"]));
        assert_eq!(
            error.to_string(),
            "`pool` is `x`, allowed: one of default, b"
        );
    }
}

//! The one table of what can go wrong with a request: its code, its HTTP status, its title.

/// Why a request was refused, as the API names it (`code` of a problem).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorCode {
    /// A field, parameter or header has a value that is not allowed.
    InvalidRequest,
    /// No session of that id.
    SessionNotFound,
    /// No statement of that id (here).
    StatementNotFound,
    /// No pool of that name.
    PoolNotFound,
    /// No metric of that name.
    MetricNotFound,
    /// No such path.
    NotFound,
    /// The path has other verbs.
    MethodNotAllowed,
    /// None of the forms that the client accepts can be made.
    NotAcceptable,
    /// The session id is in use.
    SessionTaken,
    /// The session is closing or closed.
    SessionClosed,
    /// The session could not be opened, and was given up.
    SessionFailed,
    /// The cluster runs in SHARED mode, which has the one session `default`.
    ModeShared,
    /// The pool holds statements.
    PoolInUse,
    /// The pool `default` always exists.
    PoolProtected,
    /// The statement has not ended.
    StatementNotFinished,
    /// The statement ended without a result.
    StatementFailed,
    /// The body is longer than allowed.
    BodyTooLarge,
    /// The statement's text is longer than allowed.
    CodeTooLarge,
    /// The URI is longer than allowed.
    UriTooLong,
    /// The headers are longer than allowed.
    HeadersTooLarge,
    /// The body is not JSON by its own word.
    UnsupportedMediaType,
    /// The Idempotency-Key came with another body before.
    IdempotencyMismatch,
    /// As many sessions as allowed.
    TooManySessions,
    /// The pool's queue is full.
    QueueFull,
    /// The queued statements' texts fill the room they have.
    QueuedBytes,
    /// As many statements that have not ended as a session, or a user, may have.
    TooManyStatements,
    /// As many requests at once as allowed.
    TooManyRequests,
    /// As many open streams as allowed.
    TooManyStreams,
    /// A fault of Libra's own.
    Internal,
    /// Not in this version.
    NotImplemented,
    /// No leader is known, or no majority answers.
    NoLeader,
    /// This node is being shut down.
    Draining,
    /// This node's disk is full.
    DiskFull,
    /// The result is recorded, but its stored copy cannot be read now.
    ResultUnavailable,
    /// The result is recorded, and no node holds it any more.
    ResultLost,
    /// The request took longer than it may.
    DeadlineExceeded,
}

/// One line of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorKind {
    /// The code as the API writes it.
    pub name: &'static str,
    /// The HTTP status.
    pub status: u16,
    /// One short sentence that is the same for every problem of this code.
    pub title: &'static str,
}

const fn kind(name: &'static str, status: u16, title: &'static str) -> ErrorKind {
    ErrorKind {
        name,
        status,
        title,
    }
}

impl ErrorCode {
    /// Every code, in the order of their statuses.
    pub const ALL: [Self; 36] = [
        Self::InvalidRequest,
        Self::SessionNotFound,
        Self::StatementNotFound,
        Self::PoolNotFound,
        Self::MetricNotFound,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::NotAcceptable,
        Self::SessionTaken,
        Self::SessionClosed,
        Self::SessionFailed,
        Self::ModeShared,
        Self::PoolInUse,
        Self::PoolProtected,
        Self::StatementNotFinished,
        Self::StatementFailed,
        Self::BodyTooLarge,
        Self::CodeTooLarge,
        Self::UriTooLong,
        Self::UnsupportedMediaType,
        Self::IdempotencyMismatch,
        Self::TooManySessions,
        Self::QueueFull,
        Self::QueuedBytes,
        Self::TooManyStatements,
        Self::TooManyRequests,
        Self::TooManyStreams,
        Self::HeadersTooLarge,
        Self::Internal,
        Self::NotImplemented,
        Self::NoLeader,
        Self::Draining,
        Self::DiskFull,
        Self::ResultUnavailable,
        Self::ResultLost,
        Self::DeadlineExceeded,
    ];

    /// The code's line of the table.
    #[must_use]
    pub const fn kind(self) -> ErrorKind {
        match self {
            Self::InvalidRequest => kind("invalid-request", 400, "The request is not valid"),
            Self::SessionNotFound => kind("session-not-found", 404, "No such session"),
            Self::StatementNotFound => kind("statement-not-found", 404, "No such statement"),
            Self::PoolNotFound => kind("pool-not-found", 404, "No such pool"),
            Self::MetricNotFound => kind("metric-not-found", 404, "No such metric"),
            Self::NotFound => kind("not-found", 404, "No such path"),
            Self::MethodNotAllowed => kind(
                "method-not-allowed",
                405,
                "The path does not have this method",
            ),
            Self::NotAcceptable => kind("not-acceptable", 406, "No acceptable form"),
            Self::SessionTaken => kind("session-taken", 409, "The session id is taken"),
            Self::SessionClosed => kind("session-closed", 409, "The session is closed"),
            Self::SessionFailed => kind("session-failed", 409, "The session has failed"),
            Self::ModeShared => kind("mode-shared", 409, "The cluster runs in SHARED mode"),
            Self::PoolInUse => kind("pool-in-use", 409, "The pool holds statements"),
            Self::PoolProtected => kind("pool-protected", 409, "The pool cannot be deleted"),
            Self::StatementNotFinished => {
                kind("statement-not-finished", 409, "The statement has not ended")
            }
            Self::StatementFailed => kind("statement-failed", 409, "The statement has no result"),
            Self::BodyTooLarge => kind("body-too-large", 413, "The body is too long"),
            Self::CodeTooLarge => kind("code-too-large", 413, "The statement is too long"),
            Self::UriTooLong => kind("uri-too-long", 414, "The URI is too long"),
            Self::UnsupportedMediaType => {
                kind("unsupported-media-type", 415, "The body must be JSON")
            }
            Self::IdempotencyMismatch => kind(
                "idempotency-mismatch",
                422,
                "The Idempotency-Key was used with another body",
            ),
            Self::TooManySessions => kind("too-many-sessions", 429, "Too many sessions"),
            Self::QueueFull => kind("queue-full", 429, "The pool's queue is full"),
            Self::QueuedBytes => kind("queued-bytes", 429, "Too much statement text is queued"),
            Self::TooManyStatements => kind(
                "too-many-statements",
                429,
                "Too many statements have not ended",
            ),
            Self::TooManyRequests => kind("too-many-requests", 429, "Too many requests at once"),
            Self::TooManyStreams => kind("too-many-streams", 429, "Too many open streams"),
            Self::HeadersTooLarge => kind("headers-too-large", 431, "The headers are too long"),
            Self::Internal => kind("internal", 500, "Internal error"),
            Self::NotImplemented => kind("not-implemented", 501, "Not in this version"),
            Self::NoLeader => kind("no-leader", 503, "No leader"),
            Self::Draining => kind("draining", 503, "The node is shutting down"),
            Self::DiskFull => kind("disk-full", 503, "The disk is full"),
            Self::ResultUnavailable => {
                kind("result-unavailable", 503, "The result cannot be read now")
            }
            Self::ResultLost => kind("result-lost", 409, "The stored result is lost"),
            Self::DeadlineExceeded => kind("deadline-exceeded", 504, "The request took too long"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_statuses_are_those_of_the_contract() {
        let contract = [
            400, 404, 405, 406, 409, 413, 414, 415, 422, 429, 431, 500, 501, 503, 504,
        ];
        let names: BTreeSet<_> = ErrorCode::ALL.iter().map(|c| c.kind().name).collect();
        assert_eq!(names.len(), ErrorCode::ALL.len());
        for code in ErrorCode::ALL {
            assert!(contract.contains(&code.kind().status), "{code:?}");
        }
    }
}

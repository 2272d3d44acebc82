//! What went wrong with a call: Spark's own word told apart from the connection's silence.

use std::error::Error as _;
use std::fmt::Write as _;
use std::io;

use libra_proto::registry::StatementError;
use libra_proto::types::ErrorClass;
use thiserror::Error;
use tonic::{Code, Status};

use super::details::{self, bounded};

/// A call that failed.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{}", error.message)]
pub struct SparkError {
    /// What it means for the caller.
    pub kind: SparkErrorKind,
    /// What a user is shown: Spark's error, or `LIBRA_SPARK_UNREACHABLE` with the cause.
    pub error: Box<StatementError>,
}

/// What a failed call means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SparkErrorKind {
    /// Spark does not know the operation: it never arrived, or it finished and was released.
    OperationNotFound,
    /// The operation id was used, released and will not run again.
    OperationAbandoned,
    /// The operation id is in use with another plan.
    OperationAlreadyExists,
    /// The driver is not the one that was observed.
    SessionChanged,
    /// The driver does not know the session.
    SessionNotFound,
    /// The session was released, or dropped for idleness: its id is dead.
    SessionClosed,
    /// Another client has attached to the operation.
    CursorDisconnected,
    /// The response to continue after is gone from Spark's buffer, or was never in it.
    PositionNotAvailable,
    /// The operation was interrupted.
    OperationCanceled,
    /// The server does not have this request.
    Unimplemented,
    /// Nobody listens at the endpoint: its process is not there.
    Refused,
    /// No word from Spark: reset, timed out, black-holed, overloaded, or a proxy's refusal.
    /// Whether the request was acted on cannot be known.
    Unreachable,
    /// Spark's own failure of this statement.
    Statement,
    /// Spark refuses to set this key.
    Conf {
        /// The key.
        key: String,
    },
    /// An answer that does not follow the protocol, or refused credentials.
    Protocol,
}

/// What a failed call means, from its status alone. Spark marks its own errors with an
/// `ErrorInfo` detail; a status without one comes from the connection or from something between.
#[must_use]
pub fn classify(status: &Status) -> SparkErrorKind {
    match details::spark_class(status) {
        Some(class) => of_class(&class),
        None if refused(status) => SparkErrorKind::Refused,
        None => of_code(status.code()),
    }
}

impl SparkError {
    /// Reads a status; `what` says which call failed, and where.
    pub(super) fn of(what: &str, status: &Status) -> Self {
        let kind = classify(status);
        let error = match details::from_status(status) {
            Some(error) => error,
            None => {
                ErrorClass::SparkUnreachable.error(bounded(&format!("{what}: {}", chain(status))))
            }
        };
        Self {
            kind,
            error: Box::new(error),
        }
    }

    /// An answer that cannot be.
    pub(super) fn protocol(message: &str) -> Self {
        Self::local(SparkErrorKind::Protocol, message)
    }

    /// Silence.
    pub(super) fn unreachable(message: &str) -> Self {
        Self::local(SparkErrorKind::Unreachable, message)
    }

    pub(super) fn local(kind: SparkErrorKind, message: &str) -> Self {
        Self {
            kind,
            error: Box::new(ErrorClass::SparkUnreachable.error(bounded(message))),
        }
    }

    /// The same, as the refusal of a conf key, if Spark itself refused.
    pub(super) fn for_conf(mut self, key: &str) -> Self {
        if self.kind == SparkErrorKind::Statement {
            self.kind = SparkErrorKind::Conf {
                key: key.to_owned(),
            };
        }
        self
    }
}

fn of_class(class: &str) -> SparkErrorKind {
    match class {
        "INVALID_HANDLE.OPERATION_NOT_FOUND" => SparkErrorKind::OperationNotFound,
        "INVALID_HANDLE.OPERATION_ABANDONED" => SparkErrorKind::OperationAbandoned,
        "INVALID_HANDLE.OPERATION_ALREADY_EXISTS" => SparkErrorKind::OperationAlreadyExists,
        "INVALID_HANDLE.SESSION_CHANGED" => SparkErrorKind::SessionChanged,
        "INVALID_HANDLE.SESSION_NOT_FOUND" => SparkErrorKind::SessionNotFound,
        "INVALID_HANDLE.SESSION_CLOSED" => SparkErrorKind::SessionClosed,
        "INVALID_CURSOR.DISCONNECTED" => SparkErrorKind::CursorDisconnected,
        "INVALID_CURSOR.POSITION_NOT_AVAILABLE" | "INVALID_CURSOR.POSITION_NOT_FOUND" => {
            SparkErrorKind::PositionNotAvailable
        }
        "OPERATION_CANCELED" => SparkErrorKind::OperationCanceled,
        _ => SparkErrorKind::Statement,
    }
}

fn of_code(code: Code) -> SparkErrorKind {
    match code {
        Code::Unimplemented => SparkErrorKind::Unimplemented,
        // INTERNAL without Spark's mark is a reset or torn stream, or a proxy.
        Code::Unavailable
        | Code::DeadlineExceeded
        | Code::Cancelled
        | Code::Aborted
        | Code::Unknown
        | Code::Internal
        | Code::ResourceExhausted => SparkErrorKind::Unreachable,
        Code::Ok
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::FailedPrecondition
        | Code::OutOfRange
        | Code::DataLoss
        | Code::Unauthenticated => SparkErrorKind::Protocol,
    }
}

/// Whether the operating system of the endpoint refused the connection.
fn refused(status: &Status) -> bool {
    sources(status).any(|source| {
        source
            .downcast_ref::<io::Error>()
            .is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
    })
}

fn sources(status: &Status) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(status.source(), |error| (*error).source())
}

/// The status and its causes in one line, none repeated.
fn chain(status: &Status) -> String {
    let mut text = match status.message() {
        "" => status.code().description().to_owned(),
        message => message.to_owned(),
    };
    for source in sources(status) {
        let cause = source.to_string();
        if !text.contains(&cause) {
            // Writing to a string cannot fail.
            let _ = write!(text, ": {cause}");
        }
    }
    text
}

#[cfg(test)]
#[path = "error_tests.rs"]
mod tests;

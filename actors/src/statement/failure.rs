//! How the client's errors read to the statement machine.

use crate::spark::{SparkError, SparkErrorKind};

use super::machine::Failure;

/// The failure that a Spark error stands for, from the point of view of one operation.
pub(super) fn failure_of(error: SparkError) -> Failure {
    match error.kind {
        SparkErrorKind::Statement | SparkErrorKind::Conf { .. } => Failure::Statement(*error.error),
        SparkErrorKind::OperationCanceled => Failure::Canceled,
        SparkErrorKind::OperationNotFound => Failure::NotFound,
        SparkErrorKind::OperationAbandoned => Failure::Abandoned,
        SparkErrorKind::OperationAlreadyExists => Failure::AlreadyThere,
        SparkErrorKind::SessionChanged
        | SparkErrorKind::SessionNotFound
        | SparkErrorKind::SessionClosed => Failure::SessionLost(error.error.message),
        SparkErrorKind::CursorDisconnected => Failure::Disconnected,
        SparkErrorKind::PositionNotAvailable => Failure::PositionLost,
        SparkErrorKind::Refused => Failure::Refused,
        SparkErrorKind::Unreachable | SparkErrorKind::Unimplemented | SparkErrorKind::Protocol => {
            Failure::Unreachable(error.error.message)
        }
    }
}

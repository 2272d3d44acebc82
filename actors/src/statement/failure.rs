//! How what Spark and the result store say reads to the statement machine.

use crate::ports::StoreError;
use crate::spark::{OperationState, SparkError, SparkErrorKind};

use super::machine::{Failure, KnownStatus};

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

/// What the status of an operation tells.
pub(super) fn known(status: Option<OperationState>) -> KnownStatus {
    match status {
        Some(OperationState::Running | OperationState::Terminating) => KnownStatus::Running,
        Some(OperationState::Succeeded) => KnownStatus::Succeeded,
        Some(OperationState::Failed) => KnownStatus::Failed,
        Some(OperationState::Cancelled) => KnownStatus::Cancelled,
        Some(OperationState::Unknown | OperationState::Unspecified) | None => KnownStatus::Unknown,
    }
}

/// What it is to the statement that a response was not stored.
pub(super) fn not_stored(error: &StoreError) -> Failure {
    match error {
        StoreError::Io { .. } => Failure::NotStored(error.to_string()),
        StoreError::Damaged { .. } => Failure::Damaged(error.to_string()),
        StoreError::Superseded { .. } => Failure::Disconnected,
    }
}

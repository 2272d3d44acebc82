//! Spark's word, and its silence.

use libra_actors::statement::machine::Failure;
use libra_proto::registry::StatementError;

use crate::stub::engine::RpcError;

/// A call that did not come off.
#[derive(Debug, Clone, PartialEq)]
pub enum Broken {
    /// Spark's own word: the error's class and message.
    Said {
        /// The class, with its sub class.
        class: String,
        /// The message.
        message: String,
    },
    /// Nobody listens.
    Refused,
    /// No word.
    Silent,
}

pub(super) fn said(error: RpcError) -> Broken {
    match error {
        RpcError::Spark { error, .. } => Broken::Said {
            class: error.class.clone(),
            message: error.message.clone(),
        },
        RpcError::Unimplemented { .. } | RpcError::Unavailable => Broken::Silent,
    }
}

pub(super) fn is_abandoned(broken: &Broken) -> bool {
    matches!(broken, Broken::Said { class, .. } if class == "INVALID_HANDLE.OPERATION_ABANDONED")
}

/// As production's stream says it.
pub(super) fn sealed() -> Broken {
    Broken::Said {
        class: "INVALID_HANDLE.OPERATION_ABANDONED".to_owned(),
        message: "it was sealed and never ran".to_owned(),
    }
}

/// What a broken call is to one operation; as production tells them apart.
#[must_use]
pub fn failure_of(broken: Broken) -> Failure {
    let (class, message) = match broken {
        Broken::Refused => return Failure::Refused,
        Broken::Silent => return Failure::Unreachable("no answer".to_owned()),
        Broken::Said { class, message } => (class, message),
    };
    match class.as_str() {
        "INVALID_HANDLE.OPERATION_NOT_FOUND" => Failure::NotFound,
        "INVALID_HANDLE.OPERATION_ABANDONED" => Failure::Abandoned,
        "INVALID_HANDLE.OPERATION_ALREADY_EXISTS" => Failure::AlreadyThere,
        "INVALID_HANDLE.SESSION_CHANGED"
        | "INVALID_HANDLE.SESSION_NOT_FOUND"
        | "INVALID_HANDLE.SESSION_CLOSED" => Failure::SessionLost(message),
        "INVALID_CURSOR.DISCONNECTED" => Failure::Disconnected,
        "INVALID_CURSOR.POSITION_NOT_AVAILABLE" | "INVALID_CURSOR.POSITION_NOT_FOUND" => {
            Failure::PositionLost
        }
        "OPERATION_CANCELED" => Failure::Canceled,
        _ => Failure::Statement(StatementError {
            error_class: class,
            message,
            ..StatementError::default()
        }),
    }
}

/// Whether Spark says that the session is gone.
#[must_use]
pub fn session_lost(broken: &Broken) -> Option<String> {
    match failure_of(broken.clone()) {
        Failure::SessionLost(reason) => Some(reason),
        _ => None,
    }
}

//! How a service error becomes a problem.

use http::{HeaderValue, header};

use super::Problem;
use crate::service::{FieldError, ServiceError};

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let mut problem = Self::new(error.code(), error.to_string());
        if let Some(seconds) = error.retry_after_seconds() {
            problem = problem.with_header(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
        match error {
            ServiceError::Invalid { errors } => problem.with_errors(errors),
            ServiceError::CodeTooLarge { bytes, limit } => {
                problem.with_errors(vec![FieldError::new(
                    "code",
                    format!("{bytes} bytes"),
                    format!("at most {limit} bytes (libra.limits.code-bytes)"),
                )])
            }
            ServiceError::LimitReached { limit, value } => {
                problem.with_errors(vec![FieldError::new(
                    limit.setting(),
                    value.to_string(),
                    "repeat later, or raise the setting",
                )])
            }
            ServiceError::NoLeader {
                outcome_unknown: true,
            } => problem.with_unknown_outcome(),
            ServiceError::ResultUnavailable { cause, .. } | ServiceError::Internal { cause } => {
                tracing::error!(%cause, code = problem.code().kind().name, "request failed");
                problem
            }
            ServiceError::UnknownSession { .. }
            | ServiceError::UnknownStatement { .. }
            | ServiceError::UnknownPool { .. }
            | ServiceError::SessionTaken { .. }
            | ServiceError::SessionClosed { .. }
            | ServiceError::SessionFailed { .. }
            | ServiceError::ModeShared
            | ServiceError::PoolInUse { .. }
            | ServiceError::PoolProtected { .. }
            | ServiceError::IdempotencyMismatch { .. }
            | ServiceError::NotFinished { .. }
            | ServiceError::NoResult { .. }
            | ServiceError::ResultLost { .. }
            | ServiceError::Unrenderable { .. }
            | ServiceError::NoLeader {
                outcome_unknown: false,
            }
            | ServiceError::Draining
            | ServiceError::DiskFull
            | ServiceError::DeadlineExceeded { .. } => problem,
        }
    }
}

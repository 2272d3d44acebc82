//! How the registry's refusals read to a client.

use libra_proto::registry::{Rejection, RejectionCode};
use libra_proto::types::JobId;

use super::{Allowed, Limit, ServiceError};

/// The error that a refusal becomes.
pub(crate) fn refused(rejection: &Rejection) -> ServiceError {
    let subject = rejection.subject.clone();
    let limit = |limit: Limit| ServiceError::LimitReached {
        limit,
        value: rejection.limit,
    };
    match rejection.code() {
        RejectionCode::UnknownSession => ServiceError::UnknownSession {
            session_id: subject,
        },
        RejectionCode::SessionTaken => ServiceError::SessionTaken {
            session_id: subject,
        },
        RejectionCode::SessionClosed => ServiceError::SessionClosed {
            session_id: subject,
        },
        RejectionCode::SessionFailed => ServiceError::SessionFailed {
            session_id: subject,
        },
        RejectionCode::ModeShared => ServiceError::ModeShared,
        RejectionCode::TooManySessions => limit(Limit::Sessions),
        RejectionCode::QueueFull => limit(Limit::Queued),
        RejectionCode::QueuedBytes => limit(Limit::QueuedBytes),
        RejectionCode::ActivePerSession => limit(Limit::ActivePerSession),
        RejectionCode::ActivePerUser => limit(Limit::ActivePerUser),
        RejectionCode::UnknownPool if rejection.allowed.is_empty() => {
            ServiceError::UnknownPool { pool: subject }
        }
        RejectionCode::UnknownPool => {
            let allowed = Allowed::OneOf(rejection.allowed.clone());
            ServiceError::invalid("pool", subject, allowed)
        }
        RejectionCode::PoolInUse => ServiceError::PoolInUse { pool: subject },
        RejectionCode::PoolProtected => ServiceError::PoolProtected { pool: subject },
        RejectionCode::UnknownJob => match subject.parse::<JobId>() {
            Ok(job) => ServiceError::UnknownStatement {
                job,
                session_id: None,
            },
            Err(_) => unexpected(rejection),
        },
        RejectionCode::IdempotencyMismatch => ServiceError::IdempotencyMismatch {
            key: subject.rsplit('\n').next().unwrap_or_default().to_owned(),
        },
        // No node is up: as good as no leader, and over as soon.
        RejectionCode::NoNode => ServiceError::NoLeader {
            outcome_unknown: false,
        },
        // Commands of the API never carry what leads to these.
        RejectionCode::Unspecified
        | RejectionCode::StaleEpoch
        | RejectionCode::AlreadyEnded
        | RejectionCode::IllegalTransition
        | RejectionCode::SettingsVersion
        | RejectionCode::NotIdle
        | RejectionCode::Malformed
        | RejectionCode::StaleTerm
        | RejectionCode::UnknownNode
        | RejectionCode::StaleBoot
        | RejectionCode::FeatureLevel
        | RejectionCode::EndpointUnreachable
        | RejectionCode::NotFresh
        | RejectionCode::RestoreSuperseded
        | RejectionCode::BadBackup => unexpected(rejection),
    }
}

fn unexpected(rejection: &Rejection) -> ServiceError {
    ServiceError::Internal {
        cause: format!(
            "the registry refused {:?} of `{}`",
            rejection.code(),
            rejection.subject
        ),
    }
}

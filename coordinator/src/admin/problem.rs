//! What an operator is told of a call that came to nothing: one reason out of a fixed list, with the
//! details of `google.rpc`.

use std::collections::HashMap;
use std::time::Duration;

use libra_proto::registry::{Rejection, RejectionCode};
use libra_raft::ChangeError;
use tonic::Status;
use tonic_types::{ErrorDetails, StatusExt};

use super::reason::Reason;
use crate::service::{Allowed, ErrorCode, FieldError, ServiceError};

/// The domain of all reasons.
const DOMAIN: &str = "libra";
/// After how long a repetition may succeed where nothing better is known.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A call that came to nothing.
#[derive(Debug, Clone)]
pub(super) struct Problem(Box<Kind>);

#[derive(Debug, Clone)]
enum Kind {
    /// Of this node.
    Own {
        reason: Reason,
        message: String,
        metadata: HashMap<String, String>,
        fields: Vec<FieldError>,
    },
    /// As the node has said it that the call was passed on to.
    Passed(Status),
}

impl Problem {
    pub(super) fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self(Box::new(Kind::Own {
            reason,
            message: message.into(),
            metadata: HashMap::new(),
            fields: Vec::new(),
        }))
    }

    /// It may have been done, or may be yet.
    pub(super) fn outcome_unknown(reason: &str) -> Self {
        let message = format!(
            "{reason}; it may have been done, or may be yet: ask for the status, or ask again"
        );
        Self::new(Reason::OutcomeUnknown, message)
    }

    /// One wrong value.
    pub(super) fn invalid(field: &str, value: impl ToString, allowed: impl Into<Allowed>) -> Self {
        Self::fields(vec![FieldError::new(field, value.to_string(), allowed)])
    }

    /// Wrong values.
    pub(super) fn fields(fields: Vec<FieldError>) -> Self {
        let message = ServiceError::Invalid {
            errors: fields.clone(),
        };
        let mut problem = Self::new(Reason::InvalidRequest, message.to_string());
        if let Kind::Own { fields: own, .. } = &mut *problem.0 {
            *own = fields;
        }
        problem
    }

    /// With one more thing to know.
    pub(super) fn with(mut self, key: &str, value: impl ToString) -> Self {
        if let Kind::Own { metadata, .. } = &mut *self.0 {
            metadata.insert(key.to_owned(), value.to_string());
        }
        self
    }

    #[cfg(test)]
    pub(super) fn reason(&self) -> Reason {
        match &*self.0 {
            Kind::Own { reason, .. } => *reason,
            Kind::Passed(_) => Reason::NodeUnreachable,
        }
    }

    /// The registry's refusal, as of a session, a node, a pool or a backup.
    pub(super) fn refused(rejection: &Rejection) -> Self {
        let subject = rejection.subject.as_str();
        let own = |reason, message: String| Self::new(reason, message);
        match rejection.code() {
            RejectionCode::UnknownNode => own(
                Reason::NodeNotFound,
                format!("node {subject} is not registered"),
            )
            .with("node_id", subject),
            RejectionCode::NoNode if subject.parse::<u64>().is_ok() => {
                let message = format!("node {subject} is not UP: it may take no session");
                own(Reason::NodeNotUp, message).with("node_id", subject)
            }
            RejectionCode::EndpointUnreachable => {
                let message =
                    format!("node {subject} says that it does not reach the session's endpoint");
                own(Reason::EndpointUnreachable, message).with("node_id", subject)
            }
            RejectionCode::StaleEpoch => {
                let message = format!("session `{subject}` is in epoch {}", rejection.limit);
                own(Reason::StaleEpoch, message)
                    .with("session_id", subject)
                    .with("epoch", rejection.limit)
            }
            RejectionCode::NotFresh => {
                let message = format!(
                    "a backup is restored into a fresh cluster only, and this one has `{subject}`"
                );
                own(Reason::NotFresh, message).with("found", subject)
            }
            RejectionCode::RestoreSuperseded => own(
                Reason::RestoreSuperseded,
                "another restore has begun since".to_owned(),
            ),
            RejectionCode::BadBackup => own(
                Reason::MalformedBackup,
                format!("the backup's records are no whole registry: {subject}"),
            ),
            RejectionCode::FeatureLevel => {
                let message = format!(
                    "feature level {subject} is needed, this cluster has {}",
                    rejection.limit
                );
                own(Reason::FeatureLevel, message).with("level", rejection.limit)
            }
            RejectionCode::Unspecified
            | RejectionCode::UnknownSession
            | RejectionCode::SessionTaken
            | RejectionCode::SessionClosed
            | RejectionCode::SessionFailed
            | RejectionCode::ModeShared
            | RejectionCode::TooManySessions
            | RejectionCode::UnknownPool
            | RejectionCode::PoolInUse
            | RejectionCode::PoolProtected
            | RejectionCode::QueueFull
            | RejectionCode::QueuedBytes
            | RejectionCode::UnknownJob
            | RejectionCode::AlreadyEnded
            | RejectionCode::IllegalTransition
            | RejectionCode::IdempotencyMismatch
            | RejectionCode::SettingsVersion
            | RejectionCode::NotIdle
            | RejectionCode::Malformed
            | RejectionCode::ActivePerSession
            | RejectionCode::ActivePerUser
            | RejectionCode::StaleTerm
            | RejectionCode::StaleBoot
            | RejectionCode::NoNode => crate::service::refused(rejection).into(),
        }
    }

    /// What another node has answered to a call that was passed on.
    pub(super) fn passed(status: Status) -> Self {
        Self(Box::new(Kind::Passed(status)))
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        let message = error.to_string();
        if let ServiceError::Invalid { errors } = error {
            return Self::fields(errors);
        }
        if let ServiceError::Internal { cause } | ServiceError::ResultUnavailable { cause, .. } =
            &error
        {
            tracing::error!(cause, "an admin call failed");
        }
        Self::new(reason_of(&error), message)
    }
}

fn reason_of(error: &ServiceError) -> Reason {
    if let ServiceError::NoLeader {
        outcome_unknown: true,
    } = error
    {
        return Reason::OutcomeUnknown;
    }
    match error.code() {
        ErrorCode::SessionNotFound => Reason::SessionNotFound,
        ErrorCode::StatementNotFound => Reason::StatementNotFound,
        ErrorCode::PoolNotFound => Reason::PoolNotFound,
        ErrorCode::SessionClosed => Reason::SessionClosed,
        ErrorCode::SessionFailed => Reason::SessionFailed,
        ErrorCode::ModeShared => Reason::ModeShared,
        ErrorCode::PoolInUse => Reason::PoolInUse,
        ErrorCode::PoolProtected => Reason::PoolProtected,
        ErrorCode::TooManySessions
        | ErrorCode::QueueFull
        | ErrorCode::QueuedBytes
        | ErrorCode::TooManyStatements
        | ErrorCode::TooManyRequests
        | ErrorCode::TooManyStreams => Reason::LimitReached,
        ErrorCode::NoLeader => Reason::NoLeader,
        ErrorCode::Draining => Reason::Draining,
        ErrorCode::DiskFull => Reason::DiskFull,
        ErrorCode::DeadlineExceeded => Reason::DeadlineExceeded,
        ErrorCode::InvalidRequest
        | ErrorCode::NotFound
        | ErrorCode::MetricNotFound
        | ErrorCode::MethodNotAllowed
        | ErrorCode::NotAcceptable
        | ErrorCode::SessionTaken
        | ErrorCode::StatementNotFinished
        | ErrorCode::StatementFailed
        | ErrorCode::BodyTooLarge
        | ErrorCode::CodeTooLarge
        | ErrorCode::UriTooLong
        | ErrorCode::HeadersTooLarge
        | ErrorCode::UnsupportedMediaType
        | ErrorCode::IdempotencyMismatch => Reason::InvalidRequest,
        ErrorCode::ResultUnavailable
        | ErrorCode::ResultLost
        | ErrorCode::NotImplemented
        | ErrorCode::Internal => Reason::Internal,
    }
}

impl From<ChangeError> for Problem {
    fn from(error: ChangeError) -> Self {
        match &error {
            ChangeError::Refused { .. } => Self::new(Reason::MembershipRefused, error.to_string()),
            ChangeError::TimedOut { .. } => Self::outcome_unknown(&error.to_string()),
            ChangeError::Stopped => Self::new(Reason::Stopped, error.to_string()),
        }
    }
}

impl From<Problem> for Status {
    fn from(problem: Problem) -> Self {
        let (reason, message, metadata, fields) = match *problem.0 {
            Kind::Passed(status) => return status,
            Kind::Own {
                reason,
                message,
                metadata,
                fields,
            } => (reason, message, metadata, fields),
        };
        let mut details = ErrorDetails::new();
        details.set_error_info(reason.name(), DOMAIN, metadata);
        for field in fields {
            details.add_bad_request_violation(field.field.clone(), described(&field));
        }
        if reason.is_retryable() {
            details.set_retry_info(Some(RETRY_AFTER));
        }
        Self::with_error_details(reason.code(), message, details)
    }
}

fn described(field: &FieldError) -> String {
    let allowed = match &field.allowed {
        Allowed::Text(text) => text.clone(),
        Allowed::OneOf(values) => format!("one of {}", values.join(", ")),
    };
    format!("`{}` is not allowed, but: {allowed}", field.value)
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[test]
    fn a_status_carries_reason_metadata_and_when_to_ask_again() {
        let problem = Problem::new(Reason::NoLeader, "nobody leads").with("node_id", 7);
        let status = Status::from(problem);
        assert_eq!(status.code(), Code::Unavailable);
        assert_eq!(status.message(), "nobody leads");
        let details = status.get_error_details();
        let info = details.error_info().unwrap();
        assert_eq!(
            (info.reason.as_str(), info.domain.as_str()),
            ("NO_LEADER", "libra")
        );
        assert_eq!(info.metadata["node_id"], "7");
        assert_eq!(details.retry_info().unwrap().retry_delay, Some(RETRY_AFTER));
    }

    #[test]
    fn wrong_fields_are_named_each_with_what_is_allowed() {
        let problem = Problem::fields(vec![
            FieldError::new("node_id", "0", "a number from 1"),
            FieldError::new("state", "x", Allowed::one_of(&["a", "b"])),
        ]);
        let status = Status::from(problem);
        assert_eq!(status.code(), Code::InvalidArgument);
        let details = status.get_error_details();
        let violations = &details.bad_request().unwrap().field_violations;
        let named: Vec<_> = violations
            .iter()
            .map(|v| (v.field.as_str(), v.description.as_str()))
            .collect();
        assert_eq!(
            named,
            [
                ("node_id", "`0` is not allowed, but: a number from 1"),
                ("state", "`x` is not allowed, but: one of a, b"),
            ]
        );
        assert!(details.retry_info().is_none());
    }

    #[test]
    fn what_may_have_been_done_is_told_apart_from_what_was_not() {
        for (outcome_unknown, name, code) in [
            (true, "OUTCOME_UNKNOWN", Code::DeadlineExceeded),
            (false, "NO_LEADER", Code::Unavailable),
        ] {
            let status = Status::from(Problem::from(ServiceError::NoLeader { outcome_unknown }));
            assert_eq!(status.code(), code);
            let details = status.get_error_details();
            assert_eq!(details.error_info().unwrap().reason, name);
        }
    }

    #[test]
    fn another_nodes_answer_stays_as_it_is() {
        let passed = Status::from(Problem::new(Reason::LastVoter, "no"));
        let again = Status::from(Problem::passed(passed.clone()).with("x", 1));
        assert_eq!(again.code(), passed.code());
        assert_eq!(again.details(), passed.details());
    }
}

//! The fixed list of reasons: how each is named, which status it is, and whether it passes.

use tonic::Code;

/// Why a call came to nothing; `admin.proto` lists them with their codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reason {
    InvalidRequest,
    MalformedBackup,
    SessionNotFound,
    StatementNotFound,
    PoolNotFound,
    NodeNotFound,
    ModeShared,
    PoolInUse,
    PoolProtected,
    SessionClosed,
    SessionFailed,
    MembershipRefused,
    LastVoter,
    NoOtherNode,
    NodeNotUp,
    EndpointUnreachable,
    NotFresh,
    OtherCluster,
    FeatureLevel,
    NoSnapshot,
    StaleEpoch,
    RestoreSuperseded,
    EventsExpired,
    EventsAhead,
    TooManyWatchers,
    ReaderTooSlow,
    LimitReached,
    NoLeader,
    Draining,
    DiskFull,
    NodeUnreachable,
    Stopped,
    DeadlineExceeded,
    OutcomeUnknown,
    Internal,
}

impl Reason {
    /// As ErrorInfo has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::InvalidRequest => "INVALID_REQUEST",
            Self::MalformedBackup => "MALFORMED_BACKUP",
            Self::SessionNotFound => "SESSION_NOT_FOUND",
            Self::StatementNotFound => "STATEMENT_NOT_FOUND",
            Self::PoolNotFound => "POOL_NOT_FOUND",
            Self::NodeNotFound => "NODE_NOT_FOUND",
            Self::ModeShared => "MODE_SHARED",
            Self::PoolInUse => "POOL_IN_USE",
            Self::PoolProtected => "POOL_PROTECTED",
            Self::SessionClosed => "SESSION_CLOSED",
            Self::SessionFailed => "SESSION_FAILED",
            Self::MembershipRefused => "MEMBERSHIP_REFUSED",
            Self::LastVoter => "LAST_VOTER",
            Self::NoOtherNode => "NO_OTHER_NODE",
            Self::NodeNotUp => "NODE_NOT_UP",
            Self::EndpointUnreachable => "ENDPOINT_UNREACHABLE",
            Self::NotFresh => "NOT_FRESH",
            Self::OtherCluster => "OTHER_CLUSTER",
            Self::FeatureLevel => "FEATURE_LEVEL",
            Self::NoSnapshot => "NO_SNAPSHOT",
            Self::StaleEpoch => "STALE_EPOCH",
            Self::RestoreSuperseded => "RESTORE_SUPERSEDED",
            Self::EventsExpired => "EVENTS_EXPIRED",
            Self::EventsAhead => "EVENTS_AHEAD",
            Self::TooManyWatchers => "TOO_MANY_WATCHERS",
            Self::ReaderTooSlow => "READER_TOO_SLOW",
            Self::LimitReached => "LIMIT_REACHED",
            Self::NoLeader => "NO_LEADER",
            Self::Draining => "DRAINING",
            Self::DiskFull => "DISK_FULL",
            Self::NodeUnreachable => "NODE_UNREACHABLE",
            Self::Stopped => "STOPPED",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::OutcomeUnknown => "OUTCOME_UNKNOWN",
            Self::Internal => "INTERNAL",
        }
    }

    /// The status that it comes with.
    pub(super) fn code(self) -> Code {
        match self {
            Self::InvalidRequest | Self::MalformedBackup => Code::InvalidArgument,
            Self::SessionNotFound
            | Self::StatementNotFound
            | Self::PoolNotFound
            | Self::NodeNotFound => Code::NotFound,
            Self::ModeShared
            | Self::PoolInUse
            | Self::PoolProtected
            | Self::SessionClosed
            | Self::SessionFailed
            | Self::MembershipRefused
            | Self::LastVoter
            | Self::NoOtherNode
            | Self::NodeNotUp
            | Self::EndpointUnreachable
            | Self::NotFresh
            | Self::OtherCluster
            | Self::FeatureLevel
            | Self::NoSnapshot => Code::FailedPrecondition,
            Self::StaleEpoch | Self::RestoreSuperseded => Code::Aborted,
            Self::EventsExpired | Self::EventsAhead => Code::OutOfRange,
            Self::TooManyWatchers | Self::ReaderTooSlow | Self::LimitReached => {
                Code::ResourceExhausted
            }
            Self::NoLeader
            | Self::Draining
            | Self::DiskFull
            | Self::NodeUnreachable
            | Self::Stopped => Code::Unavailable,
            Self::DeadlineExceeded | Self::OutcomeUnknown => Code::DeadlineExceeded,
            Self::Internal => Code::Internal,
        }
    }

    /// Whether the same call may succeed a little later.
    pub(super) fn is_retryable(self) -> bool {
        match self {
            Self::NoLeader
            | Self::Draining
            | Self::DiskFull
            | Self::NodeUnreachable
            | Self::Stopped
            | Self::TooManyWatchers
            | Self::LimitReached
            | Self::OutcomeUnknown => true,
            Self::InvalidRequest
            | Self::MalformedBackup
            | Self::SessionNotFound
            | Self::StatementNotFound
            | Self::PoolNotFound
            | Self::NodeNotFound
            | Self::ModeShared
            | Self::PoolInUse
            | Self::PoolProtected
            | Self::SessionClosed
            | Self::SessionFailed
            | Self::MembershipRefused
            | Self::LastVoter
            | Self::NoOtherNode
            | Self::NodeNotUp
            | Self::EndpointUnreachable
            | Self::NotFresh
            | Self::OtherCluster
            | Self::FeatureLevel
            | Self::NoSnapshot
            | Self::StaleEpoch
            | Self::RestoreSuperseded
            | Self::EventsExpired
            | Self::EventsAhead
            | Self::ReaderTooSlow
            | Self::DeadlineExceeded
            | Self::Internal => false,
        }
    }
}

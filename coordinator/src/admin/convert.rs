//! The group's words as the operator's.

use libra_proto::admin::Member;
use libra_raft::ChangeError;
use tonic::Status;

pub(super) fn member(member: libra_raft::Member) -> Member {
    Member {
        node_id: member.node_id.0,
        address: member.address,
        voter: member.voter,
        lag: member.lag,
    }
}

pub(super) fn change_failed(error: &ChangeError) -> Status {
    match error {
        ChangeError::Refused { .. } => Status::failed_precondition(error.to_string()),
        ChangeError::TimedOut { .. } => outcome_unknown(&error.to_string()),
        ChangeError::Stopped => Status::unavailable(error.to_string()),
    }
}

/// It may have been done, or may be yet.
pub(super) fn outcome_unknown(reason: &str) -> Status {
    Status::deadline_exceeded(format!("{reason}; ask for the status, or ask again"))
}

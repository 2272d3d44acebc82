//! What can be wrong with a snapshot, and how commands are refused.

use libra_proto::registry::{Rejection, RejectionCode};
use libra_proto::types::InvalidId;
use thiserror::Error;

/// A snapshot that no registry can be made of.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RestoreError {
    /// The first record is not a header, or there is none.
    #[error("snapshot does not begin with a header")]
    NoHeader,
    /// A second header.
    #[error("snapshot has more than one header")]
    SecondHeader,
    /// Written by a newer version.
    #[error("snapshot has feature level {found}, this version understands up to {known}")]
    TooNew {
        /// The header's level.
        found: u32,
        /// The newest level known here.
        known: u32,
    },
    /// A record of a kind that is not known here.
    #[error("snapshot record {position} is of a kind that is not known here")]
    UnknownKind {
        /// Its place in the snapshot, from 0.
        position: usize,
    },
    /// The same entity twice.
    #[error("snapshot holds {what} twice")]
    Duplicate {
        /// The entity.
        what: String,
    },
    /// A record that contradicts itself or the others.
    #[error("snapshot holds {what}, which {problem}")]
    Inconsistent {
        /// The entity.
        what: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A session id that does not have its form.
    #[error("snapshot holds a session with a malformed id")]
    SessionId {
        /// What is wrong with it.
        #[source]
        source: InvalidId,
    },
}

/// A refusal that needs no limit and no list.
pub(super) fn reject(code: RejectionCode, subject: impl Into<String>) -> Rejection {
    Rejection {
        code: code.into(),
        subject: subject.into(),
        ..Rejection::default()
    }
}

/// A refusal because a limit was met.
pub(super) fn over_limit(code: RejectionCode, subject: impl Into<String>, limit: u64) -> Rejection {
    Rejection {
        limit,
        ..reject(code, subject)
    }
}

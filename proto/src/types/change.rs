//! What an applied command touched.

use super::{JobId, SessionId};

/// What changed, by name: the receiver reads the registry for how it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A session, or its ownership.
    Session(SessionId),
    /// A statement of that session.
    Statement(JobId, SessionId),
    /// Pools, settings or nodes.
    Settings,
}

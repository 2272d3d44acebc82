//! What the log of the registry says was done, in its own order.

use serde::{Deserialize, Serialize};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Logged {
    /// The index of its entry, and which of that entry's events it is.
    pub(crate) index: u64,
    pub(crate) ordinal: u32,
    pub(crate) session: String,
    /// 0 where no owner said it.
    pub(crate) epoch: u64,
    pub(crate) what: LoggedWhat,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LoggedWhat {
    /// The session was given to an owner, under that epoch.
    Owned,
    /// The statement ended, as the owner under that epoch said.
    Ended(String),
}

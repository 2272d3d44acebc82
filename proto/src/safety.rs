//! Test-only switches: each takes one safety of the product off, to prove that the checkers see it.
//!
//! Production code asks [`off`] at the one place where a safety lives. Without the feature
//! `safety-switches` the answer is the constant `false`, and nothing of this is left in the build.
//! With it, switches are read once at the start of `libra serve` from the environment variable
//! [`VARIABLE`], or set by a test with [`take_off`].
//!
//! **Invariant:** no build that users get can take a safety off: the feature is on in test builds
//! only, and what is off is off for the whole life of the process.

#[cfg(feature = "safety-switches")]
mod switches;
#[cfg(all(test, feature = "safety-switches"))]
mod tests;

#[cfg(feature = "safety-switches")]
pub use switches::{UnknownSafety, VARIABLE, from_environment, off, parse, take_off};

/// A safety that a test build can take off, to prove that the checkers see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Safety {
    /// Commands of an older epoch, and owners that have lost their session, are refused. Off:
    /// `apply` and the owners' fences accept them.
    EpochCheck,
    /// What is acknowledged is on disk. Off: the store says so before it has synced, so a power
    /// cut takes what was acknowledged.
    SyncBeforeAck,
    /// Reads wait for a read index. Off: they answer from local state, however old.
    ReadIndex,
    /// An operation id is committed before Spark hears of it. Off: ExecutePlan goes out under an id
    /// of the moment, which nobody finds again.
    OperationIdFirst,
    /// The end of a result is committed once its copies are durable. Off: it does not wait for them.
    CopiesBeforeEnd,
    /// An owner counts its lease by its monotonic clock. Off: by the wall clock, which jumps.
    MonotonicLease,
    /// A leader renews leases after a quorum round. Off: at once, also when it leads nobody any more.
    QuorumRenewal,
    /// `apply` refuses starts beyond the slots. Off: it lets them pass.
    SlotReferee,
}

impl Safety {
    /// Every safety that there is.
    pub const ALL: [Self; 8] = [
        Self::EpochCheck,
        Self::SyncBeforeAck,
        Self::ReadIndex,
        Self::OperationIdFirst,
        Self::CopiesBeforeEnd,
        Self::MonotonicLease,
        Self::QuorumRenewal,
        Self::SlotReferee,
    ];

    /// Its name in the environment, on command lines and in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::EpochCheck => "epoch-check",
            Self::SyncBeforeAck => "sync-before-ack",
            Self::ReadIndex => "read-index",
            Self::OperationIdFirst => "operation-id-first",
            Self::CopiesBeforeEnd => "copies-before-end",
            Self::MonotonicLease => "monotonic-lease",
            Self::QuorumRenewal => "quorum-renewal",
            Self::SlotReferee => "slot-referee",
        }
    }

    /// The safety of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|safety| safety.name() == name)
    }
}

/// Whether it is off: never, in this build.
#[cfg(not(feature = "safety-switches"))]
#[inline]
#[must_use]
pub const fn off(_safety: Safety) -> bool {
    false
}

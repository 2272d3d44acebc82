//! What a session actor is told.

use libra_proto::registry::Incarnation;
use libra_proto::types::JobId;

use crate::ports::Proposed;
use crate::spark::SparkError;
use crate::statement::{Cleaned, Outcome};

/// One message of the session actor.
#[derive(Debug)]
pub(crate) enum Message {
    /// Something of this session changed in the registry.
    Reconcile,
    /// The Spark session was opened, or could not be.
    Opened {
        /// The Spark session id it was opened under.
        spark_session_id: String,
        /// What came of it.
        result: Box<Result<Incarnation, SparkError>>,
    },
    /// A proposal that this actor made is through; the registry says the rest.
    Proposed {
        /// What was proposed.
        what: Proposal,
        /// What came of it.
        result: Proposed,
    },
    /// A runner has ended.
    RunnerEnded {
        /// Its statement.
        job: JobId,
        /// The Spark session it ran in.
        spark_session_id: String,
        /// How.
        outcome: Outcome,
    },
    /// A clean-up has ended.
    CleanedUp {
        /// Its statement.
        job: JobId,
        /// The Spark session it ran in.
        spark_session_id: String,
        /// How.
        outcome: Cleaned,
    },
    /// Time to close the channel if nothing uses it.
    ChannelCheck,
    /// Time to show Spark that the session is still wanted.
    KeepAlive,
    /// The answer to a keep-alive.
    KeptAlive {
        /// The Spark session that was asked for.
        spark_session_id: String,
        /// What came of it.
        result: Box<Result<(), SparkError>>,
    },
    /// The Spark session is released, or Spark could not be told.
    Released,
    /// A linearizable read says that the session is not this actor's any more.
    NotOurs,
}

/// The proposals of a session actor; at most one of each is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Proposal {
    Open,
    Reset,
    Fail,
    Closed,
    CleanupDone(JobId),
}

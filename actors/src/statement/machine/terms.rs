//! What the statement machine is told, and what it says.
//!
//! PURE: no runtime, no clock, no network.

use libra_proto::registry::StatementError;

/// The times that decide, in milliseconds. The defaults follow what Spark promises: it keeps an
/// operation without a client for at least 5 minutes.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// How long after its start a statement that never arrived may still be sent.
    pub resend_within_ms: u64,
    /// Refused connections without a break for so long mean that Spark's process is gone.
    pub refused_ms: u64,
    /// Without any word from Spark for so long, the outcome is unknown.
    pub unreachable_ms: u64,
    /// The longest wait between two attempts.
    pub max_backoff_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            resend_within_ms: 240_000,
            refused_ms: 3_000,
            unreachable_ms: 240_000,
            max_backoff_ms: 2_000,
        }
    }
}

/// What is known when a runner begins.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// The statement became `running` under this very actor: nobody can have sent it yet.
    pub fresh: bool,
    /// The server refuses a repeated operation id even after release.
    pub remembers_operations: bool,
    /// A response of it is stored, or may be where nobody answers: it arrived, or may have.
    pub seen: bool,
    /// The stored result is whole, or was cut at a limit: nothing more will be read.
    pub stored_whole: bool,
}

/// Committed intents, as the registry has them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Intents {
    /// Somebody asked for it to be cancelled.
    pub cancel: bool,
    /// Its deadline has passed.
    pub timeout: bool,
}

impl Intents {
    /// Whether the statement is to be stopped.
    #[must_use]
    pub fn any(self) -> bool {
        self.cancel || self.timeout
    }
}

/// The clocks, read when an event is reported.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// This process's monotonic clock, in milliseconds.
    pub monotonic_ms: u64,
    /// For how long the statement has been `running` by the registry, in milliseconds.
    pub running_for_ms: u64,
}

/// What Spark said of an operation when asked for its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownStatus {
    /// It runs, or is being wound up.
    Running,
    /// It ran to its end.
    Succeeded,
    /// It failed.
    Failed,
    /// It was cancelled.
    Cancelled,
    /// The server does not know it, or cannot be asked.
    Unknown,
}

/// Why an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// Spark's own failure of this SQL.
    Statement(StatementError),
    /// The operation was cancelled in Spark.
    Canceled,
    /// Spark does not know the operation.
    NotFound,
    /// Spark knew it once and will not run it again.
    Abandoned,
    /// The id is in use. Spark says so even of the same plan when two requests race.
    AlreadyThere,
    /// The Spark session is gone: another driver, or closed for good.
    SessionLost(String),
    /// Another client has attached, or another writes the result: perhaps another owner.
    Disconnected,
    /// The responses to continue with have left Spark's buffer.
    PositionLost,
    /// Nothing listens at the endpoint.
    Refused,
    /// Reset, timed out, silent, or not understood.
    Unreachable(String),
    /// This node's disk refuses the result.
    NotStored(String),
    /// What is stored here of the result cannot be gone on with.
    Damaged(String),
}

/// What happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The runner begins.
    Begin,
    /// A response came in.
    Attached,
    /// `result_complete` is stored durably.
    Complete,
    /// A limit cut the result; what counts is stored durably.
    Cut,
    /// The server ended the stream before the operation's end.
    StreamEnded,
    /// The attempt failed.
    Failed(Failure),
    /// The answer to [`Action::AskStatus`].
    Status(KnownStatus),
    /// [`Action::Poison`] went through: the id can never run any more.
    Poisoned,
    /// [`Action::Poison`] found that the statement itself has arrived after all.
    Arrived,
    /// The answer to [`Action::ConfirmEpoch`], or what became known on the way.
    Owner(bool),
    /// [`Action::ConfirmEpoch`] got no answer in time.
    OwnerUnknown,
    /// [`Action::Wait`] is over.
    Waited,
}

/// How a statement ends.
#[derive(Debug, Clone, PartialEq)]
pub enum End {
    /// With its result.
    Succeeded,
    /// As asked.
    Cancelled,
    /// With an error.
    Failed(StatementError),
}

/// What to do next.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Send the operation, with its committed id.
    Execute,
    /// Attach after the last stored response.
    Reattach,
    /// Go on reading the stream.
    Read,
    /// Ask Spark what became of the operation.
    AskStatus,
    /// Make sure that the id never runs.
    Poison,
    /// Ask the registry, linearizably, whether this node still owns the session.
    ConfirmEpoch,
    /// Wait, then report [`Event::Waited`].
    Wait {
        /// How long, in milliseconds.
        ms: u64,
        /// The connection to Spark is lost: show it.
        reconnecting: bool,
    },
    /// Commit the end. Only then is the operation stopped: whoever goes on after a crash in between
    /// would find it cancelled, and not know what for.
    Finish {
        /// The end.
        end: End,
        /// Spark may be running it still: to be stopped and released.
        needs_cleanup: bool,
    },
    /// The Spark session is gone: the session actor decides for all its statements.
    SessionLost {
        /// What Spark said.
        reason: String,
        /// The operation surely never reached that Spark session.
        never_sent: bool,
    },
    /// This node cannot store the result: leave the operation as it is to a node that perhaps can.
    /// Where there is none the result is lost.
    Leave {
        /// Why it cannot.
        cause: String,
    },
    /// The session is not this node's any more: leave everything as it is.
    Stop,
}

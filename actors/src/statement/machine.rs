//! What the owner of a running statement does next: the rules that keep "exactly once" true,
//! without I/O. The shell (`runner`) performs each [`Action`] and reports what came of it.
//!
//! PURE: no runtime, no clock, no network; times are arguments.
//!
//! **Invariant:** an operation is sent to Spark again only with its own id, only where the server
//! remembers ids, only if no response of it was ever seen, and only while Spark surely still
//! remembers it ([`Limits::resend_within_ms`]).

use libra_proto::registry::StatementError;
use libra_proto::types::ErrorClass;

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
    /// At least one response of it is stored: it surely arrived.
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
    /// Another client has attached.
    Disconnected,
    /// The responses to continue with have left Spark's buffer.
    PositionLost,
    /// Nothing listens at the endpoint.
    Refused,
    /// Reset, timed out, silent, or not understood.
    Unreachable(String),
    /// The result cannot be stored here.
    Store(String),
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
    /// The answer to [`Action::ConfirmEpoch`].
    Owner(bool),
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
    /// Commit the end; stop the operation in Spark first if `interrupt`.
    Finish {
        /// The end.
        end: End,
        /// Spark may still be running it and could not be told to stop.
        needs_cleanup: bool,
        /// It may be running and must not go on.
        interrupt: bool,
    },
    /// The Spark session is gone: the session actor decides for all its statements.
    SessionLost {
        /// What Spark said.
        reason: String,
        /// The operation surely never reached that Spark session.
        never_sent: bool,
    },
    /// The session is not this node's any more: leave everything as it is.
    Stop,
}

/// What is to be done once the id is poisoned.
#[derive(Debug, Clone, PartialEq)]
struct AfterPoison(End);

/// The decision maker of one running statement.
#[derive(Debug, Clone)]
pub struct Machine {
    limits: Limits,
    remembers_operations: bool,
    seen: bool,
    stored_whole: bool,
    /// Spark may have got the operation.
    sent: bool,
    /// The attempt under way is the first that could have sent it.
    first_send: bool,
    intents: Intents,
    refused_since: Option<u64>,
    silent_since: Option<u64>,
    attempts: u32,
    poisoning: Option<AfterPoison>,
}

impl Machine {
    /// A machine for a statement of which this is known.
    #[must_use]
    pub fn new(limits: Limits, facts: Facts) -> Self {
        Self {
            limits,
            remembers_operations: facts.remembers_operations,
            seen: facts.seen,
            stored_whole: facts.stored_whole,
            sent: !facts.fresh,
            first_send: false,
            intents: Intents::default(),
            refused_since: None,
            silent_since: None,
            attempts: 0,
            poisoning: None,
        }
    }

    /// Notes the intents that are committed now.
    pub fn set_intents(&mut self, intents: Intents) {
        self.intents = intents;
    }

    /// The intents noted last.
    #[must_use]
    pub fn intents(&self) -> Intents {
        self.intents
    }

    /// The next action after `event`.
    pub fn on(&mut self, event: Event, now: Now) -> Action {
        match event {
            Event::Begin | Event::Waited => self.attempt(),
            Event::Attached => {
                self.heard();
                self.seen = true;
                Action::Read
            }
            Event::Complete => finish(End::Succeeded),
            Event::Cut => stop_in_spark(End::Succeeded),
            Event::StreamEnded => {
                self.heard();
                self.attempts += 1;
                if self.attempts > 1 {
                    self.wait(false)
                } else {
                    Action::Reattach
                }
            }
            Event::Failed(failure) => self.failed(failure, now),
            Event::Status(status) => self.told(status, now),
            Event::Poisoned => match self.poisoning.take() {
                Some(AfterPoison(end)) => finish(end),
                None => self.attempt(),
            },
            Event::Arrived => {
                self.poisoning = None;
                Action::Reattach
            }
            Event::Owner(true) => self.wait(false),
            Event::Owner(false) => Action::Stop,
        }
    }

    fn attempt(&mut self) -> Action {
        if self.stored_whole {
            return finish(End::Succeeded);
        }
        if self.poisoning.is_some() {
            return Action::Poison;
        }
        if self.sent {
            return Action::Reattach;
        }
        match self.stopped() {
            Some(end) => finish(end),
            None => self.execute(),
        }
    }

    fn execute(&mut self) -> Action {
        self.first_send = !self.sent;
        self.sent = true;
        Action::Execute
    }

    fn failed(&mut self, failure: Failure, now: Now) -> Action {
        let first_send = std::mem::take(&mut self.first_send);
        match failure {
            Failure::Statement(error) => finish(End::Failed(error)),
            Failure::Canceled => finish(self.stopped().unwrap_or_else(interrupted)),
            Failure::NotFound => self.not_found(),
            Failure::Abandoned => finish(
                self.stopped()
                    .unwrap_or_else(|| unknown("Spark does not remember the operation's end")),
            ),
            Failure::AlreadyThere => {
                self.heard();
                self.wait(false)
            }
            Failure::SessionLost(reason) => Action::SessionLost {
                reason,
                never_sent: first_send && !self.seen,
            },
            Failure::Disconnected => Action::ConfirmEpoch,
            Failure::PositionLost => stop_in_spark(self.stopped().unwrap_or_else(|| {
                lost("Spark no longer has the part of the result that is missing here")
            })),
            Failure::Store(cause) => stop_in_spark(lost(&cause)),
            Failure::Refused => {
                if first_send {
                    self.sent = false;
                }
                self.refused(now)
            }
            Failure::Unreachable(_) => {
                self.refused_since = None;
                self.silent(now)
            }
        }
    }

    fn refused(&mut self, now: Now) -> Action {
        let since = *self.refused_since.get_or_insert(now.monotonic_ms);
        let gone = now.monotonic_ms.saturating_sub(since) >= self.limits.refused_ms;
        if gone && self.sent {
            return self.give_up("Spark's process is gone");
        }
        self.silent(now)
    }

    fn silent(&mut self, now: Now) -> Action {
        if !self.sent
            && let Some(end) = self.stopped()
        {
            return finish(end);
        }
        let since = *self.silent_since.get_or_insert(now.monotonic_ms);
        if now.monotonic_ms.saturating_sub(since) < self.limits.unreachable_ms {
            self.attempts += 1;
            return self.wait(true);
        }
        if self.sent {
            self.give_up("Spark could not be reached")
        } else {
            finish(End::Failed(ErrorClass::SparkUnreachable.error(
                "Spark could not be reached; the statement was never sent",
            )))
        }
    }

    /// No word from Spark, and none to be expected in time: the operation may be running.
    fn give_up(&mut self, why: &str) -> Action {
        let end = match self.poisoning.take() {
            Some(AfterPoison(end)) => end,
            None => unknown(why),
        };
        Action::Finish {
            end,
            needs_cleanup: true,
            interrupt: false,
        }
    }

    fn not_found(&mut self) -> Action {
        self.heard();
        match self.stopped() {
            Some(end) => self.poison(end),
            None if self.remembers_operations => Action::AskStatus,
            None => finish(unknown("Spark does not know the operation any more")),
        }
    }

    fn told(&mut self, status: KnownStatus, now: Now) -> Action {
        match status {
            KnownStatus::Running => self.wait(false),
            KnownStatus::Succeeded => finish(lost(
                "the statement ran to its end, but Spark no longer has its result",
            )),
            KnownStatus::Failed => finish(lost(
                "the statement failed in Spark, which no longer has its error",
            )),
            KnownStatus::Cancelled => finish(self.stopped().unwrap_or_else(interrupted)),
            KnownStatus::Unknown => match self.stopped() {
                Some(end) => self.poison(end),
                None if self.may_send_again(now) => self.execute(),
                None => self.poison(unknown("Spark does not know the operation any more")),
            },
        }
    }

    fn may_send_again(&self, now: Now) -> bool {
        self.remembers_operations && !self.seen && now.running_for_ms < self.limits.resend_within_ms
    }

    fn poison(&mut self, end: End) -> Action {
        if !self.remembers_operations {
            return finish(end);
        }
        self.poisoning = Some(AfterPoison(end));
        Action::Poison
    }

    fn stopped(&self) -> Option<End> {
        if self.intents.cancel {
            Some(End::Cancelled)
        } else if self.intents.timeout {
            Some(End::Failed(
                ErrorClass::Timeout.error("the statement's timeoutSeconds have passed"),
            ))
        } else {
            None
        }
    }

    fn heard(&mut self) {
        self.refused_since = None;
        self.silent_since = None;
        self.first_send = false;
    }

    /// Progress was made: the next interruption is the first again.
    pub fn progressed(&mut self) {
        self.attempts = 0;
    }

    fn wait(&self, reconnecting: bool) -> Action {
        let ms = 50_u64 << self.attempts.min(10);
        Action::Wait {
            ms: ms.min(self.limits.max_backoff_ms),
            reconnecting,
        }
    }
}

fn finish(end: End) -> Action {
    Action::Finish {
        end,
        needs_cleanup: false,
        interrupt: false,
    }
}

fn stop_in_spark(end: End) -> Action {
    Action::Finish {
        end,
        needs_cleanup: false,
        interrupt: true,
    }
}

fn interrupted() -> End {
    End::Failed(
        ErrorClass::Interrupted
            .error("Spark cancelled the statement, and nobody had asked for that here"),
    )
}

fn unknown(why: &str) -> End {
    End::Failed(
        ErrorClass::OutcomeUnknown.error(format!("{why}: the statement may or may not have run")),
    )
}

fn lost(why: &str) -> End {
    End::Failed(ErrorClass::ResultLost.error(why))
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;

//! What the owner of a running statement does next: the rules that keep "exactly once" true,
//! without I/O. The shell (`runner`) performs each [`Action`] and reports what came of it.
//!
//! PURE: no runtime, no clock, no network; times are arguments.
//!
//! **Invariant:** an operation is sent to Spark again only with its own id, only where the server
//! remembers ids, only if no response of it was ever seen, and only while Spark surely still
//! remembers it ([`Limits::resend_within_ms`]).

mod terms;

use libra_proto::types::ErrorClass;

pub use terms::{Action, End, Event, Facts, Failure, Intents, KnownStatus, Limits, Now};

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
    /// Nothing more is done before the epoch is confirmed.
    unconfirmed: bool,
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
            unconfirmed: false,
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
            Event::Owner(true) => {
                self.unconfirmed = false;
                self.wait(false)
            }
            Event::Owner(false) => Action::Stop,
            Event::OwnerUnknown => {
                self.attempts += 1;
                self.wait(false)
            }
        }
    }

    fn attempt(&mut self) -> Action {
        if self.unconfirmed {
            return Action::ConfirmEpoch;
        }
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
            Failure::Disconnected => {
                self.unconfirmed = true;
                Action::ConfirmEpoch
            }
            Failure::PositionLost => stop_in_spark(self.stopped().unwrap_or_else(|| {
                lost("Spark no longer has the part of the result that is missing here")
            })),
            Failure::NotStored(cause) => Action::Leave { cause },
            Failure::Damaged(cause) => stop_in_spark(lost(&cause)),
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
        stop_in_spark(end)
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
    }
}

fn stop_in_spark(end: End) -> Action {
    Action::Finish {
        end,
        needs_cleanup: true,
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
mod tests;

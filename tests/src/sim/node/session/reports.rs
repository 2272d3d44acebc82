//! What the tasks of a session actor report, and what it makes of that.

use libra_proto::registry::{
    CleanupDone, FailSession, Incarnation, OpenSession, ResetSession, SessionClosed, command,
};
use libra_proto::types::JobId;

use super::super::registry::Proposed;
use super::super::runner::Outcome;
use super::{Actor, Cleaned, What};
use crate::sim::spark::{Broken, session_lost};
use crate::sim::trace::note;

impl Actor {
    pub(super) fn opened(&mut self, spark_session_id: &str, result: Result<Incarnation, Broken>) {
        if self.opening.as_deref() == Some(spark_session_id) {
            self.opening = None;
        }
        let Some(view) = self.ours() else { return };
        if view.session.spark_session_id != spark_session_id {
            return self.reconcile();
        }
        match result {
            Ok(incarnation) => {
                self.failed_attempts = 0;
                let open = OpenSession {
                    session_id: self.id.to_string(),
                    epoch: self.epoch,
                    incarnation: Some(incarnation),
                };
                self.propose(What::Open, command::Kind::OpenSession(open));
            }
            Err(broken) => match (session_lost(&broken), broken) {
                (Some(reason), _) => self.reset(spark_session_id, &reason),
                (None, Broken::Said { class, message }) => {
                    let error = libra_proto::registry::StatementError {
                        error_class: class,
                        message,
                        ..Default::default()
                    };
                    let fail = FailSession {
                        session_id: self.id.to_string(),
                        epoch: self.epoch,
                        error: Some(error),
                    };
                    self.propose(What::Fail, command::Kind::FailSession(fail));
                }
                (None, Broken::Refused | Broken::Silent) => {
                    self.failed_attempts = self.failed_attempts.saturating_add(1);
                    self.reconcile();
                }
            },
        }
    }

    pub(super) fn reset(&mut self, lost: &str, reason: &str) {
        let Some(view) = self.ours() else { return };
        if view.session.spark_session_id != lost {
            return self.reconcile();
        }
        if self.proposing.contains(&What::Reset) {
            return;
        }
        note!(
            self.node.world(),
            "n{} has lost the Spark session of {}: {reason}",
            self.node.id(),
            self.id
        );
        let reset = ResetSession {
            session_id: self.id.to_string(),
            epoch: self.epoch,
            old_spark_session_id: view.session.spark_session_id,
            new_spark_session_id: self.node.0.dice.uuid(),
            reason: reason.to_owned(),
            never_sent: self.never_sent.iter().map(|job| job.0).collect(),
        };
        self.propose(What::Reset, command::Kind::ResetSession(reset));
    }

    pub(super) fn proposed(&mut self, what: What, result: &Proposed) {
        self.proposing.remove(&what);
        match result {
            Proposed::Applied(_) | Proposed::Rejected(_) => self.unanswered = 0,
            Proposed::Unknown(_) => self.unanswered = self.unanswered.saturating_add(1),
        }
        if what == What::Reset {
            // The runners of the lost Spark session have nothing to go on with.
            for (_, running) in std::mem::take(&mut self.runners) {
                running.stop.stop();
            }
            self.cleaning.clear();
            self.never_sent.clear();
        }
        self.reconcile();
    }

    pub(super) fn runner_ended(&mut self, job: JobId, lived_in: &str, outcome: Outcome) {
        self.runners.remove(&job);
        match outcome {
            Outcome::Ended | Outcome::NotOurs => self.reconcile(),
            Outcome::SessionLost { reason, never_sent } => {
                if never_sent {
                    self.never_sent.insert(job);
                }
                self.reset(lived_in, &reason);
            }
        }
    }

    pub(super) fn cleaned_up(&mut self, job: JobId, lived_in: &str, outcome: Cleaned) {
        self.cleaning.remove(&job);
        match outcome {
            Cleaned::Done => self.cleanup_done(job),
            Cleaned::SessionLost(reason) => {
                let Some(view) = self.ours() else { return };
                if view.session.spark_session_id == lived_in && view.session.state().is_owned() {
                    self.reset(lived_in, &reason);
                } else {
                    self.cleanup_done(job);
                }
            }
            Cleaned::NotYet => {
                self.failed_attempts = self.failed_attempts.saturating_add(1);
                self.reconcile();
            }
        }
    }

    pub(super) fn cleanup_done(&mut self, job: JobId) {
        self.failed_attempts = 0;
        let done = command::Kind::CleanupDone(CleanupDone {
            job: job.0,
            epoch: self.epoch,
        });
        self.propose(What::CleanupDone(job), done);
    }

    pub(super) fn kept_alive(&mut self, lived_in: &str, result: Result<(), Broken>) {
        self.probing = false;
        if let Err(broken) = result
            && let Some(reason) = session_lost(&broken)
        {
            self.reset(lived_in, &reason);
        }
    }

    pub(super) fn released(&mut self) {
        self.releasing = false;
        let closed = SessionClosed {
            session_id: self.id.to_string(),
            epoch: self.epoch,
        };
        self.propose(What::Closed, command::Kind::SessionClosed(closed));
    }
}

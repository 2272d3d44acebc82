//! How a runner ends its statement: seal its result, commit its end, release it in Spark.
//!
//! **Invariant:** nothing is released in Spark before the end is applied, and nothing at all is done
//! for a session that has another owner.

use std::time::Duration;

use libra_proto::registry::{Finish, RejectionCode, StatementState, command};
use libra_proto::types::ErrorClass;
use tokio::time::{sleep, timeout};
use tracing::{Instrument as _, Span};

use crate::failpoint;
use crate::lease::Owner;
use crate::ports::{Proposed, ResultWriter, StoreError};

use super::machine::End;
use super::runner::{CONTESTED, Outcome, Runner};
use super::spans;

/// How long one best-effort call (interrupt, release) may take.
const BEST_EFFORT: Duration = Duration::from_secs(5);

impl Runner {
    /// Stops the operation in Spark, if it can be told now.
    pub(super) async fn interrupt(&self) {
        if self.fence.pass().await == Owner::Another {
            return;
        }
        let call = self.spark.interrupt(&self.statement.operation_id);
        match timeout(BEST_EFFORT, call).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => tracing::debug!(job_id = %self.job(), %error, "interrupt failed"),
            Err(_) => tracing::debug!(job_id = %self.job(), "interrupt timed out"),
        }
    }

    /// Commits the end, however often it takes, then releases the operation in Spark.
    pub(super) async fn finish(
        &self,
        end: End,
        writer: Option<&mut dyn ResultWriter>,
        needs_cleanup: bool,
    ) -> Outcome {
        let span = spans::finish(&self.statement, self.epoch);
        let committed = self.commit_end(end, writer, needs_cleanup);
        let outcome = committed.instrument(span).await;
        failpoint::hit("committed-not-released");
        if outcome == Outcome::Ended && !needs_cleanup {
            self.release().await;
        }
        outcome
    }

    async fn commit_end(
        &self,
        end: End,
        mut writer: Option<&mut dyn ResultWriter>,
        needs_cleanup: bool,
    ) -> Outcome {
        if self.fence.pass().await == Owner::Another {
            return Outcome::NotOurs;
        }
        let (state, result, error) = match (end, &mut writer) {
            (End::Succeeded, Some(writer)) => match writer.seal().await {
                Ok(manifest) => (StatementState::Succeeded, Some(manifest), None),
                Err(StoreError::Superseded { .. }) => {
                    // If it is still this node's after all, the next runner finds out how.
                    let _ = self.is_ours().await;
                    sleep(CONTESTED).await;
                    return Outcome::NotOurs;
                }
                Err(error) => {
                    let cause = error.to_string();
                    if matches!(error, StoreError::Io { .. })
                        && let Some(outcome) = self.give_away(&cause).await
                    {
                        return outcome;
                    }
                    let error = ErrorClass::ResultLost.error(cause);
                    (StatementState::Failed, None, Some(error))
                }
            },
            (End::Succeeded, None) => {
                let error = ErrorClass::ResultLost.error("its result was never stored");
                (StatementState::Failed, None, Some(error))
            }
            (End::Cancelled, _) => (StatementState::Cancelled, None, None),
            (End::Failed(error), _) => (StatementState::Failed, None, Some(error)),
        };
        failpoint::hit("stored-not-committed");
        Span::current().record("state", state.label());
        // Until its end is committed a small result is nowhere but in Spark and here.
        let inline = result.as_ref().is_some_and(|it| !it.inline.is_empty());
        let sealed = writer.filter(|_| inline);
        let finish = Finish {
            job: self.statement.job,
            epoch: self.epoch.0,
            state: state.into(),
            result,
            error,
            needs_cleanup,
        };
        self.commit(finish, sealed).await
    }

    async fn commit(&self, finish: Finish, mut sealed: Option<&mut dyn ResultWriter>) -> Outcome {
        let mut backoff = Duration::from_millis(20);
        loop {
            if self.fence.pass().await == Owner::Another {
                return Outcome::NotOurs;
            }
            match self
                .ports
                .registry
                .propose(command::Kind::Finish(finish.clone()))
                .await
            {
                Proposed::Applied(_) => return Outcome::Ended,
                Proposed::Rejected(rejection) => {
                    return match rejection.code() {
                        RejectionCode::AlreadyEnded => Outcome::Ended,
                        code => {
                            tracing::warn!(job_id = %self.job(), ?code, "end refused by the registry");
                            Outcome::NotOurs
                        }
                    };
                }
                Proposed::Unknown(reason) => {
                    tracing::debug!(job_id = %self.job(), reason, "end not committed yet");
                    if let Some(writer) = sealed.take()
                        && let Err(error) = writer.keep().await
                    {
                        tracing::warn!(job_id = %self.job(), %error, "result not kept until its end is committed");
                    }
                    sleep(backoff).await;
                    backoff = (backoff * 2).min(Duration::from_secs(1));
                }
            }
        }
    }

    async fn release(&self) {
        let call = self.spark.release(&self.statement.operation_id);
        let call = call.instrument(spans::release(&self.statement));
        if let Ok(Err(error)) = timeout(BEST_EFFORT, call).await {
            tracing::debug!(job_id = %self.job(), %error, "operation not released; Spark drops it by itself");
        }
    }
}

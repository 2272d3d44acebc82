//! How a runner ends its statement, as production's `ending`.

use std::time::Duration;

use libra_actors::statement::machine::End;
use libra_proto::registry::{Finish, RejectionCode, StatementState, command};
use libra_proto::types::ErrorClass;
use libra_raft::simulation::Runtime;

use super::super::lease::Owner;
use super::super::registry::Proposed;
use super::super::results::{Superseded, Writer};
use super::{CONTESTED, Outcome, Runner};

/// A best-effort call to Spark.
const BEST_EFFORT: Duration = Duration::from_secs(2);

impl Runner {
    pub(super) async fn interrupt(&self) {
        if self.fence.pass().await == Owner::Another {
            return;
        }
        self.acts("interrupt");
        let world = self.node.world();
        let operation = &self.statement.operation_id;
        let call = world.spark.interrupt(&world.net, &self.session, operation);
        let _ = Runtime::within(BEST_EFFORT, Box::pin(call)).await;
    }

    /// Commits the end, however often it takes, then releases the operation in Spark.
    pub(super) async fn finish(
        &self,
        end: End,
        mut writer: Option<&mut Writer>,
        needs_cleanup: bool,
    ) -> Outcome {
        if self.fence.pass().await == Owner::Another {
            return Outcome::NotOurs;
        }
        let (state, result, error) = match (end, &mut writer) {
            (End::Succeeded, Some(writer)) => match writer.seal().await {
                Ok(manifest) => (StatementState::Succeeded, Some(manifest), None),
                Err(Superseded) => {
                    let _ = self.is_ours().await;
                    Runtime::pause(CONTESTED).await;
                    return Outcome::NotOurs;
                }
            },
            (End::Succeeded, None) => {
                let error = ErrorClass::ResultLost.error("its result was never stored");
                (StatementState::Failed, None, Some(error))
            }
            (End::Cancelled, _) => (StatementState::Cancelled, None, None),
            (End::Failed(error), _) => (StatementState::Failed, None, Some(error)),
        };
        let finish = Finish {
            job: self.job(),
            epoch: self.epoch,
            state: state.into(),
            result,
            error,
            needs_cleanup,
        };
        let outcome = self.commit(finish, writer).await;
        if outcome == Outcome::Ended && !needs_cleanup {
            let world = self.node.world();
            let operation = &self.statement.operation_id;
            let call = world.spark.release(&world.net, &self.session, operation);
            let _ = Runtime::within(BEST_EFFORT, Box::pin(call)).await;
        }
        outcome
    }

    async fn commit(&self, finish: Finish, mut writer: Option<&mut Writer>) -> Outcome {
        let mut backoff = Duration::from_millis(20);
        loop {
            if self.fence.pass().await == Owner::Another {
                return Outcome::NotOurs;
            }
            let proposed = self.node.propose(command::Kind::Finish(finish.clone()));
            match proposed.await {
                Proposed::Applied(_) => return Outcome::Ended,
                Proposed::Rejected(rejection) => {
                    return match rejection.code() {
                        RejectionCode::AlreadyEnded => Outcome::Ended,
                        _ => Outcome::NotOurs,
                    };
                }
                Proposed::Unknown(_) => {
                    if finish.result.is_some()
                        && let Some(writer) = writer.take()
                    {
                        writer.keep().await;
                    }
                    Runtime::pause(backoff).await;
                    backoff = (backoff * 2).min(Duration::from_secs(1));
                }
            }
        }
    }
}

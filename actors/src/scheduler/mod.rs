//! The scheduler: one actor that alone grants slots. It reads what waits from the registry, asks
//! [`crate::fair`], and commits the grants in one batch; `apply` is the referee.
//!
//! **Invariant:** it keeps no queue of its own, and at most one batch of grants is under way.

use std::sync::Arc;
use std::time::Duration;

use libra_proto::registry::{StartBatch, command};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::time::sleep;

use crate::fair;
use crate::ports::{Feed, Proposed, RegistryPort};
use crate::pump::{self, Attached, Handled};

/// The wait after a batch whose outcome is not known.
const AFTER_UNKNOWN: Duration = Duration::from_millis(100);

/// The scheduler of this node; it runs where the registry's leader is.
pub(crate) struct Scheduler;

/// What the scheduler is told.
pub(crate) enum Message {
    /// The registry has changed.
    Feed(Feed, Handled),
    /// The batch that was under way is through.
    Granted(Proposed),
}

/// The scheduler's state.
pub(crate) struct State {
    registry: Arc<dyn RegistryPort>,
    granting: Option<Attached>,
    _pump: Attached,
}

impl Actor for Scheduler {
    type Msg = Message;
    type State = State;
    type Arguments = Arc<dyn RegistryPort>;

    async fn pre_start(
        &self,
        me: ActorRef<Message>,
        registry: Arc<dyn RegistryPort>,
    ) -> Result<State, ActorProcessingErr> {
        let pump = pump::start(registry.as_ref(), &me, Message::Feed);
        Ok(State {
            registry,
            granting: None,
            _pump: pump,
        })
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        state: &mut State,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Feed(Feed::Closed, _) => me.stop(Some("the registry has stopped".to_owned())),
            Message::Feed(Feed::Changes(_) | Feed::Lagged, _handled) => look(&me, state),
            Message::Granted(result) => {
                state.granting = None;
                match result {
                    Proposed::Applied(_) => {}
                    Proposed::Rejected(rejection) => {
                        tracing::warn!(?rejection, "grants refused by the registry");
                    }
                    Proposed::Unknown(reason) => {
                        tracing::debug!(reason, "grants without answer; reading again");
                    }
                }
                look(&me, state);
            }
        }
        Ok(())
    }
}

fn look(me: &ActorRef<Message>, state: &mut State) {
    if state.granting.is_some() {
        // Its answer comes as a message, which looks again.
        return;
    }
    let jobs: Vec<u64> = state
        .registry
        .demand()
        .iter()
        .flat_map(fair::grants)
        .map(|job| job.0)
        .collect();
    if jobs.is_empty() {
        return;
    }
    let (me, registry) = (me.clone(), Arc::clone(&state.registry));
    let task = tokio::spawn(async move {
        let result = registry
            .propose(command::Kind::StartBatch(StartBatch { jobs }))
            .await;
        if matches!(result, Proposed::Unknown(_)) {
            sleep(AFTER_UNKNOWN).await;
        }
        let _ = me.cast(Message::Granted(result));
    });
    state.granting = Some(Attached(task.abort_handle()));
}

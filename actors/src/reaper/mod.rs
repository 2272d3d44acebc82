//! The reaper: commits what time alone brings about: deadlines of statements, idle sessions,
//! history that retention no longer keeps.
//!
//! **Invariant:** it only proposes; whether a deadline has passed is judged again by `apply`.

use std::sync::Arc;
use std::time::Duration;

use libra_proto::registry::{CloseSession, Retire, TimeOut, command};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::time::{MissedTickBehavior, interval};

use crate::ports::{Proposed, RegistryPort};
use crate::pump::Attached;

/// How often deadlines are looked at.
const DEADLINES: Duration = Duration::from_millis(200);
/// Idle sessions and history are looked at once in so many rounds.
const ROUNDS_PER_SWEEP: u64 = 5;

/// The reaper of this node; it runs where the registry's leader is.
pub(crate) struct Reaper;

/// What the reaper is told.
pub(crate) enum Message {
    /// Its loop has ended: the node is stopping.
    Ended,
}

impl Actor for Reaper {
    type Msg = Message;
    type State = Attached;
    type Arguments = Arc<dyn RegistryPort>;

    async fn pre_start(
        &self,
        me: ActorRef<Message>,
        registry: Arc<dyn RegistryPort>,
    ) -> Result<Attached, ActorProcessingErr> {
        let task = tokio::spawn(async move {
            reap(registry.as_ref()).await;
            let _ = me.cast(Message::Ended);
        });
        Ok(Attached(task.abort_handle()))
    }

    async fn handle(
        &self,
        me: ActorRef<Message>,
        message: Message,
        _state: &mut Attached,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Ended => me.stop(None),
        }
        Ok(())
    }
}

async fn reap(registry: &dyn RegistryPort) {
    let mut clock = interval(DEADLINES);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut round = 0_u64;
    loop {
        clock.tick().await;
        let now_ms = registry.now_ms();
        time_out(registry, now_ms).await;
        if round.is_multiple_of(ROUNDS_PER_SWEEP) {
            close_idle(registry, now_ms).await;
            retire(registry, now_ms).await;
        }
        round = round.wrapping_add(1);
    }
}

async fn time_out(registry: &dyn RegistryPort, now_ms: u64) {
    let jobs: Vec<u64> = registry
        .overdue(now_ms)
        .into_iter()
        .map(|job| job.0)
        .collect();
    if !jobs.is_empty() {
        report(
            "deadlines",
            registry
                .propose(command::Kind::TimeOut(TimeOut { jobs }))
                .await,
        );
    }
}

async fn close_idle(registry: &dyn RegistryPort, now_ms: u64) {
    for (id, if_idle_since_ms) in registry.idle_sessions(now_ms) {
        let close = CloseSession {
            session_id: id.to_string(),
            reason: "idle".to_owned(),
            if_idle_since_ms,
        };
        report(
            "idle session",
            registry.propose(command::Kind::CloseSession(close)).await,
        );
    }
}

async fn retire(registry: &dyn RegistryPort, now_ms: u64) {
    let old = registry.retirable(now_ms);
    if old.jobs.is_empty() && old.sessions.is_empty() {
        return;
    }
    let retire = Retire {
        jobs: old.jobs.iter().map(|job| job.0).collect(),
        sessions: old.sessions.iter().map(ToString::to_string).collect(),
    };
    report(
        "retention",
        registry.propose(command::Kind::Retire(retire)).await,
    );
}

fn report(what: &str, result: Proposed) {
    match result {
        Proposed::Applied(_) => {}
        Proposed::Rejected(rejection) => tracing::debug!(what, ?rejection, "reaper refused"),
        Proposed::Unknown(reason) => tracing::debug!(what, reason, "reaper without answer"),
    }
}

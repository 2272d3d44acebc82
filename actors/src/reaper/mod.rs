//! The reaper: commits what time alone brings about: deadlines of statements, idle sessions,
//! history that retention no longer keeps.
//!
//! **Invariant:** it only proposes, in its term; whether a deadline has passed is judged again by
//! `apply`, so that a proposal of unknown outcome needs nothing but the next round. It judges by the
//! registry's clock, as `apply` does, whatever this node's own says.

use std::sync::Arc;
use std::time::Duration;

use libra_proto::registry::{CloseSession, Retire, TimeOut, applied, command};
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::time::{MissedTickBehavior, interval};

use crate::mandate::Mandate;
use crate::ports::Proposed;
use crate::pump::Attached;
use crate::registry_clock::RegistryClock;

/// How often deadlines are looked at.
const DEADLINES: Duration = Duration::from_millis(200);
/// Idle sessions and history are looked at once in so many rounds.
const ROUNDS_PER_SWEEP: u64 = 5;
/// Batches of history that one sweep removes at most: more than can have ended since the last one.
const BATCHES_PER_SWEEP: usize = 20;

/// The reaper of one term; it runs where the registry's leader is.
pub(crate) struct Reaper;

/// What the reaper is started with.
pub(crate) struct Arguments {
    pub(crate) mandate: Mandate,
    pub(crate) clock: Arc<RegistryClock>,
}

/// What the reaper is told.
pub(crate) enum Message {
    /// Its loop has ended, which it never does by itself.
    Ended,
}

impl Actor for Reaper {
    type Msg = Message;
    type State = Attached;
    type Arguments = Arguments;

    async fn pre_start(
        &self,
        me: ActorRef<Message>,
        arguments: Arguments,
    ) -> Result<Attached, ActorProcessingErr> {
        let task = tokio::spawn(async move {
            // A panic ends the loop too, and the guard tells.
            let _ended = Ended(me);
            reap(&arguments.mandate, &arguments.clock).await;
        });
        Ok(Attached(task.abort_handle()))
    }

    async fn handle(
        &self,
        _me: ActorRef<Message>,
        message: Message,
        _state: &mut Attached,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Ended => Err("the reaper's loop has ended".into()),
        }
    }
}

struct Ended(ActorRef<Message>);

impl Drop for Ended {
    fn drop(&mut self) {
        // The actor may be the one that ended it.
        let _ = self.0.cast(Message::Ended);
    }
}

async fn reap(leader: &Mandate, registry_clock: &RegistryClock) {
    let mut clock = interval(DEADLINES);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut round = 0_u64;
    loop {
        clock.tick().await;
        // Nor later than what is proposed now would say: `apply` judges by that.
        let now_ms = registry_clock.now_ms().min(leader.registry().now_ms());
        time_out(leader, now_ms).await;
        if round.is_multiple_of(ROUNDS_PER_SWEEP) {
            close_idle(leader, now_ms).await;
            retire(leader, now_ms).await;
        }
        round = round.wrapping_add(1);
    }
}

async fn time_out(leader: &Mandate, now_ms: u64) {
    let jobs: Vec<u64> = leader
        .registry()
        .overdue(now_ms)
        .into_iter()
        .map(|job| job.0)
        .collect();
    if !jobs.is_empty() {
        report(
            "deadlines",
            leader
                .propose(command::Kind::TimeOut(TimeOut { jobs }))
                .await,
        );
    }
}

async fn close_idle(leader: &Mandate, now_ms: u64) {
    for (id, if_idle_since_ms) in leader.registry().idle_sessions(now_ms) {
        let close = CloseSession {
            session_id: id.to_string(),
            reason: "idle".to_owned(),
            if_idle_since_ms,
        };
        report(
            "idle session",
            leader.propose(command::Kind::CloseSession(close)).await,
        );
    }
}

/// Removes history until nothing is too old, or a batch was not removed.
async fn retire(leader: &Mandate, now_ms: u64) {
    for _ in 0..BATCHES_PER_SWEEP {
        let old = leader.registry().retirable(now_ms);
        if old.jobs.is_empty() && old.sessions.is_empty() {
            return;
        }
        let retire = Retire {
            jobs: old.jobs.iter().map(|job| job.0).collect(),
            sessions: old.sessions.iter().map(ToString::to_string).collect(),
        };
        let result = leader.propose(command::Kind::Retire(retire)).await;
        let removed = matches!(&result, Proposed::Applied(applied)
            if matches!(&applied.result, Some(applied::Result::Done(done)) if done.changed));
        report("retention", result);
        if !removed {
            return;
        }
    }
}

fn report(what: &str, result: Proposed) {
    match result {
        Proposed::Applied(_) => {}
        Proposed::Rejected(rejection) => tracing::debug!(what, ?rejection, "reaper refused"),
        Proposed::Unknown(reason) => tracing::debug!(what, reason, "reaper without answer"),
    }
}

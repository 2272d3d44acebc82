//! The tasks beside a session actor: each does one slow thing and reports back as a message.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use libra_proto::registry::{CleanupRecord, command};
use libra_proto::types::JobId;
use ractor::ActorRef;
use tokio::task::AbortHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep, timeout};

use crate::lease::Owner;
use crate::statement::clean_up;

use super::message::{Message, Proposal};
use super::state::State;

/// Spawns a task of this actor that reports with one message. It waits, and only then passes the
/// fence: all that an owner does to Spark or proposes is spawned here, and a wait may be longer
/// than a lease.
fn spawn<F>(state: &State, to: &ActorRef<Message>, delay: Duration, work: F) -> AbortHandle
where
    F: Future<Output = Message> + Send + 'static,
{
    let (to, fence) = (to.clone(), state.fence.clone());
    let task = state.tasks.spawn(async move {
        sleep(delay).await;
        let report = match fence.pass().await {
            Owner::This => work.await,
            Owner::Another => Message::NotOurs,
        };
        // An actor that has stopped has no use for the report.
        let _ = to.cast(report);
    });
    task.abort_handle()
}

/// Starts the actor's clocks.
pub(super) fn start(state: &mut State, to: &ActorRef<Message>) {
    let period = state.options.channel_idle;
    let task = tick(state, to, period, || Message::ChannelCheck);
    keep(state, task);
    pace_keep_alive(state, to);
}

/// Shows Spark that the session is wanted as often as its own timeout asks for.
pub(super) fn pace_keep_alive(state: &mut State, to: &ActorRef<Message>) {
    let timeout_ms = state.incarnation.as_ref().map(|i| i.session_timeout_ms);
    let period = keep_alive_period(state.options.keep_alive, timeout_ms.unwrap_or(0));
    if state.keep_alive.as_ref().is_some_and(|(p, _)| *p == period) {
        return;
    }
    let task = tick(state, to, period, || Message::KeepAlive);
    if let Some((_, earlier)) = state.keep_alive.replace((period, task)) {
        earlier.abort();
    }
}

/// A sixth of Spark's session timeout (0 = none), so that a few calls may be lost.
fn keep_alive_period(longest: Duration, timeout_ms: u64) -> Duration {
    const SHORTEST: Duration = Duration::from_millis(200);
    if timeout_ms == 0 {
        return longest;
    }
    Duration::from_millis(timeout_ms / 6).clamp(SHORTEST.min(longest), longest)
}

fn tick(
    state: &State,
    to: &ActorRef<Message>,
    period: Duration,
    message: fn() -> Message,
) -> AbortHandle {
    let to = to.clone();
    let task = state.tasks.spawn(async move {
        let mut clock = interval_at(Instant::now() + period, period);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            clock.tick().await;
            if to.cast(message()).is_err() {
                return;
            }
        }
    });
    task.abort_handle()
}

/// Opens the Spark session.
pub(super) fn open(state: &mut State, to: &ActorRef<Message>, conf: Conf) {
    let Some(client) = state.client() else { return };
    let defaults = Arc::clone(&state.conf);
    let spark_session_id = conf.spark_session_id;
    state.opening = Some(spark_session_id.clone());
    let task = spawn(state, to, state.backoff(), async move {
        let result = defaults.open(&client, &spark_session_id, &conf.own).await;
        Message::Opened {
            spark_session_id,
            result: Box::new(result),
        }
    });
    keep(state, task);
}

/// What a Spark session is opened with.
pub(super) struct Conf {
    pub(super) spark_session_id: String,
    /// The session's own conf, which goes over the defaults.
    pub(super) own: BTreeMap<String, String>,
}

/// Proposes a command, unless the same proposal is under way.
pub(super) fn propose(
    state: &mut State,
    to: &ActorRef<Message>,
    what: Proposal,
    command: command::Kind,
) {
    if !state.proposing.insert(what) {
        return;
    }
    let registry = state.ports.registry.clone();
    let task = spawn(state, to, state.proposal_backoff(), async move {
        let result = registry.propose(command).await;
        Message::Proposed { what, result }
    });
    keep(state, task);
}

/// Winds up one operation.
pub(super) fn clean(state: &mut State, to: &ActorRef<Message>, record: CleanupRecord) {
    let job = JobId(record.job);
    let Some(incarnation) = &record.incarnation else {
        return;
    };
    let Some(client) = state.client() else { return };
    let spark_session_id = incarnation.spark_session_id.clone();
    let spark = state.speaks(&client, incarnation);
    if !state.cleaning.insert(job) {
        return;
    }
    let task = spawn(state, to, state.backoff(), async move {
        Message::CleanedUp {
            job,
            spark_session_id,
            outcome: clean_up(&spark, &record).await,
        }
    });
    keep(state, task);
}

/// Shows Spark that the session is wanted.
pub(super) fn keep_alive(state: &mut State, to: &ActorRef<Message>) {
    let spark_session_id = state.spark_session_id();
    let Some(spark) = state.spark() else { return };
    if std::mem::replace(&mut state.probing, true) {
        return;
    }
    let task = spawn(state, to, Duration::ZERO, async move {
        let result = Box::new(spark.keep_alive().await);
        Message::KeptAlive {
            spark_session_id,
            result,
        }
    });
    keep(state, task);
}

/// Releases the Spark session, within a limit.
pub(super) fn release(state: &mut State, to: &ActorRef<Message>) {
    if std::mem::replace(&mut state.releasing, true) {
        return;
    }
    let (spark, limit) = (state.spark(), state.options.release_limit);
    let task = spawn(state, to, Duration::ZERO, async move {
        if let Some(spark) = spark {
            match timeout(limit, spark.release_session()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::warn!(%error, "Spark session not released"),
                Err(_) => tracing::warn!("Spark session not released in time"),
            }
        }
        Message::Released
    });
    keep(state, task);
}

fn keep(state: &mut State, task: AbortHandle) {
    state.helpers.retain(|helper| !helper.is_finished());
    state.helpers.push(task);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_shown_to_be_wanted_six_times_per_timeout() {
        let longest = Duration::from_secs(600);
        for (timeout_ms, expected_ms) in [
            (0, 600_000),
            (3_600_000, 600_000),
            (u64::MAX, 600_000),
            (60_000, 10_000),
            (1, 200),
        ] {
            let period = keep_alive_period(longest, timeout_ms);
            assert_eq!(period, Duration::from_millis(expected_ms), "{timeout_ms}");
        }
        let short = Duration::from_millis(50);
        assert_eq!(keep_alive_period(short, 1), short);
    }
}

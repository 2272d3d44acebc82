//! What an arbiter does with each message.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use libra_proto::registry::{Applied, RejectionCode, StartBatch, applied, command};
use libra_proto::types::{JobId, Place};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef};
use tokio::time::sleep;

use crate::fair::model::Candidate;
use crate::pool::{self, Offer, PoolActor};
use crate::ports::Proposed;
use crate::pump::{Attached, Handled};
use crate::supervisor::Verdict;

use super::message::{Message, News};
use super::round::Round;
use super::state::{Phase, State};

type Me = ActorRef<Message>;

/// The wait after a batch of which nothing was started, or nothing is known.
const PAUSE: Duration = Duration::from_millis(100);

pub(super) async fn handle(me: &Me, message: Message, state: &mut State) {
    match message {
        Message::News(news, handled) => {
            tell(me, state, news, &handled).await;
            look(me, state).await;
        }
        Message::Reread(handled) => {
            for pool in state.pools.values() {
                let _ = pool.cast(pool::Message::Reread(Some(Arc::clone(&handled))));
            }
            look(me, state).await;
        }
        Message::Look => {
            state.later = None;
            look(me, state).await;
        }
        Message::Offered {
            round,
            pool,
            candidates,
        } => offered(me, state, round, &pool, candidates),
        Message::Granted(result) => granted(me, state, &result).await,
        Message::StartPool(pool) => {
            state.restarting.remove(&pool);
            ensure(me, state, &pool).await;
            look(me, state).await;
        }
        Message::CrashPool(pool) => {
            if let Some(pool) = state.pools.get(&pool) {
                pool.kill();
            }
        }
    }
}

/// Passes the news on to the pools that they concern.
async fn tell(me: &Me, state: &mut State, mut news: News, handled: &Arc<Handled>) {
    for pool in news.jobs.keys() {
        ensure(me, state, pool).await;
    }
    for (name, pool) in &state.pools {
        let mut jobs = news.jobs.remove(name).unwrap_or_default();
        jobs.extend_from_slice(&news.forgotten);
        if jobs.is_empty() && news.sessions.is_empty() {
            continue;
        }
        let _ = pool.cast(pool::Message::News {
            jobs,
            sessions: Arc::clone(&news.sessions),
            handled: Some(Arc::clone(handled)),
        });
    }
    if news.settings {
        dismiss(me, state);
    }
}

/// Stops the actors of pools that have nothing here: the pool may have been deleted. One that gets
/// something to do is started again.
fn dismiss(me: &Me, state: &mut State) {
    let demand = state.registry.demand(&state.endpoint);
    let in_use = |name: &String| demand.pools.iter().any(|pool| pool.name == *name);
    let idle: Vec<String> = state
        .pools
        .keys()
        .filter(|name| !in_use(name))
        .cloned()
        .collect();
    for pool in idle {
        if let Some(actor) = state.pools.remove(&pool) {
            actor.stop(None);
            give_up(me, state, &pool);
        }
    }
}

/// The round under way, if there is one, goes on without that pool.
fn give_up(me: &Me, state: &mut State, pool: &str) {
    if let Phase::Asking(round) = &mut state.phase {
        round.give_up(pool);
        state.again = true;
        decide(me, state);
    }
}

/// Begins a round if none is under way and a slot can be granted.
async fn look(me: &Me, state: &mut State) {
    state.again = true;
    if !matches!(state.phase, Phase::Idle) {
        return;
    }
    state.again = false;
    let demand = state.registry.demand(&state.endpoint);
    let Some(mut round) = Round::of(demand) else {
        return;
    };
    state.rounds = state.rounds.wrapping_add(1);
    for (pool, most) in round.asked() {
        ensure(me, state, &pool.name).await;
        let Some(actor) = state.pools.get(&pool.name) else {
            // It is being started again, and the others do not wait for it.
            continue;
        };
        let offer = Offer {
            round: state.rounds,
            order: pool.order.into(),
            most,
            arbiter: me.clone(),
        };
        if actor.cast(pool::Message::Offer(offer)).is_ok() {
            round.await_pool(&pool.name);
        }
    }
    if !round.is_complete() {
        state.phase = Phase::Asking(round);
    }
}

fn offered(me: &Me, state: &mut State, round: u64, pool: &str, candidates: Vec<Candidate>) {
    if round != state.rounds {
        return;
    }
    if let Phase::Asking(round) = &mut state.phase {
        round.offered(pool, candidates);
        decide(me, state);
    }
}

/// Grants once all pools have answered.
fn decide(me: &Me, state: &mut State) {
    let round = match std::mem::replace(&mut state.phase, Phase::Idle) {
        Phase::Asking(round) if round.is_complete() => round,
        other => {
            state.phase = other;
            return;
        }
    };
    let grants = round.grants();
    if grants.jobs.is_empty() {
        if state.again {
            let _ = me.cast(Message::Look);
        }
        return;
    }
    let batch = StartBatch {
        jobs: grants.jobs.iter().map(|job| job.0).collect(),
    };
    let (me, mandate) = (me.clone(), state.mandate.clone());
    let task = tokio::spawn(async move {
        let result = mandate.propose(command::Kind::StartBatch(batch)).await;
        let _ = me.cast(Message::Granted(result));
    });
    state.phase = Phase::Granting {
        jobs: grants.by_pool,
        _task: Attached(task.abort_handle()),
    };
}

/// The pools read what was granted anew, whatever came of it; then the next round. After a batch
/// of unknown outcome it comes later, so that what was committed of it is applied by then; what is
/// not, `apply` sorts out.
async fn granted(me: &Me, state: &mut State, result: &Proposed) {
    if let Phase::Granting { jobs, .. } = std::mem::replace(&mut state.phase, Phase::Idle) {
        settle(state, jobs);
    }
    match result {
        Proposed::Applied(applied) if has_started_some(applied) || state.again => {
            return look(me, state).await;
        }
        // Each of them was cancelled, or its slot taken, in between; news of that is on its way.
        Proposed::Applied(_) => {}
        Proposed::Rejected(rejection) if rejection.code() == RejectionCode::StaleTerm => {
            tracing::debug!(term = state.mandate.term(), "grants of a term that is over");
        }
        Proposed::Rejected(rejection) => {
            tracing::warn!(?rejection, "grants refused by the registry");
        }
        Proposed::Unknown(reason) => {
            tracing::debug!(reason, "grants without answer; reading again");
        }
    }
    let me = me.clone();
    let task = tokio::spawn(async move {
        sleep(PAUSE).await;
        let _ = me.cast(Message::Look);
    });
    state.later = Some(Attached(task.abort_handle()));
}

fn settle(state: &State, jobs: BTreeMap<String, Vec<JobId>>) {
    for (pool, jobs) in jobs {
        if let Some(actor) = state.pools.get(&pool) {
            let _ = actor.cast(pool::Message::News {
                jobs,
                sessions: Arc::default(),
                handled: None,
            });
        }
    }
}

fn has_started_some(applied: &Applied) -> bool {
    match &applied.result {
        Some(applied::Result::Jobs(started)) => !started.jobs.is_empty(),
        _ => false,
    }
}

/// Starts the pool's actor if it has none.
async fn ensure(me: &Me, state: &mut State, pool: &str) {
    if state.pools.contains_key(pool) || state.restarting.contains_key(pool) {
        return;
    }
    let arguments = pool::Arguments {
        place: Place {
            endpoint: state.endpoint.clone(),
            pool: pool.to_owned(),
        },
        registry: Arc::clone(&state.registry),
    };
    match Actor::spawn_linked(None, PoolActor, arguments, me.get_cell()).await {
        Ok((actor, _)) => {
            state.pools.insert(pool.to_owned(), actor);
        }
        Err(error) => {
            tracing::error!(pool, %error, "pool actor did not start");
            // Like a crash; giving up is left to the next one that is seen as such.
            let _ = restart(me, state, pool.to_owned(), &error.to_string());
        }
    }
}

/// A pool's actor has ended: unless it was dismissed it is started again, and until then the other
/// pools go on without it.
pub(super) fn lost(
    me: &Me,
    state: &mut State,
    actor: ActorId,
    error: &str,
) -> Result<(), ActorProcessingErr> {
    let Some(pool) = state.remove(actor) else {
        return Ok(());
    };
    give_up(me, state, &pool);
    restart(me, state, pool, error)
}

fn restart(
    me: &Me,
    state: &mut State,
    pool: String,
    error: &str,
) -> Result<(), ActorProcessingErr> {
    let (policy, now_ms) = (state.policy, state.now_ms());
    let history = state.histories.entry(pool.clone()).or_default();
    match history.crashed(&policy, now_ms) {
        Verdict::Restart(wait) => {
            let endpoint = &state.endpoint;
            tracing::error!(
                endpoint,
                pool,
                error,
                ?wait,
                "pool actor crashed; starting it again"
            );
            let (me, again) = (me.clone(), pool.clone());
            let task = tokio::spawn(async move {
                sleep(wait).await;
                let _ = me.cast(Message::StartPool(again));
            });
            let task = Attached(task.abort_handle());
            state.restarting.insert(pool, task);
            Ok(())
        }
        Verdict::GiveUp => {
            Err(format!("the actor of pool {pool} crashes again and again: {error}").into())
        }
    }
}

//! What the scheduler does with each message.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use libra_proto::types::{Change, JobId, SessionId};
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef};
use tokio::time::sleep;

use crate::ports::Feed;
use crate::pump::{Attached, Handled};
use crate::supervisor::Verdict;

use super::arbiter::{self, Arbiter, News};
use super::message::Message;
use super::state::State;

type Me = ActorRef<Message>;

pub(super) async fn handle(me: &Me, message: Message, state: &mut State) {
    match message {
        Message::Feed(Feed::Changes(changes), handled) => {
            changed(me, state, changes, &Arc::new(handled)).await;
        }
        Message::Feed(Feed::Lagged, handled) => reread(me, state, &Arc::new(handled)).await,
        Message::Feed(Feed::Closed, _) => me.stop(Some("the registry has stopped".to_owned())),
        Message::Start(endpoint) => {
            state.restarting.remove(&endpoint);
            ensure(me, state, &endpoint).await;
        }
        Message::Crash { endpoint, pool } => {
            if let Some(arbiter) = state.arbiters.get(&endpoint) {
                match pool {
                    Some(pool) => drop(arbiter.cast(arbiter::Message::CrashPool(pool))),
                    None => arbiter.kill(),
                }
            }
        }
    }
}

/// What a batch of changes names.
#[derive(Default)]
struct Named {
    jobs: BTreeSet<JobId>,
    sessions: BTreeSet<SessionId>,
    settings: bool,
}

impl Named {
    fn of(changes: Vec<Change>) -> Self {
        let mut named = Self::default();
        for change in changes {
            match change {
                Change::Statement(job, _) => {
                    named.jobs.insert(job);
                }
                Change::Session(id) => {
                    named.sessions.insert(id);
                }
                Change::Settings => named.settings = true,
            }
        }
        named
    }
}

/// Tells each arbiter what concerns it.
async fn changed(me: &Me, state: &mut State, changes: Vec<Change>, handled: &Arc<Handled>) {
    let named = Named::of(changes);
    let sessions: Arc<[SessionId]> = state.turned(named.sessions.into_iter().collect()).into();
    let (mut jobs, forgotten) = by_endpoint(state, named.jobs);
    for endpoint in jobs.keys() {
        ensure(me, state, endpoint).await;
    }
    for (endpoint, arbiter) in &state.arbiters {
        let jobs = jobs.remove(endpoint).unwrap_or_default();
        let news = News {
            jobs,
            forgotten: forgotten.clone(),
            sessions: Arc::clone(&sessions),
            settings: named.settings,
        };
        if !news.is_empty() {
            let _ = arbiter.cast(arbiter::Message::News(news, Arc::clone(handled)));
        }
    }
}

type ByPool = BTreeMap<String, Vec<JobId>>;

/// The statements by endpoint and pool, and those that the registry no longer has.
fn by_endpoint(state: &State, jobs: BTreeSet<JobId>) -> (BTreeMap<String, ByPool>, Vec<JobId>) {
    let jobs: Vec<JobId> = jobs.into_iter().collect();
    let mut sorted: BTreeMap<String, ByPool> = BTreeMap::new();
    let mut forgotten = Vec::new();
    for (job, place) in jobs.iter().zip(state.registry.places(&jobs)) {
        match place {
            Some(place) => {
                let pools = sorted.entry(place.endpoint).or_default();
                pools.entry(place.pool).or_default().push(*job);
            }
            None => forgotten.push(*job),
        }
    }
    (sorted, forgotten)
}

async fn reread(me: &Me, state: &mut State, handled: &Arc<Handled>) {
    // Whatever turned meanwhile, the pools read it themselves now.
    state.open.clear();
    for endpoint in state.registry.endpoints_in_use() {
        ensure(me, state, &endpoint).await;
    }
    for arbiter in state.arbiters.values() {
        let _ = arbiter.cast(arbiter::Message::Reread(Arc::clone(handled)));
    }
}

/// Starts the endpoint's arbiter if it has none.
async fn ensure(me: &Me, state: &mut State, endpoint: &str) {
    if state.arbiters.contains_key(endpoint) || state.restarting.contains_key(endpoint) {
        return;
    }
    let arguments = arbiter::Arguments {
        endpoint: endpoint.to_owned(),
        mandate: state.mandate.clone(),
        policy: state.policy,
    };
    match Actor::spawn_linked(None, Arbiter, arguments, me.get_cell()).await {
        Ok((actor, _)) => {
            state.arbiters.insert(endpoint.to_owned(), actor);
        }
        Err(error) => {
            tracing::error!(endpoint, %error, "arbiter did not start");
            // Like a crash; giving up is left to the next one that is seen as such.
            let _ = restart(me, state, endpoint.to_owned(), &error.to_string());
        }
    }
}

/// An arbiter has ended, which it never does by itself: it is started again, unless that happens
/// all the time.
pub(super) fn lost(
    me: &Me,
    state: &mut State,
    actor: ActorId,
    error: &str,
) -> Result<(), ActorProcessingErr> {
    let Some(endpoint) = state.remove(actor) else {
        return Ok(());
    };
    restart(me, state, endpoint, error)
}

fn restart(
    me: &Me,
    state: &mut State,
    endpoint: String,
    error: &str,
) -> Result<(), ActorProcessingErr> {
    let (policy, now_ms) = (state.policy, state.now_ms());
    let history = state.histories.entry(endpoint.clone()).or_default();
    match history.crashed(&policy, now_ms) {
        Verdict::Restart(wait) => {
            tracing::error!(endpoint, error, ?wait, "arbiter crashed; starting it again");
            let (me, again) = (me.clone(), endpoint.clone());
            let task = tokio::spawn(async move {
                sleep(wait).await;
                let _ = me.cast(Message::Start(again));
            });
            let task = Attached(task.abort_handle());
            state.restarting.insert(endpoint, task);
            Ok(())
        }
        Verdict::GiveUp => {
            Err(format!("the arbiter of {endpoint} crashes again and again: {error}").into())
        }
    }
}

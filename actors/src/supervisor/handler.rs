//! What the session supervisor does.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use libra_proto::registry::{FailSession, command};
use libra_proto::types::{Change, Epoch, ErrorClass, NodeId, SessionId};
use ractor::{Actor, ActorId, ActorRef};
use tokio::time::{sleep, timeout};
use tokio_util::task::TaskTracker;

use crate::ports::{Feed, SessionView};
use crate::pump::Attached;
use crate::session::{self, SessionActor};

use super::restart::Verdict;
use super::sessions::{Child, Message, State};
use super::stray;

type Me = ActorRef<Message>;

/// How often a successor that cannot start yet is reported. Aborted tasks end at their next
/// await: only a blocked disk keeps one longer, and then a second writer must not start.
const WIND_DOWN_REPORT: Duration = Duration::from_secs(30);

pub(super) async fn changed(me: &Me, state: &mut State, feed: Feed) {
    // It is the better the closer it follows.
    let _ = state.arguments.ports.clock.now_ms();
    let touched: BTreeSet<SessionId> = match feed {
        Feed::Changes(changes) => changes
            .into_iter()
            .filter_map(|change| match change {
                Change::Session(id) | Change::Statement(_, id) => Some(id),
                Change::Settings => None,
            })
            .collect(),
        Feed::Lagged => {
            let owned = state.arguments.ports.registry.owned_sessions();
            owned
                .into_iter()
                .chain(state.children.keys().cloned())
                .collect()
        }
        Feed::Closed => return me.stop(Some("the registry has stopped".to_owned())),
    };
    for id in touched {
        ensure(me, state, &id).await;
    }
}

/// Pokes the session's actor, or starts it if this node owns the session and it has none.
pub(super) async fn ensure(me: &Me, state: &mut State, id: &SessionId) {
    if let Some(child) = state.children.get(id) {
        if !child.poked.swap(true, Ordering::AcqRel) {
            let _ = child.actor.cast(session::Message::Reconcile);
        }
        return;
    }
    if state.vacating.contains_key(id) {
        return;
    }
    match owned(state, id) {
        Some(view) if is_taken(state, id, &view) => start(me, state, id, &view).await,
        Some(_) => tracing::debug!(session_id = %id, "not taken: this node is draining"),
        None => {
            state.histories.remove(id);
            state.arguments.trackers.forget(id);
        }
    }
}

/// A draining node takes nothing that it did not have, in that epoch, when draining began.
fn is_taken(state: &State, id: &SessionId, view: &SessionView) -> bool {
    let kept = state.arguments.draining.as_ref();
    kept.is_none_or(|kept| kept.get(id) == Some(&view.session.epoch))
}

fn owned(state: &State, id: &SessionId) -> Option<SessionView> {
    let registry = &state.arguments.ports.registry;
    registry.session(id).filter(|view| {
        NodeId(view.session.owner_node) == registry.node_id()
            && (view.session.state().is_owned() || !view.cleanups.is_empty())
    })
}

async fn start(me: &Me, state: &mut State, id: &SessionId, view: &SessionView) {
    let endpoint = &view.session.endpoint;
    if !state.arguments.endpoints.contains_key(endpoint) && !view.session.state().is_owned() {
        tracing::warn!(session_id = %id, endpoint, "its endpoint is gone: nothing to wind up there");
        return;
    }
    let Some(endpoint) = state.arguments.endpoints.get(endpoint).cloned() else {
        return stray::send_on(me, state, id, view);
    };
    if let Some(tasks) = state.arguments.trackers.unfinished(id) {
        return vacate(me, state, id.clone(), tasks, Duration::ZERO);
    }
    let tasks = Arc::new(TaskTracker::new());
    state.arguments.trackers.put(id, &tasks);
    let poked = Arc::new(AtomicBool::new(true));
    let arguments = session::Arguments {
        id: id.clone(),
        epoch: Epoch(view.session.epoch),
        endpoint,
        client: state.arguments.client,
        conf: Arc::clone(&state.arguments.conf),
        ports: state.arguments.ports.clone(),
        options: state.arguments.session,
        tasks: Arc::clone(&tasks),
        poked: Arc::clone(&poked),
    };
    match Actor::spawn_linked(None, SessionActor, arguments, me.get_cell()).await {
        Ok((actor, _)) => {
            state.children.insert(
                id.clone(),
                Child {
                    actor,
                    tasks,
                    poked,
                },
            );
        }
        Err(error) => {
            tracing::error!(session_id = %id, %error, "session actor did not start");
            vacate(me, state, id.clone(), tasks, Duration::from_secs(1));
        }
    }
}

fn child_of(state: &State, actor: ActorId) -> Option<SessionId> {
    let mut children = state.children.iter();
    children
        .find(|(_, child)| child.actor.get_id() == actor)
        .map(|(id, _)| id.clone())
}

/// A session actor has stopped by itself: its session is closed, or not this node's any more.
pub(super) fn ended(me: &Me, state: &mut State, actor: ActorId) {
    let Some(id) = child_of(state, actor) else {
        return;
    };
    if let Some(child) = state.children.remove(&id) {
        vacate(me, state, id, child.tasks, Duration::ZERO);
    }
}

/// A session actor has crashed: repaired from the registry, unless it does so all the time.
pub(super) fn crashed(me: &Me, state: &mut State, actor: ActorId, error: &str) {
    let Some(id) = child_of(state, actor) else {
        return;
    };
    let Some(child) = state.children.remove(&id) else {
        return;
    };
    let policy = state.arguments.policy;
    let now_ms = state.now_ms();
    match state
        .histories
        .entry(id.clone())
        .or_default()
        .crashed(&policy, now_ms)
    {
        Verdict::Restart(wait) => {
            tracing::error!(session_id = %id, error, ?wait, "session actor crashed; starting it again");
            vacate(me, state, id, child.tasks, wait);
        }
        Verdict::GiveUp => {
            tracing::error!(session_id = %id, error, "session actor crashes again and again; giving up");
            child.tasks.close();
            let why = format!(
                "its actor crashed more than {} times within {} s, last: {error}",
                policy.intensity,
                policy.period.as_secs()
            );
            if let Some(view) = owned(state, &id) {
                fail(me, state, &id, view.session.epoch, why);
            }
        }
    }
}

/// Waits until nothing of the ended child runs, then `wait`, then looks again.
fn vacate(me: &Me, state: &mut State, id: SessionId, tasks: Arc<TaskTracker>, wait: Duration) {
    tasks.close();
    let (me, vacant) = (me.clone(), id.clone());
    let task = tokio::spawn(async move {
        while timeout(WIND_DOWN_REPORT, tasks.wait()).await.is_err() {
            tracing::error!(session_id = %vacant, "what the ended session actor had started still runs");
        }
        sleep(wait).await;
        let _ = me.cast(Message::Vacant(vacant));
    });
    state.vacating.insert(id, Attached(task.abort_handle()));
}

/// Marks the session failed in the registry; until that is through, nothing is started for it.
pub(super) fn fail(me: &Me, state: &mut State, id: &SessionId, epoch: u64, why: String) {
    let command = command::Kind::FailSession(FailSession {
        session_id: id.to_string(),
        epoch,
        error: Some(ErrorClass::SessionClosed.error(why)),
    });
    let ports = &state.arguments.ports;
    let (me, failed, registry) = (me.clone(), id.clone(), Arc::clone(&ports.registry));
    let lease = ports.lease.clone();
    let task = tokio::spawn(async move {
        let _ = lease.held().await;
        let result = registry.propose(command).await;
        tracing::debug!(session_id = %failed, ?result, "session marked failed");
        sleep(Duration::from_secs(1)).await;
        let _ = me.cast(Message::Vacant(failed));
    });
    state
        .vacating
        .insert(id.clone(), Attached(task.abort_handle()));
}

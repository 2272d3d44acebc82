//! What a session actor does with each message. All of it is quick: slow things are tasks of
//! `keeper` that report back.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use libra_proto::registry::{
    CleanupDone, FailSession, OpenSession, ResetSession, SessionClosed, SessionState,
    StatementRecord, command,
};
use libra_proto::types::{JobId, NodeId};
use ractor::ActorRef;
use tokio::sync::watch;
use tracing::{Instrument as _, Span};
use uuid::Uuid;

use crate::failpoint;
use crate::ports::{Proposed, SessionView};
use crate::spark::{SparkError, SparkErrorKind};
use crate::statement::{Cleaned, Outcome, Runner, spans};

use super::keeper::{self, Conf};
use super::message::{Message, Proposal};
use super::state::{Running, State, intents_of};

type Me = ActorRef<Message>;

pub(super) fn handle(me: &Me, message: Message, state: &mut State) {
    match message {
        Message::Reconcile => {
            state.poked.store(false, Ordering::Release);
            reconcile(me, state);
        }
        Message::Opened {
            spark_session_id,
            result,
        } => {
            opened(me, state, &spark_session_id, *result);
        }
        Message::Proposed { what, result } => proposed(me, state, what, result),
        Message::RunnerEnded {
            job,
            spark_session_id,
            outcome,
        } => {
            runner_ended(me, state, job, &spark_session_id, outcome);
        }
        Message::CleanedUp {
            job,
            spark_session_id,
            outcome,
        } => {
            cleaned_up(me, state, job, &spark_session_id, outcome);
        }
        Message::ChannelCheck => state.close_idle_channel(),
        Message::KeepAlive => keeper::keep_alive(state, me),
        Message::KeptAlive {
            spark_session_id,
            result,
        } => {
            kept_alive(me, state, &spark_session_id, *result);
        }
        Message::Released => released(me, state),
        Message::NotOurs => {
            me.stop(Some("the session has another owner or epoch".to_owned()));
        }
    }
}

/// The session as the registry has it, if it is still this actor's.
fn ours(me: &Me, state: &State) -> Option<SessionView> {
    let view = state.ports.registry.session(&state.id);
    let view = view.filter(|view| {
        view.session.epoch == state.epoch.0
            && NodeId(view.session.owner_node) == state.ports.registry.node_id()
    });
    if view.is_none() {
        me.stop(Some("the session has another owner or epoch".to_owned()));
    }
    view
}

fn reconcile(me: &Me, state: &mut State) {
    failpoint::hit("session-actor-panic");
    let Some(view) = ours(me, state) else { return };
    let running = view.running.iter().map(|s| JobId(s.job));
    state.begun.look(running.collect());
    match view.session.state() {
        SessionState::Starting => {
            start(me, state, &view);
            clean_up(me, state, &view);
        }
        SessionState::Open => {
            adopt_incarnation(me, state, &view);
            run_statements(me, state, &view);
        }
        SessionState::Closing => {
            adopt_incarnation(me, state, &view);
            run_statements(me, state, &view);
            let closed = state.proposing.contains(&Proposal::Closed);
            if view.running.is_empty() && state.runners.is_empty() && !closed {
                keeper::release(state, me);
            }
        }
        SessionState::Closed | SessionState::Failed | SessionState::Unspecified => {
            clean_up(me, state, &view);
            if view.cleanups.is_empty() {
                me.stop(Some("the session is closed".to_owned()));
            }
        }
    }
}

/// Opens the Spark session that the registry names, unless that is under way.
fn start(me: &Me, state: &mut State, view: &SessionView) {
    let wanted = &view.session.spark_session_id;
    if state.opening.as_ref() == Some(wanted) || state.proposing.contains(&Proposal::Open) {
        return;
    }
    state.incarnation = None;
    let conf = Conf {
        spark_session_id: wanted.clone(),
        own: view.session.conf.clone(),
    };
    keeper::open(state, me, conf);
}

fn adopt_incarnation(me: &Me, state: &mut State, view: &SessionView) {
    let Some(committed) = &view.session.incarnation else {
        return;
    };
    if state.incarnation.as_ref() != Some(committed) {
        state.incarnation = Some(committed.clone());
        keeper::pace_keep_alive(state, me);
    }
}

fn run_statements(me: &Me, state: &mut State, view: &SessionView) {
    for statement in &view.running {
        let job = JobId(statement.job);
        match state.runners.get(&job) {
            Some(running) => {
                running.intents.send_if_modified(|now| {
                    let changed = *now != intents_of(statement);
                    *now = intents_of(statement);
                    changed
                });
            }
            None => run(me, state, Arc::clone(statement)),
        }
    }
    clean_up(me, state, view);
}

/// Winds up operations whose outcome is unknown; each holds a slot until that is done, whatever
/// has become of the session since.
fn clean_up(me: &Me, state: &mut State, view: &SessionView) {
    for cleanup in &view.cleanups {
        keeper::clean(state, me, cleanup.clone());
    }
}

fn run(me: &Me, state: &mut State, statement: Arc<StatementRecord>) {
    if state.proposing.contains(&Proposal::Reset) {
        // Its Spark session is gone; what becomes of it is being committed.
        return;
    }
    let Some(spark) = state.spark() else { return };
    let Some(incarnation) = &state.incarnation else {
        return;
    };
    let job = JobId(statement.job);
    let (intents, intents_seen) = watch::channel(intents_of(&statement));
    let runner = Runner {
        ports: state.ports.clone(),
        spark,
        epoch: state.epoch,
        fence: state.fence.clone(),
        fresh: state.begun.is_fresh(job),
        remembers_operations: incarnation.remembers_operations,
        intents: intents_seen,
        limits: state.options.statement,
        statement,
    };
    let (me, spark_session_id) = (me.clone(), incarnation.spark_session_id.clone());
    let span = spans::run(&runner.statement, state.epoch);
    let run = async move {
        let outcome = runner.run().await;
        Span::current().record("outcome", outcome.label());
        let _ = me.cast(Message::RunnerEnded {
            job,
            spark_session_id,
            outcome,
        });
    };
    let task = state.tasks.spawn(run.instrument(span));
    state.begun.begin(job);
    state.never_sent.remove(&job);
    state.runners.insert(
        job,
        Running {
            intents,
            task: task.abort_handle(),
        },
    );
}

fn opened(
    me: &Me,
    state: &mut State,
    spark_session_id: &str,
    result: Result<libra_proto::registry::Incarnation, SparkError>,
) {
    if state.opening.as_deref() == Some(spark_session_id) {
        state.opening = None;
    }
    let Some(view) = ours(me, state) else { return };
    if view.session.spark_session_id != spark_session_id {
        return reconcile(me, state);
    }
    match result {
        Ok(mut incarnation) => {
            state.failed_attempts = 0;
            incarnation.opened_at_ms = state.ports.registry.now_ms();
            let open = OpenSession {
                session_id: state.id.to_string(),
                epoch: state.epoch.0,
                incarnation: Some(incarnation),
            };
            keeper::propose(state, me, Proposal::Open, command::Kind::OpenSession(open));
        }
        Err(error) => open_failed(me, state, spark_session_id, error),
    }
}

fn open_failed(me: &Me, state: &mut State, spark_session_id: &str, error: SparkError) {
    match error.kind {
        SparkErrorKind::SessionChanged
        | SparkErrorKind::SessionNotFound
        | SparkErrorKind::SessionClosed => {
            reset(me, state, spark_session_id, &error.error.message);
        }
        SparkErrorKind::Conf { .. } | SparkErrorKind::Statement => {
            let fail = FailSession {
                session_id: state.id.to_string(),
                epoch: state.epoch.0,
                error: Some(*error.error),
            };
            keeper::propose(state, me, Proposal::Fail, command::Kind::FailSession(fail));
        }
        _ => {
            if state.failed_attempts == 0 {
                tracing::warn!(session_id = %state.id, %error, "Spark session not opened; trying on");
            }
            state.failed_attempts = state.failed_attempts.saturating_add(1);
            reconcile(me, state);
        }
    }
}

/// The Spark session `lost` is gone: commits that, with the id of the next one; whatever still
/// runs ends unknown. A late word about an earlier Spark session changes nothing.
fn reset(me: &Me, state: &mut State, lost: &str, reason: &str) {
    let Some(view) = ours(me, state) else { return };
    if view.session.spark_session_id != lost {
        return reconcile(me, state);
    }
    if state.proposing.contains(&Proposal::Reset) {
        return;
    }
    if state.unanswered == 0 {
        tracing::debug!(session_id = %state.id, reason, "Spark session lost");
    }
    let reset = ResetSession {
        session_id: state.id.to_string(),
        epoch: state.epoch.0,
        old_spark_session_id: view.session.spark_session_id,
        new_spark_session_id: Uuid::new_v4().to_string(),
        reason: reason.to_owned(),
        never_sent: state.never_sent.iter().map(|job| job.0).collect(),
    };
    keeper::propose(
        state,
        me,
        Proposal::Reset,
        command::Kind::ResetSession(reset),
    );
}

fn proposed(me: &Me, state: &mut State, what: Proposal, result: Proposed) {
    state.proposing.remove(&what);
    match result {
        Proposed::Applied(_) => state.unanswered = 0,
        Proposed::Rejected(rejection) => {
            state.unanswered = 0;
            tracing::debug!(session_id = %state.id, ?what, ?rejection, "proposal refused");
        }
        Proposed::Unknown(reason) => {
            tracing::debug!(session_id = %state.id, ?what, reason, "proposal without answer");
            state.unanswered = state.unanswered.saturating_add(1);
        }
    }
    if what == Proposal::Reset {
        // The runners of the lost Spark session have nothing to go on with.
        for (_, running) in std::mem::take(&mut state.runners) {
            running.task.abort();
        }
        state.cleaning.clear();
        state.never_sent.clear();
    }
    reconcile(me, state);
    if what == Proposal::Open {
        // Thousands may be opened at once and then do nothing.
        state.close_idle_channel();
    }
}

fn runner_ended(me: &Me, state: &mut State, job: JobId, lived_in: &str, outcome: Outcome) {
    state.runners.remove(&job);
    match outcome {
        Outcome::Ended | Outcome::NotOurs => reconcile(me, state),
        Outcome::SessionLost { reason, never_sent } => {
            if never_sent {
                state.never_sent.insert(job);
            }
            reset(me, state, lived_in, &reason);
        }
    }
}

fn cleaned_up(me: &Me, state: &mut State, job: JobId, lived_in: &str, outcome: Cleaned) {
    state.cleaning.remove(&job);
    match outcome {
        Cleaned::Done => cleanup_done(me, state, job),
        Cleaned::SessionLost(reason) => {
            let Some(view) = ours(me, state) else { return };
            if view.session.spark_session_id == lived_in && view.session.state().is_owned() {
                reset(me, state, lived_in, &reason);
            } else {
                // It lived in an earlier Spark session, and is gone with it.
                cleanup_done(me, state, job);
            }
        }
        Cleaned::NotYet => {
            state.failed_attempts = state.failed_attempts.saturating_add(1);
            reconcile(me, state);
        }
    }
}

fn cleanup_done(me: &Me, state: &mut State, job: JobId) {
    state.failed_attempts = 0;
    let epoch = state.epoch.0;
    let done = command::Kind::CleanupDone(CleanupDone { job: job.0, epoch });
    keeper::propose(state, me, Proposal::CleanupDone(job), done);
}

fn kept_alive(me: &Me, state: &mut State, lived_in: &str, result: Result<(), SparkError>) {
    state.probing = false;
    state.close_idle_channel();
    let Err(error) = result else { return };
    match error.kind {
        SparkErrorKind::SessionChanged
        | SparkErrorKind::SessionNotFound
        | SparkErrorKind::SessionClosed => reset(me, state, lived_in, &error.error.message),
        _ => tracing::debug!(session_id = %state.id, %error, "keep-alive without answer"),
    }
}

fn released(me: &Me, state: &mut State) {
    state.releasing = false;
    let closed = SessionClosed {
        session_id: state.id.to_string(),
        epoch: state.epoch.0,
    };
    keeper::propose(
        state,
        me,
        Proposal::Closed,
        command::Kind::SessionClosed(closed),
    );
}

//! Events.

use chrono::{DateTime, Utc};
use libra_proto::admin::event::Kind;
use libra_proto::admin::{Event, EventKind, NodeState, Position, StatementEnded, StatementState};
use serde::Serialize;

use super::super::output::{Block, Page, Shown, Time};
use super::words::{node_state, statement_state};
use super::{count, said};

/// One event of `libra admin events`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli::admin) struct EventView {
    /// `--from` takes it.
    position: String,
    at: Option<Time>,
    /// Such as `session-moved`; `--kind` takes it.
    kind: &'static str,
    /// What happened, in words.
    text: String,
    node_id: Option<u64>,
    session_id: Option<String>,
    job_id: Option<String>,
    pool: Option<String>,
    user: Option<String>,
    epoch: Option<u64>,
    from_node: Option<u64>,
    to_node: Option<u64>,
    /// Of a node or a statement, after it.
    state: Option<&'static str>,
    error_class: Option<String>,
    queue_time_ms: Option<u64>,
    execution_time_ms: Option<u64>,
}

/// `index.ordinal`.
fn position(at: Option<Position>) -> String {
    let Position { index, ordinal } = at.unwrap_or_default();
    format!("{index}.{ordinal}")
}

impl EventView {
    fn new(event: &Event, kind: EventKind, text: String) -> Self {
        Self {
            position: position(event.position),
            at: Time::of_millis(event.at_ms),
            kind: kind_name(kind),
            text,
            node_id: None,
            session_id: None,
            job_id: None,
            pool: None,
            user: None,
            epoch: None,
            from_node: None,
            to_node: None,
            state: None,
            error_class: None,
            queue_time_ms: None,
            execution_time_ms: None,
        }
    }

    fn of_node(mut self, node: u64) -> Self {
        self.node_id = Some(node);
        self
    }

    fn of_session(mut self, session: &str) -> Self {
        self.session_id = Some(session.to_owned());
        self
    }

    fn of_pool(mut self, pool: &str) -> Self {
        self.pool = Some(pool.to_owned());
        self
    }
}

/// The name of a kind, as it is shown and asked for.
pub(in crate::cli::admin) fn kind_name(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Unspecified => "unknown",
        EventKind::LeaderElected => "leader-elected",
        EventKind::MembersChanged => "members-changed",
        EventKind::NodeRegistered => "node-registered",
        EventKind::NodeStateChanged => "node-state-changed",
        EventKind::NodeRemoved => "node-removed",
        EventKind::FailedOver => "failed-over",
        EventKind::SessionCreated => "session-created",
        EventKind::SessionOpened => "session-opened",
        EventKind::SessionMoved => "session-moved",
        EventKind::SessionReset => "session-reset",
        EventKind::SessionEnded => "session-ended",
        EventKind::StatementEnded => "statement-ended",
        EventKind::PoolChanged => "pool-changed",
        EventKind::PoolRemoved => "pool-removed",
        EventKind::SettingsChanged => "settings-changed",
        EventKind::FeatureLevelRaised => "feature-level-raised",
        EventKind::Restored => "restored",
    }
}

impl From<Event> for EventView {
    fn from(mut event: Event) -> Self {
        let kind = event.kind.take();
        let new = |kind, text: String| Self::new(&event, kind, text);
        match kind {
            None => {
                let text = "an event of a kind that this command is too old for".to_owned();
                new(EventKind::Unspecified, text)
            }
            Some(kind) => told(kind, new),
        }
    }
}

fn told(kind: Kind, new: impl Fn(EventKind, String) -> EventView) -> EventView {
    match kind {
        Kind::LeaderElected(it) => {
            let text = format!("node {} leads, term {}", it.node_id, it.term);
            new(EventKind::LeaderElected, text).of_node(it.node_id)
        }
        Kind::MembersChanged(it) => {
            let learners = match it.learners.as_slice() {
                [] => String::new(),
                learners => format!(", learners {}", list(learners)),
            };
            let text = format!("the group is voters {}{learners}", list(&it.voters));
            new(EventKind::MembersChanged, text)
        }
        Kind::NodeRegistered(it) => {
            let text = format!(
                "node {} registered, REST {}, gRPC {}",
                it.node_id, it.http, it.grpc
            );
            new(EventKind::NodeRegistered, text).of_node(it.node_id)
        }
        Kind::NodeStateChanged(it) => node_state_changed(it.node_id, it.before(), it.after(), new),
        Kind::NodeRemoved(it) => {
            let text = format!("node {} was removed", it.node_id);
            new(EventKind::NodeRemoved, text).of_node(it.node_id)
        }
        Kind::FailedOver(it) => {
            let left = match it.sessions_left {
                0 => String::new(),
                left => format!("; {left} stay with it, no other node may take them"),
            };
            let moved = count(it.sessions_moved, "session");
            let text = format!(
                "the lease of node {} ran out: {moved} moved{left}",
                it.node_id
            );
            new(EventKind::FailedOver, text).of_node(it.node_id)
        }
        Kind::SessionCreated(it) => {
            let text = format!(
                "session {} of {} on node {}, {}",
                it.session_id, it.user, it.owner_node, it.endpoint
            );
            let mut view = new(EventKind::SessionCreated, text).of_session(&it.session_id);
            (view.to_node, view.epoch) = (Some(it.owner_node), Some(it.epoch));
            view.user = said(it.user);
            view
        }
        Kind::SessionOpened(it) => {
            let text = format!(
                "session {} is open in Spark {}",
                it.session_id, it.spark_version
            );
            let mut view = new(EventKind::SessionOpened, text).of_session(&it.session_id);
            view.epoch = Some(it.epoch);
            view
        }
        Kind::SessionMoved(it) => {
            let text = format!(
                "session {} moved from node {} to node {}, epoch {}, {} of it go on",
                it.session_id,
                it.from_node,
                it.to_node,
                it.epoch,
                count(it.running, "statement")
            );
            let mut view = new(EventKind::SessionMoved, text).of_session(&it.session_id);
            (view.from_node, view.to_node) = (Some(it.from_node), Some(it.to_node));
            view.epoch = Some(it.epoch);
            view
        }
        Kind::SessionReset(it) => {
            let text = format!(
                "session {} lost its session in Spark: {}",
                it.session_id, it.reason
            );
            new(EventKind::SessionReset, text).of_session(&it.session_id)
        }
        Kind::SessionEnded(it) => {
            let how = if it.failed { "failed" } else { "is closed" };
            let text = format!("session {} {how}: {}", it.session_id, it.reason);
            new(EventKind::SessionEnded, text).of_session(&it.session_id)
        }
        Kind::StatementEnded(it) => statement_ended(it, new),
        Kind::PoolChanged(it) => {
            let how = if it.made { "made" } else { "set" };
            let paused = if it.paused { ", paused" } else { "" };
            let text = format!(
                "pool {} {how}: weight {}, minShare {}{paused}",
                it.name, it.weight, it.min_share
            );
            new(EventKind::PoolChanged, text).of_pool(&it.name)
        }
        Kind::PoolRemoved(it) => {
            let text = format!("pool {} was removed", it.name);
            new(EventKind::PoolRemoved, text).of_pool(&it.name)
        }
        Kind::SettingsChanged(it) => new(
            EventKind::SettingsChanged,
            format!("settings are at version {}", it.version),
        ),
        Kind::FeatureLevelRaised(it) => new(
            EventKind::FeatureLevelRaised,
            format!("the feature level is {}", it.level),
        ),
        Kind::Restored(it) => {
            let text = format!(
                "a backup of cluster {} was restored: {}, {}",
                it.cluster_name,
                count(it.sessions, "session"),
                count(it.statements, "statement")
            );
            new(EventKind::Restored, text)
        }
    }
}

fn node_state_changed(
    node: u64,
    was: NodeState,
    is: NodeState,
    new: impl Fn(EventKind, String) -> EventView,
) -> EventView {
    let (was, is) = (node_state(was), node_state(is));
    let text = format!("node {node} is {is}, was {was}");
    let mut view = new(EventKind::NodeStateChanged, text).of_node(node);
    view.state = Some(is);
    view
}

fn statement_ended(it: StatementEnded, new: impl Fn(EventKind, String) -> EventView) -> EventView {
    let state = statement_state(it.state());
    let why = match (it.state(), it.error_class.as_str()) {
        (StatementState::Failed, class) if !class.is_empty() => format!(" with {class}"),
        (_, _) => String::new(),
    };
    let text = format!(
        "{} of session {} in pool {} {state}{why} after {} ms, {} ms in the queue",
        it.job_id, it.session_id, it.pool, it.execution_time_ms, it.queue_time_ms
    );
    let mut view = new(EventKind::StatementEnded, text)
        .of_session(&it.session_id)
        .of_pool(&it.pool);
    view.state = Some(state);
    view.job_id = said(it.job_id);
    view.user = said(it.user);
    view.error_class = said(it.error_class);
    view.epoch = (it.epoch != 0).then_some(it.epoch);
    view.queue_time_ms = Some(it.queue_time_ms);
    view.execution_time_ms = Some(it.execution_time_ms);
    view
}

fn list(nodes: &[u64]) -> String {
    let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
    nodes.join(", ")
}

impl Shown for EventView {
    /// One line: more of them follow.
    fn page(&self, _now: DateTime<Utc>) -> Page {
        let at = self.at.map(Time::text).unwrap_or_default();
        let Self {
            position,
            kind,
            text,
            ..
        } = self;
        let line = format!("{at:24}  {position:>10}  {kind:20}  {text}");
        Page::default().and(Block::Line(line))
    }
}

//! The words for what the service numbers, and how they are meant.

use libra_proto::admin::{NodeRole, NodeState, SchedulingMode, SessionState, StatementState};

use super::super::output::{Cell, Tone};

/// A word with its tone.
pub(super) fn toned(word: &str, tone: Tone) -> Cell {
    Cell::new(word).toned(tone)
}

pub(super) fn node_role(role: NodeRole) -> &'static str {
    match role {
        NodeRole::Unspecified => "unknown",
        NodeRole::Leader => "leader",
        NodeRole::Follower => "follower",
        NodeRole::Learner => "learner",
        NodeRole::None => "none",
    }
}

pub(super) fn node_state(state: NodeState) -> &'static str {
    match state {
        NodeState::Unspecified => "unknown",
        NodeState::Up => "up",
        NodeState::Suspect => "suspect",
        NodeState::Down => "down",
        NodeState::Draining => "draining",
        NodeState::Unregistered => "unregistered",
    }
}

/// By the word: what is shown has nothing else any more.
pub(super) fn node_tone(state: &str) -> Tone {
    match state {
        "up" => Tone::Good,
        "down" => Tone::Bad,
        "suspect" | "draining" | "unregistered" => Tone::Warn,
        _ => Tone::Plain,
    }
}

pub(super) fn session_state(state: SessionState) -> &'static str {
    match state {
        SessionState::Unspecified => "unknown",
        SessionState::Starting => "starting",
        SessionState::Idle => "idle",
        SessionState::Busy => "busy",
        SessionState::Closing => "closing",
        SessionState::Closed => "closed",
        SessionState::Failed => "failed",
    }
}

pub(super) fn statement_state(state: StatementState) -> &'static str {
    match state {
        StatementState::Unspecified => "unknown",
        StatementState::Queued => "queued",
        StatementState::Running => "running",
        StatementState::Succeeded => "succeeded",
        StatementState::Failed => "failed",
        StatementState::Cancelled => "cancelled",
    }
}

/// By the word, of sessions and statements.
pub(super) fn work_tone(state: &str) -> Tone {
    match state {
        "busy" | "running" => Tone::Good,
        "failed" => Tone::Bad,
        "starting" | "closing" => Tone::Warn,
        _ => Tone::Plain,
    }
}

pub(super) fn scheduling_mode(mode: SchedulingMode) -> &'static str {
    match mode {
        SchedulingMode::Unspecified => "unknown",
        SchedulingMode::Fifo => "FIFO",
        SchedulingMode::Fair => "FAIR",
    }
}

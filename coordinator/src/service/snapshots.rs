//! Sessions and statements as they were at one log index, with this node's live signs.

use std::sync::Arc;

use libra_proto::registry::{SessionRecord, StatementRecord, StatementState};
use libra_proto::types::{JobId, NodeId, SessionId};
use libra_raft::registry::{Registry, StatementCounts};

use super::Service;
use crate::live::LiveSigns;

/// How many active statements a session is read with.
const MAX_ACTIVE: usize = 100;

/// One statement.
#[derive(Debug, Clone)]
pub struct StatementSnapshot {
    /// As the registry has it.
    pub record: Arc<StatementRecord>,
    /// Who owns its session now.
    pub owner: NodeId,
    /// Time of its session's newest reset since it was accepted, milliseconds; 0 = none.
    pub reset_ms: u64,
    /// What this node sees of its run.
    pub live: LiveSigns,
}

/// One session.
#[derive(Debug, Clone)]
pub struct SessionSnapshot {
    /// As the registry has it.
    pub record: SessionRecord,
    /// The REST address of its owner; empty if the owner is not registered.
    pub owner_http: String,
    /// How many statements it has.
    pub counts: StatementCounts,
    /// Those that have not ended, in order of acceptance, at most 100.
    pub active: Vec<Arc<StatementRecord>>,
}

impl StatementSnapshot {
    /// Its id.
    #[must_use]
    pub fn job(&self) -> JobId {
        JobId(self.record.job)
    }

    /// Whether it has ended.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.record.state().has_ended()
    }

    /// Whether it has a result.
    #[must_use]
    pub fn has_result(&self) -> bool {
        self.record.state() == StatementState::Succeeded
    }
}

impl Service {
    pub(super) fn statement_snapshot(
        &self,
        registry: &Registry,
        record: &Arc<StatementRecord>,
    ) -> StatementSnapshot {
        let session = record.session_id.parse::<SessionId>();
        let session = session.ok().and_then(|id| registry.session(&id));
        let resets = session.and_then(|s| s.resets.last()).map_or(0, |r| r.at_ms);
        StatementSnapshot {
            record: Arc::clone(record),
            owner: NodeId(session.map_or(0, |s| s.owner_node)),
            reset_ms: if resets >= record.submitted_at_ms {
                resets
            } else {
                0
            },
            live: self.inner.live.signs(JobId(record.job)),
        }
    }
}

pub(super) fn session_snapshot(registry: &Registry, record: &SessionRecord) -> SessionSnapshot {
    let owner = registry.node(NodeId(record.owner_node));
    let owner_http = owner.map_or_else(String::new, |node| node.http.clone());
    let id = record.session_id.parse::<SessionId>().ok();
    let active = id.iter().flat_map(|id| registry.active_of(id));
    SessionSnapshot {
        owner_http,
        counts: id
            .as_ref()
            .map(|id| registry.counts(id))
            .unwrap_or_default(),
        active: active.take(MAX_ACTIVE).map(Arc::clone).collect(),
        record: record.clone(),
    }
}

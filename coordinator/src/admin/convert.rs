//! The registry's words as the operator's.

use libra_proto::admin::{
    Member, Pool, SchedulingMode, Session, SessionReset, SessionState, Statement, StatementError,
    StatementResult, StatementState,
};
use libra_proto::registry::{self, SessionRecord, StatementRecord};
use libra_proto::types::{JobId, NodeId, SessionId};
use libra_raft::registry::Registry;

use crate::http::model::{mode_label, shown_conf};

/// Of a statement's text, what a list shows.
const CODE_SHOWN: usize = 200;

pub(super) fn member(member: libra_raft::Member) -> Member {
    Member {
        node_id: member.node_id.0,
        address: member.address,
        voter: member.voter,
        lag: member.lag,
    }
}

pub(super) fn session(registry: &Registry, record: &SessionRecord) -> Session {
    let id = record.session_id.parse::<SessionId>().ok();
    let counts = id.map(|id| registry.counts(&id)).unwrap_or_default();
    let incarnation = record.incarnation.clone().unwrap_or_default();
    let busy = counts.queued + counts.running > 0;
    Session {
        session_id: record.session_id.clone(),
        state: session_state(record.state(), busy).into(),
        mode: mode_label(record.mode()).to_owned(),
        user: record.user.clone(),
        owner_node: record.owner_node,
        epoch: record.epoch,
        endpoint: record.endpoint.clone(),
        spark_session_id: record.spark_session_id.clone(),
        app_id: incarnation.app_id,
        spark_version: incarnation.spark_version,
        spark_ui_url: incarnation.spark_ui_url,
        conf: shown_conf(&record.conf).into_iter().collect(),
        created_at_ms: record.created_at_ms,
        last_activity_ms: record.last_activity_ms,
        closed_at_ms: record.closed_at_ms,
        idle_timeout_ms: record.idle_timeout_ms,
        queued: counts.queued,
        running: counts.running,
        total: counts.total,
        resets: record.resets.iter().map(reset).collect(),
        error: record.error.as_ref().map(error),
        close_reason: record.close_reason.clone(),
    }
}

fn reset(reset: &registry::SessionReset) -> SessionReset {
    SessionReset {
        at_ms: reset.at_ms,
        reason: reset.reason.clone(),
        old_spark_session_id: reset.old_spark_session_id.clone(),
    }
}

pub(super) fn session_state(state: registry::SessionState, busy: bool) -> SessionState {
    match state {
        registry::SessionState::Unspecified => SessionState::Unspecified,
        registry::SessionState::Starting => SessionState::Starting,
        registry::SessionState::Open if busy => SessionState::Busy,
        registry::SessionState::Open => SessionState::Idle,
        registry::SessionState::Closing => SessionState::Closing,
        registry::SessionState::Closed => SessionState::Closed,
        registry::SessionState::Failed => SessionState::Failed,
    }
}

fn error(error: &registry::StatementError) -> StatementError {
    StatementError {
        error_class: error.error_class.clone(),
        sql_state: error.sql_state.clone(),
        message: error.message.clone(),
    }
}

/// A statement as a list shows it.
pub(super) fn statement_in_list(registry: &Registry, record: &StatementRecord) -> Statement {
    let mut shown = statement(registry, record);
    if let Some((end, _)) = shown.code.char_indices().nth(CODE_SHOWN) {
        shown.code.truncate(end);
        shown.code_cut = true;
    }
    shown
}

/// A statement with its whole text.
pub(super) fn statement(registry: &Registry, record: &StatementRecord) -> Statement {
    let session = record.session_id.parse::<SessionId>();
    let session = session.ok().and_then(|id| registry.session(&id));
    let owner_now = session.map_or(0, |session| session.owner_node);
    Statement {
        job_id: JobId(record.job).to_string(),
        session_id: record.session_id.clone(),
        user: record.user.clone(),
        pool: record.pool.clone(),
        state: statement_state(record.state()).into(),
        code: record.code.clone(),
        code_cut: false,
        description: record.description.clone().unwrap_or_default(),
        kind: record.kind.clone(),
        owner_node: match record.ended_on_node {
            0 => owner_now,
            ended => ended,
        },
        endpoint: record.endpoint.clone(),
        operation_id: record.operation_id.clone(),
        spark_session_id: record.spark_session_id.clone(),
        submitted_at_ms: record.submitted_at_ms,
        started_at_ms: record.started_at_ms,
        completed_at_ms: record.completed_at_ms,
        cancel_requested_at_ms: record.cancel_requested_at_ms,
        timed_out_at_ms: record.timed_out_at_ms,
        timeout_ms: record.timeout_ms,
        error: record.error.as_ref().map(error),
        result: record
            .result
            .as_ref()
            .map(|result| self::result(registry, result)),
        reconnecting: false,
    }
}

/// Only holders that can be asked are of use; of what is inline, all nodes hold it.
fn result(registry: &Registry, result: &registry::ResultManifest) -> StatementResult {
    let holders = result.holders.iter();
    let inline = !result.inline.is_empty();
    let everyone = registry.nodes().filter(|_| inline);
    let with_that_store = |holder: &&registry::Holder| {
        registry
            .node(NodeId(holder.node_id))
            .is_some_and(|node| node.store_uuid == holder.store_uuid)
    };
    StatementResult {
        rows: result.rows,
        bytes: result.bytes,
        truncated: result.truncated,
        holders: holders
            .filter(with_that_store)
            .map(|holder| holder.node_id)
            .chain(everyone.map(|node| node.node_id))
            .collect(),
    }
}

pub(super) fn statement_state(state: registry::StatementState) -> StatementState {
    match state {
        registry::StatementState::Unspecified => StatementState::Unspecified,
        registry::StatementState::Queued => StatementState::Queued,
        registry::StatementState::Running => StatementState::Running,
        registry::StatementState::Succeeded => StatementState::Succeeded,
        registry::StatementState::Failed => StatementState::Failed,
        registry::StatementState::Cancelled => StatementState::Cancelled,
    }
}

pub(super) fn pool(registry: &Registry, record: &registry::PoolRecord) -> Pool {
    let load = registry.pool_load(&record.name);
    Pool {
        name: record.name.clone(),
        weight: record.weight,
        min_share: record.min_share,
        scheduling_mode: shown_mode(record.scheduling_mode()).into(),
        max_running: record.max_running,
        paused: record.paused,
        queued: load.queued,
        running: load.running,
    }
}

fn shown_mode(mode: registry::SchedulingMode) -> SchedulingMode {
    match mode {
        registry::SchedulingMode::Unspecified | registry::SchedulingMode::Fair => {
            SchedulingMode::Fair
        }
        registry::SchedulingMode::Fifo => SchedulingMode::Fifo,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_cuts_long_texts_between_characters() {
        let registry = Registry::default();
        for (length, cut) in [(1, false), (CODE_SHOWN, false), (CODE_SHOWN + 1, true)] {
            let record = StatementRecord {
                code: "ä".repeat(length),
                ..StatementRecord::default()
            };
            let shown = statement_in_list(&registry, &record);
            assert_eq!(shown.code_cut, cut, "{length}");
            assert_eq!(shown.code.chars().count(), length.min(CODE_SHOWN));
            assert_eq!(statement(&registry, &record).code, record.code);
        }
    }

    #[test]
    fn a_result_that_nobody_holds_names_no_holder() {
        let registry = Registry::default();
        let record = StatementRecord {
            result: Some(registry::ResultManifest {
                holders: vec![registry::Holder {
                    node_id: 1,
                    store_uuid: "gone".to_owned(),
                }],
                ..registry::ResultManifest::default()
            }),
            ..StatementRecord::default()
        };
        let shown = statement(&registry, &record);
        assert_eq!(shown.result.unwrap().holders, [0_u64; 0]);
    }
}

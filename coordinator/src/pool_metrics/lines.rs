//! The log lines of a statement's life, one for each state, by the owner of its session; and the span
//! of its wait, which is known when it is over.
//!
//! **Invariant:** never its text, nor what Spark said of it: those may be secret.

use std::sync::Arc;

use libra_proto::registry::StatementRecord;
use libra_proto::trace::TraceContext;
use libra_proto::types::JobId;

use super::tally::Event;
use crate::telemetry::traces::{self, Past};

/// The target of these lines: `libra.log.level` can leave them out by it.
const TARGET: &str = "libra::statement";

/// Something to be told.
pub(super) struct Line {
    pub(super) event: Event,
    pub(super) statement: Arc<StatementRecord>,
    pub(super) epoch: u64,
    pub(super) log_index: u64,
}

/// Writes the line, and records the wait.
pub(super) fn tell(line: &Line) {
    let statement = &*line.statement;
    let place = TraceContext::read(&statement.traceparent, Some(&statement.tracestate));
    let trace_id = place.as_ref().map(TraceContext::trace);
    let (job_id, session_id) = (JobId(statement.job), statement.session_id.as_str());
    let (pool, user) = (statement.pool.as_str(), statement.user.as_str());
    let (epoch, log_index) = (line.epoch, line.log_index);
    match &line.event {
        // It is told of when it starts.
        Event::Submitted if starts_at_once(statement) => {}
        Event::Submitted => tracing::info!(target: TARGET,
            %job_id, session_id, pool, user, epoch, log_index, trace_id, "statement queued"),
        Event::Started { queued } => {
            let queued_ms = u64::try_from(queued.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(target: TARGET, %job_id, session_id, pool, user, epoch, log_index,
                queued_ms, trace_id, "statement started");
            if let Some(place) = place.filter(|_| !starts_at_once(statement)) {
                waited(&place, statement);
            }
        }
        Event::Ended { state } => {
            let error_class = statement.error.as_ref().map(|e| e.error_class.as_str());
            let rows = statement.result.as_ref().map(|result| result.rows);
            let bytes = statement.result.as_ref().map(|result| result.bytes);
            let since = statement.started_at_ms.max(statement.submitted_at_ms);
            let run_ms = statement.completed_at_ms.saturating_sub(since);
            tracing::info!(target: TARGET, %job_id, session_id, pool, user, epoch, log_index,
                state = state.label(), error_class, rows, bytes, run_ms, trace_id,
                "statement ended");
        }
    }
}

/// Whether it never queued: both happened in one command.
fn starts_at_once(statement: &StatementRecord) -> bool {
    statement.started_at_ms != 0 && statement.started_at_ms == statement.submitted_at_ms
}

fn waited(place: &TraceContext, statement: &StatementRecord) {
    let job_id = JobId(statement.job).to_string();
    traces::record(
        place,
        &Past {
            name: "statement.queue",
            from_ms: statement.submitted_at_ms,
            to_ms: statement.started_at_ms,
            fields: &[("job_id", &job_id), ("pool", &statement.pool)],
        },
    );
}

//! The spans of a statement's run, in the trace that its submit belongs to.
//!
//! **Invariant:** what an owner does hangs on the submit's span and on no other of the owner's: a
//! span that a crash leaves unfinished is never exported, and must have no children.

use libra_proto::registry::StatementRecord;
use libra_proto::trace::{self, TARGET, TraceContext};
use libra_proto::types::{Epoch, JobId};
use tracing::Span;
use tracing::field::Empty;

use super::Outcome;

/// Where the statement's submit is; `None` if it is in no trace, or none are exported here.
pub(crate) fn place_of(statement: &StatementRecord) -> Option<TraceContext> {
    if !trace::is_on() {
        return None;
    }
    TraceContext::read(&statement.traceparent, Some(&statement.tracestate))
}

/// One owner's run of a statement.
pub(crate) fn run(statement: &StatementRecord, epoch: Epoch) -> Span {
    let make = || {
        tracing::debug_span!(target: TARGET, "statement.run",
            job_id = %JobId(statement.job), session_id = statement.session_id,
            epoch = epoch.0, pool = statement.pool, outcome = Empty)
    };
    under(statement, make)
}

/// Sending the operation, until Spark answers.
pub(crate) fn execute(statement: &StatementRecord) -> Span {
    let make = || {
        tracing::debug_span!(target: TARGET, "spark.ExecutePlan", otel.kind = "client",
            job_id = %JobId(statement.job), operation_id = statement.operation_id)
    };
    under(statement, make)
}

/// Attaching to an operation that Spark has.
pub(crate) fn reattach(statement: &StatementRecord) -> Span {
    let make = || {
        tracing::debug_span!(target: TARGET, "spark.ReattachExecute", otel.kind = "client",
            job_id = %JobId(statement.job), operation_id = statement.operation_id)
    };
    under(statement, make)
}

/// Making the result durable and committing the end.
pub(crate) fn finish(statement: &StatementRecord, epoch: Epoch) -> Span {
    let make = || {
        tracing::debug_span!(target: TARGET, "statement.finish",
            job_id = %JobId(statement.job), epoch = epoch.0, state = Empty)
    };
    under(statement, make)
}

/// Telling Spark to forget the operation.
pub(crate) fn release(statement: &StatementRecord) -> Span {
    let make = || {
        tracing::debug_span!(target: TARGET, "spark.ReleaseExecute", otel.kind = "client",
            job_id = %JobId(statement.job), operation_id = statement.operation_id)
    };
    under(statement, make)
}

impl Outcome {
    /// One word for it.
    pub(crate) fn label(&self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::NotOurs => "not-ours",
            Self::SessionLost { .. } => "session-lost",
        }
    }
}

fn under(statement: &StatementRecord, make: impl FnOnce() -> Span) -> Span {
    match place_of(statement) {
        Some(place) => trace::under(make(), Some(&place)),
        None => Span::none(),
    }
}

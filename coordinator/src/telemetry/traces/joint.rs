//! OpenTelemetry's contexts and ours.

use libra_proto::trace::{Joint, TraceContext};
use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Joins spans by OpenTelemetry.
pub(super) struct Otel;

impl Joint for Otel {
    fn context_of(&self, span: &Span) -> Option<TraceContext> {
        let context = span.context();
        let span = context.span();
        let span = span.span_context();
        span.is_valid().then(|| TraceContext {
            trace_id: u128::from_be_bytes(span.trace_id().to_bytes()),
            span_id: u64::from_be_bytes(span.span_id().to_bytes()),
            sampled: span.is_sampled(),
            state: span.trace_state().header(),
        })
    }

    fn adopt(&self, span: &Span, parent: &TraceContext) {
        // An error says that the span has none: it is not exported.
        let _ = span.set_parent(remote(parent));
    }
}

/// As the parent of a span.
pub(super) fn remote(parent: &TraceContext) -> Context {
    let flags = if parent.sampled {
        TraceFlags::SAMPLED
    } else {
        TraceFlags::default()
    };
    let span = SpanContext::new(
        TraceId::from_bytes(parent.trace_id.to_be_bytes()),
        SpanId::from_bytes(parent.span_id.to_be_bytes()),
        flags,
        true,
        parent.state.parse::<TraceState>().unwrap_or_default(),
    );
    Context::new().with_remote_span_context(span)
}

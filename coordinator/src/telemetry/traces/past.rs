//! Spans of what is known only once it is over, such as a wait that another node has ended.

use std::sync::OnceLock;
use std::time::{Duration, UNIX_EPOCH};

use libra_proto::trace::TraceContext;
use opentelemetry::KeyValue;
use opentelemetry::trace::{Span as _, Tracer as _};
use opentelemetry_sdk::trace::SdkTracer;

use super::joint::remote;

static TRACER: OnceLock<SdkTracer> = OnceLock::new();

pub(super) fn record_with(tracer: SdkTracer) {
    // An error: it is recorded already.
    let _ = TRACER.set(tracer);
}

/// Something that is over; times in milliseconds since the Unix epoch, by the registry's clock.
pub(crate) struct Past<'a> {
    pub(crate) name: &'static str,
    pub(crate) from_ms: u64,
    pub(crate) to_ms: u64,
    pub(crate) fields: &'a [(&'static str, &'a str)],
}

/// Records what is over as a child of `parent`, if spans are exported.
pub(crate) fn record(parent: &TraceContext, past: &Past<'_>) {
    let Some(tracer) = TRACER.get() else { return };
    let at = |ms| UNIX_EPOCH + Duration::from_millis(ms);
    let fields = past.fields.iter();
    let fields = fields.map(|(name, value)| KeyValue::new(*name, (*value).to_owned()));
    let mut span = tracer
        .span_builder(past.name)
        .with_start_time(at(past.from_ms))
        .with_attributes(fields)
        .start_with_context(tracer, &remote(parent));
    span.end_with_timestamp(at(past.to_ms));
}

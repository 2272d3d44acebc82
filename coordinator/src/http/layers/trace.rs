//! The place of a request in a trace: the client's `traceparent` taken over, a span of its own where
//! spans are exported, and the answer says which trace it was.
//!
//! **Invariant:** what watches a node (the actuator) and what reads its pages is in no trace.

use axum::extract::{MatchedPath, Request};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue};
use libra_proto::trace::{self, TARGET, TraceContext};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

/// Names the trace of an answer, in the form of a `traceparent` (W3C's draft for answers).
const TRACERESPONSE: HeaderName = HeaderName::from_static("traceresponse");
/// What is traced.
const TRACED: &str = "/api/";

/// Where the request is in a trace, for whoever makes something that outlives it.
#[derive(Debug, Clone)]
pub(crate) struct Place(pub(crate) TraceContext);

/// Puts a request into its trace. To be applied where the route is known.
pub(crate) async fn traced(mut request: Request, next: Next) -> Response {
    if !request.uri().path().starts_with(TRACED) {
        return next.run(request).await;
    }
    let parent = trace::extract(request.headers());
    let span = match trace::is_on() {
        true => trace::under(span_of(&request), parent.as_ref()),
        false => Span::none(),
    };
    let place = trace::context_of(&span).or(parent);
    let Some(place) = place else {
        return next.run(request).await;
    };
    // Of the request's lines in the log.
    Span::current().record("trace_id", place.trace());
    request.extensions_mut().insert(Place(place.clone()));
    let mut response = next.run(request).instrument(span.clone()).await;
    if span.is_disabled() {
        return response;
    }
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    if let Ok(value) = HeaderValue::from_str(&place.to_string()) {
        response.headers_mut().insert(TRACERESPONSE, value);
    }
    response
}

fn span_of(request: &Request) -> Span {
    let route = request.extensions().get::<MatchedPath>();
    let route = route.map_or("unmatched", MatchedPath::as_str);
    let method = super::super::metrics::method_label(request.method());
    let id = request.extensions().get::<super::observe::RequestId>();
    let id = id.and_then(|id| id.0.to_str().ok()).unwrap_or_default();
    tracing::debug_span!(target: TARGET, "request",
        otel.name = format!("{method} {route}"), otel.kind = "server", otel.status_code = Empty,
        http.request.method = method, http.route = route, http.response.status_code = Empty,
        request_id = id)
}

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

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use axum::{Extension, Router};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    async fn seen(path: &str, parent: &str) -> (String, bool) {
        let handler = |place: Option<Extension<Place>>| async move {
            let place = place.map(|Extension(Place(place))| place.to_string());
            place.unwrap_or_default()
        };
        let router = Router::new()
            .route("/api/v1/pools", get(handler))
            .route("/actuator/health", get(handler))
            .layer(from_fn(traced));
        let request = Request::get(path).header("traceparent", parent);
        let request = request.body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let named = response.headers().contains_key(TRACERESPONSE);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (String::from_utf8(body.to_vec()).unwrap(), named)
    }

    /// Nothing is exported here: the client's place is passed on, and no span is promised.
    #[tokio::test]
    async fn a_clients_place_is_taken_over_where_nothing_is_exported_too() {
        let expected = (PARENT.to_owned(), false);
        assert_eq!(seen("/api/v1/pools", PARENT).await, expected);
        let none = (String::new(), false);
        assert_eq!(seen("/api/v1/pools", "00-4bf9-00f0-01").await, none);
        assert_eq!(seen("/actuator/health", PARENT).await, none);
    }
}

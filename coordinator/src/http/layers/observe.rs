//! The outermost layer: when a request arrived, what it is called, how it went.

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderName, HeaderValue};
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

use crate::http::Api;
use crate::service::Limit;

/// The header that names a request.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// When the request arrived: its patience counts from here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival(pub(crate) Instant);

/// The request's id.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) HeaderValue);

/// The route that an answer came from, put into it by [`remember_route`].
#[derive(Debug, Clone)]
struct Route(MatchedPath);

/// Inside the router: notes which route matched, for the layers outside.
pub(crate) async fn remember_route(request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let mut response = next.run(request).await;
    if let Some(route) = route {
        response.extensions_mut().insert(Route(route));
    }
    response
}

/// Names, times and counts a request.
pub(crate) async fn observe(State(api): State<Api>, mut request: Request, next: Next) -> Response {
    let arrival = Instant::now();
    let id = request_id(&request);
    let method = request.method().clone();
    let span = tracing::info_span!(
        "request",
        request_id = id.to_str().unwrap_or_default(),
        method = %method,
        path = request.uri().path(),
        trace_id = tracing::field::Empty
    );
    request.extensions_mut().insert(Arrival(arrival));
    request.extensions_mut().insert(RequestId(id.clone()));
    let running = api.metrics().http_request_begins();
    let mut response = next.run(request).instrument(span.clone()).await;
    drop(running);
    response.headers_mut().insert(X_REQUEST_ID, id);
    let route = response.extensions().get::<Route>();
    let route = route.map_or("unmatched", |Route(path)| path.as_str());
    if let Some(limit) = response.extensions().get::<Limit>() {
        api.metrics().limit_met(*limit);
    }
    let status = response.status();
    let elapsed = arrival.elapsed();
    let metrics = api.metrics();
    metrics.http_request_ended(&method, route, status.as_u16(), elapsed);
    let _entered = span.enter();
    tracing::debug!(
        status = status.as_u16(),
        elapsed_ms = elapsed.as_secs_f64() * 1e3,
        "request answered"
    );
    response
}

/// Takes over the client's id if it is fit for a log line, else makes one.
fn request_id(request: &Request) -> HeaderValue {
    let given = request.headers().get(X_REQUEST_ID);
    let fits = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        (1..=128).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic)
    };
    given.filter(fits).cloned().unwrap_or_else(|| {
        let made = Uuid::new_v4().to_string();
        HeaderValue::from_str(&made).unwrap_or(HeaderValue::from_static("none"))
    })
}

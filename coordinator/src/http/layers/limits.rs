//! Bounds on a request before a handler sees it, and on how long the handler may take.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use tokio::time::timeout;

use crate::http::Api;
use crate::http::problem::Problem;
use crate::service::{ErrorCode, FieldError, Limit, ServiceError};

const URI_BYTES: usize = 8 << 10;

/// Refuses URIs and headers that are too long.
pub(crate) async fn head(State(api): State<Api>, request: Request, next: Next) -> Response {
    let uri_bytes = request
        .uri()
        .path_and_query()
        .map_or(0, |p| p.as_str().len());
    if uri_bytes > URI_BYTES {
        return too_long(ErrorCode::UriTooLong, "URI", uri_bytes, URI_BYTES);
    }
    let headers = request.headers().iter();
    let header_bytes: usize = headers.map(|(n, v)| n.as_str().len() + v.len() + 4).sum();
    let limit = api.options().header_bytes;
    if header_bytes > limit {
        return too_long(ErrorCode::HeadersTooLarge, "headers", header_bytes, limit);
    }
    next.run(request).await
}

fn too_long(code: ErrorCode, what: &str, bytes: usize, limit: usize) -> Response {
    let value = format!("{bytes} bytes");
    let detail = format!("{what}: {value}, at most {limit} are allowed");
    let error = FieldError::new(what, value, format!("at most {limit} bytes"));
    Problem::new(code, detail)
        .with_errors(vec![error])
        .into_response()
}

/// Bounds how many requests are worked on at once.
pub(crate) async fn concurrency(State(api): State<Api>, request: Request, next: Next) -> Response {
    let permit = Arc::clone(&api.inner.requests).try_acquire_owned();
    let Ok(_permit) = permit else {
        let limit = Limit::Requests;
        let value = api.options().max_requests as u64;
        return Problem::from(ServiceError::LimitReached { limit, value }).into_response();
    };
    next.run(request).await
}

/// Bounds how long a handler takes to its answer's first byte.
pub(crate) async fn deadline(State(api): State<Api>, request: Request, next: Next) -> Response {
    let limit = api.options().request_deadline;
    match timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Problem::from(ServiceError::DeadlineExceeded { limit }).into_response(),
    }
}

/// Turns a panic of a handler into an answer.
pub(crate) async fn catch_panic(request: Request, next: Next) -> Response {
    match AssertUnwindSafe(next.run(request)).catch_unwind().await {
        Ok(response) => response,
        Err(panic) => {
            let said = panic.downcast_ref::<&str>().map(ToString::to_string);
            let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
            let cause = format!("a handler panicked: {}", said.unwrap_or_default());
            Problem::from(ServiceError::Internal { cause }).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::middleware::from_fn;
    use axum::routing::get;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::http::layers::problems::problems;

    async fn falls_over() -> &'static str {
        panic!("on purpose");
    }

    #[tokio::test]
    async fn a_panic_is_a_500_that_tells_nothing() {
        let router = Router::new()
            .route("/", get(falls_over))
            .layer(from_fn(catch_panic))
            .layer(from_fn(problems));
        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = router.oneshot(request).await.unwrap();
        assert_eq!(response.status(), 500);
        let body = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(text.contains("urn:libra:problem:internal"), "{text}");
        assert!(!text.contains("on purpose"), "{text}");
    }
}

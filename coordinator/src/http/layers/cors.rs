//! Cross-origin calls of browsers: only from origins that `libra.http.cors-origins` names.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::{HeaderValue, Method, header};

use crate::http::Api;

const REQUEST_HEADERS: &str = "Accept, Content-Type, Idempotency-Key, Last-Event-ID, X-Libra-User, X-Request-Id, \
     traceparent, tracestate";
const ANSWER_HEADERS: &str = "Libra-Applied-Index, Libra-Session-Reset, Libra-Stale, Location, \
                              Retry-After, X-Request-Id, traceresponse";

/// Adds what a browser asks for.
pub(crate) async fn cors(State(api): State<Api>, request: Request, next: Next) -> Response {
    let origins = &api.options().cors_origins;
    if origins.is_empty() {
        return next.run(request).await;
    }
    let origin = request.headers().get(header::ORIGIN).cloned();
    let preflight = request.method() == Method::OPTIONS;
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    let Some(origin) = origin.filter(|o| is_allowed(origins, o)) else {
        return response;
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if preflight {
        let methods = headers.get(header::ALLOW).cloned();
        if let Some(methods) = methods {
            headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, methods);
        }
        let allowed = HeaderValue::from_static(REQUEST_HEADERS);
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, allowed);
        let max_age = HeaderValue::from_static("600");
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, max_age);
    } else {
        let exposed = HeaderValue::from_static(ANSWER_HEADERS);
        headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    response
}

fn is_allowed(origins: &[String], origin: &HeaderValue) -> bool {
    origins
        .iter()
        .any(|o| o == "*" || o.as_bytes() == origin.as_bytes())
}

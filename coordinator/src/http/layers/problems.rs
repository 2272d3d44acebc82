//! The form of errors: writes the body of every [`Problem`], turns bare error statuses into one,
//! and answers OPTIONS, which the routes themselves do not know.

use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, Method, StatusCode, header};

use super::observe::RequestId;
use crate::http::problem::{PROBLEM_JSON, Problem};

/// Put into an answer whose error status is no problem: health says 503 in a form of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AsItIs;

/// Writes the body of errors.
pub(crate) async fn problems(request: Request, next: Next) -> Response {
    let method = request.method().clone();
    let path = request.uri().path().to_owned();
    let id = request.extensions().get::<RequestId>().cloned();
    let mut response = next.run(request).await;
    let refused = response.status() == StatusCode::METHOD_NOT_ALLOWED;
    if refused {
        allow_options(&mut response);
    }
    if refused && method == Method::OPTIONS {
        return answer_options(response);
    }
    if !response.status().is_client_error() && !response.status().is_server_error() {
        return response;
    }
    if response.extensions_mut().remove::<AsItIs>().is_some() {
        return response;
    }
    let problem = response.extensions_mut().remove::<Problem>();
    let problem = problem.unwrap_or_else(|| Problem::of_status(response.status()));
    let id = id.as_ref().and_then(|RequestId(id)| id.to_str().ok());
    let body = serde_json::to_vec(&problem.body(&path, id)).unwrap_or_default();
    finish(response, &method, body)
}

fn finish(response: Response, method: &Method, body: Vec<u8>) -> Response {
    let (mut parts, _) = response.into_parts();
    let problem_json = HeaderValue::from_static(PROBLEM_JSON);
    parts.headers.insert(header::CONTENT_TYPE, problem_json);
    let length = HeaderValue::from(body.len());
    parts.headers.insert(header::CONTENT_LENGTH, length);
    let body = if *method == Method::HEAD {
        Body::empty()
    } else {
        Body::from(body)
    };
    Response::from_parts(parts, body)
}

/// axum names the methods that have handlers; OPTIONS is answered here.
fn allow_options(response: &mut Response) {
    let allowed = response.headers().get(header::ALLOW);
    let allowed = allowed.and_then(|v| v.to_str().ok()).unwrap_or_default();
    let mut methods: Vec<&str> = allowed.split(',').map(str::trim).collect();
    methods.retain(|m| !m.is_empty());
    methods.push("OPTIONS");
    if let Ok(value) = HeaderValue::from_str(&methods.join(", ")) {
        response.headers_mut().insert(header::ALLOW, value);
    }
}

fn answer_options(refused: Response) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Some(allow) = refused.headers().get(header::ALLOW) {
        response.headers_mut().insert(header::ALLOW, allow.clone());
    }
    response
}

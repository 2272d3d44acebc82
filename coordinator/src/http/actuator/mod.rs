//! The actuator, in the form that Spring Boot prints.
//!
//! **Invariant:** answers locally and at once, whatever the state of cluster and Spark; only
//! readiness waits, within a request's patience.

pub(crate) mod health;
pub(crate) mod measurements;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use http::{HeaderMap, HeaderValue, header};
use prometheus::TextEncoder;
use serde_json::json;

use super::Api;
use super::extract::Query;
use super::extract::accept::{JSON, negotiate};
use super::problem::Problem;
use super::routes::mark_stale;
use crate::service::ServiceError;

/// Spring's own name for the form of its answers.
const ACTUATOR_JSON: &str = "application/vnd.spring-boot.actuator.v3+json";
const PROMETHEUS_TEXT: &str = "text/plain";

/// The actuator's routes.
pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/actuator", get(index))
        .route("/actuator/health", get(health::health))
        .route("/actuator/health/liveness", get(health::liveness))
        .route("/actuator/health/readiness", get(health::readiness))
        .route("/actuator/metrics", get(measurements::metric_names))
        .route("/actuator/metrics/{name}", get(measurements::metric))
        .route("/actuator/prometheus", get(prometheus_text))
}

/// What every answer of the actuator in JSON begins with.
fn check(headers: &HeaderMap, uri: &Uri, known: &[&str]) -> Result<(), Problem> {
    negotiate(headers, &[JSON, ACTUATOR_JSON])?;
    let mut known = known.to_vec();
    known.push("stale");
    let mut query = Query::of(uri, &known);
    query.flag("stale");
    query.finish()
}

/// The actuator's endpoints.
#[utoipa::path(get, path = "/actuator", operation_id = "actuator", tag = "actuator", responses(
    (status = 200, description = "Links to the endpoints", body = Object)
))]
pub(crate) async fn index(
    State(api): State<Api>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    check(&headers, &uri, &[])?;
    let link = |path: &str| json!({ "href": format!("/actuator{path}"), "templated": false });
    let metric = json!({ "href": "/actuator/metrics/{name}", "templated": true });
    let answer = Json(json!({ "_links": {
        "self": link(""),
        "health": link("/health"),
        "health-liveness": link("/health/liveness"),
        "health-readiness": link("/health/readiness"),
        "metrics": link("/metrics"),
        "metrics-name": metric,
        "prometheus": link("/prometheus"),
    }}));
    Ok(mark_stale(&api, answer.into_response()))
}

/// All metrics in Prometheus' text form.
#[utoipa::path(get, path = "/actuator/prometheus", operation_id = "getPrometheusText", tag = "actuator", responses(
    (status = 200, description = "All metrics", body = String, content_type = "text/plain")
))]
pub(crate) async fn prometheus_text(
    State(api): State<Api>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    negotiate(&headers, &[PROMETHEUS_TEXT])?;
    let mut query = Query::of(&uri, &["stale"]);
    query.flag("stale");
    query.finish()?;
    api.metrics().refresh(api.service().node_load());
    let text = TextEncoder::new().encode_to_string(&api.metrics().registry().gather());
    let text = text.map_err(|error| ServiceError::Internal {
        cause: error.to_string(),
    })?;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    let answer = ([(header::CONTENT_TYPE, kind)], text).into_response();
    Ok(mark_stale(&api, answer))
}

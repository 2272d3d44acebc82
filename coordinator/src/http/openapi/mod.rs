//! The OpenAPI document, generated from the handlers and the models, and its page.
//!
//! **Invariant:** what holds for many routes (the forms of ids, what any route may answer) is said
//! once here, not beside each handler.

mod examples;
mod parameters;

use std::sync::Arc;

use axum::extract::Path;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use http::{StatusCode, header};
use utoipa::OpenApi;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{self, PathItem, RefOr};
use utoipa_swagger_ui::{Config, SwaggerFile};

use super::Api;
use super::actuator;
use super::problem::{PROBLEM_JSON, Problem};
use super::routes::{Head, cluster, events, pools, result, sessions, statements};
use crate::service::ServiceError;

/// What the document is made of.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Libra",
        description = "Parallel SQL statements on Spark Connect, with any one coordinator dead"
    ),
    paths(
        sessions::create,
        sessions::list,
        sessions::get,
        sessions::close,
        statements::submit,
        statements::list_of_session,
        statements::list_all,
        statements::get,
        statements::cancel,
        result::get,
        events::get,
        pools::list,
        pools::put,
        pools::delete,
        cluster::get,
        actuator::index,
        actuator::health::health,
        actuator::health::liveness,
        actuator::health::readiness,
        actuator::measurements::metric_names,
        actuator::measurements::metric,
        actuator::prometheus_text,
    )
)]
struct Document;

// What any route may answer: refused before a handler sees it, or no leader.
const ANYWHERE: [(&str, &str); 9] = [
    ("400", "Not valid"),
    ("404", "Not there"),
    ("406", "No acceptable form"),
    ("414", "The URI is too long"),
    ("429", "Too many requests at once"),
    ("431", "The headers are too long"),
    ("500", "A fault of Libra's own"),
    ("503", "No leader, or the node is shutting down"),
    ("504", "It took too long"),
];

/// Refusals that say when to try again.
const RETRIED: [&str; 2] = ["429", "503"];

/// The whole document.
fn whole() -> openapi::OpenApi {
    let mut document = Document::openapi();
    let paths = &mut document.paths.paths;
    for (path, item) in paths.iter_mut() {
        for (method, operation) in operations(item) {
            complete(path, method, operation);
        }
    }
    let short: Vec<_> = paths
        .iter()
        .filter_map(|(path, item)| short(path, item))
        .collect();
    paths.extend(short);
    document
}

/// What the handler alone does not say.
fn complete(path: &str, method: &str, operation: &mut Operation) {
    for (status, description) in ANYWHERE {
        let responses = &mut operation.responses.responses;
        responses
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(problem(description)));
    }
    for (status, response) in &mut operation.responses.responses {
        if let (true, RefOr::T(response)) = (RETRIED.contains(&status.as_str()), response) {
            let wait = openapi::HeaderBuilder::new()
                .schema(Some(openapi::Object::with_type(openapi::Type::Integer)))
                .description(Some("Seconds after which to try again"))
                .build();
            let headers = &mut response.headers;
            headers.insert("Retry-After".to_owned(), RefOr::T(wait));
        }
    }
    parameters::constrain(path, operation);
    examples::put(path, method, operation);
}

/// A statement is found without its session too.
fn short(path: &str, item: &PathItem) -> Option<(String, PathItem)> {
    let rest = path.strip_prefix("/api/v1/sessions/{sessionId}/statements/{jobId}")?;
    let mut item = item.clone();
    for (_, operation) in operations(&mut item) {
        if let Some(parameters) = &mut operation.parameters {
            parameters.retain(|p| !matches!(p, RefOr::T(p) if p.name == "sessionId"));
        }
        let id = operation.operation_id.take().unwrap_or_default();
        operation.operation_id = Some(format!("{id}ByJob"));
    }
    Some((format!("/api/v1/statements/{{jobId}}{rest}"), item))
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("GET", &mut item.get),
        ("PUT", &mut item.put),
        ("POST", &mut item.post),
        ("DELETE", &mut item.delete),
    ];
    all.into_iter()
        .filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn problem(description: &str) -> openapi::Response {
    let schema = openapi::Ref::from_schema_name("Problem");
    let content = openapi::ContentBuilder::new().schema(Some(schema)).build();
    openapi::ResponseBuilder::new()
        .description(description)
        .content(PROBLEM_JSON, content)
        .build()
}

/// The routes of the document and its page.
pub(crate) fn routes() -> Router<Api> {
    Router::new()
        .route("/api-docs", get(document))
        .route("/swagger-ui", get(page))
        .route("/swagger-ui/", get(page))
        .route("/swagger-ui/{file}", get(file))
}

async fn document(head: Head) -> Result<Response, Problem> {
    head.read_query(&[]).finish()?;
    Ok(Json(whole()).into_response())
}

async fn page() -> Result<Response, Problem> {
    let found = embedded("index.html")?;
    let html = String::from_utf8_lossy(&found.bytes);
    // The page names its files relative to a folder; it is found without the slash too.
    Ok(Html(html.replace("<head>", r#"<head><base href="/swagger-ui/">"#)).into_response())
}

async fn file(Path(name): Path<String>) -> Result<Response, Problem> {
    let found = embedded(&name)?;
    let kind = [(header::CONTENT_TYPE, found.content_type)];
    Ok((kind, found.bytes.into_owned()).into_response())
}

fn embedded(name: &str) -> Result<SwaggerFile<'static>, Problem> {
    let config = Arc::new(Config::from("/api-docs"));
    let found = utoipa_swagger_ui::serve(name, config).map_err(|error| ServiceError::Internal {
        cause: error.to_string(),
    })?;
    found.ok_or_else(|| Problem::of_status(StatusCode::NOT_FOUND))
}

//! All routes, and the layers around them.

use axum::Router;
use axum::extract::Request;
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post, put};
use http::StatusCode;
use tower_http::compression::CompressionLayer;

use super::layers::{compress, cors, limits, observe, problems, trace};
use super::metrics::Metrics;
use super::problem::Problem;
use super::routes::{cluster, events, pools, result, sessions, statements};
use super::{Api, HttpOptions, actuator, openapi};
use crate::service::Service;

/// Makes the routes of a node, with metrics of their own.
pub fn router(service: Service, options: HttpOptions) -> Router {
    router_with(service, options, Metrics::default())
}

/// Makes the routes of a node over metrics that other parts of it share.
pub fn router_with(service: Service, options: HttpOptions, metrics: Metrics) -> Router {
    let api = Api::new(service, options, metrics);
    let routes = Router::new()
        .nest("/api/v1", bounded(&api))
        .merge(actuator::routes())
        .merge(openapi::routes())
        .fallback(nothing_here)
        .layer(from_fn(trace::traced))
        .layer(from_fn(observe::remember_route))
        .layer(from_fn(limits::catch_panic))
        .layer(from_fn_with_state(api.clone(), limits::deadline))
        .layer(from_fn_with_state(api.clone(), limits::head))
        .with_state(api.clone());
    around(routes, &api)
}

/// What counts towards the limit of requests at once.
fn bounded(api: &Api) -> Router<Api> {
    Router::new()
        .route("/sessions", get(sessions::list).post(sessions::create))
        .route(
            "/sessions/{sessionId}",
            get(sessions::get).delete(sessions::close),
        )
        .route(
            "/sessions/{sessionId}/statements",
            get(statements::list_of_session).post(statements::submit),
        )
        .nest("/sessions/{sessionId}/statements/{jobId}", statement())
        .route("/statements", get(statements::list_all))
        .nest("/statements/{jobId}", statement())
        .route("/pools", get(pools::list))
        .route("/pools/{name}", put(pools::put).delete(pools::delete))
        .route("/cluster", get(cluster::get))
        .layer(from_fn_with_state(api.clone(), limits::concurrency))
}

/// What can be done with one statement, under either of its paths.
fn statement() -> Router<Api> {
    Router::new()
        .route("/", get(statements::get))
        .route("/result", get(result::get))
        .route("/events", get(events::get))
        .route("/cancel", post(statements::cancel))
}

fn around(routes: Router, api: &Api) -> Router {
    // A fallback service, so that the layers also surround paths and methods that do not match.
    Router::new()
        .fallback_service(routes)
        .layer(from_fn(problems::problems))
        .layer(CompressionLayer::new().compress_when(compress::is_worth_it))
        .layer(from_fn_with_state(api.clone(), cors::cors))
        .layer(from_fn_with_state(api.clone(), observe::observe))
}

async fn nothing_here(_: Request) -> Problem {
    Problem::of_status(StatusCode::NOT_FOUND)
}

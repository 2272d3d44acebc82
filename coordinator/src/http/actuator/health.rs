//! Health, liveness and readiness.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use serde_json::Value;

use super::check;
use crate::http::Api;
use crate::http::layers::observe::Arrival;
use crate::http::layers::problems::AsItIs;
use crate::http::problem::Problem;
use crate::http::routes::mark_stale;
use crate::service::ComponentHealth;

/// How the node is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Health)]
pub(crate) struct HealthView {
    /// `UP`, `DOWN` or `OUT_OF_SERVICE`.
    #[schema(example = "UP")]
    status: &'static str,
    /// Its components.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    components: BTreeMap<&'static str, ComponentView>,
}

/// How a component is.
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Component)]
pub(crate) struct ComponentView {
    /// `UP`, `DOWN` or `OUT_OF_SERVICE`.
    #[schema(example = "UP")]
    status: &'static str,
    /// What else there is to say.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = Object)]
    details: BTreeMap<String, Value>,
}

impl From<ComponentHealth> for ComponentView {
    fn from(health: ComponentHealth) -> Self {
        Self {
            status: up_or_down(health.up),
            details: health.details,
        }
    }
}

fn up_or_down(up: bool) -> &'static str {
    if up { "UP" } else { "DOWN" }
}

fn answer(api: &Api, view: HealthView) -> Response {
    let status = if view.status == "UP" {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let mut response = (status, Json(view)).into_response();
    response.extensions_mut().insert(AsItIs);
    mark_stale(api, response)
}

/// How the node and what it needs are.
#[utoipa::path(get, path = "/actuator/health", operation_id = "getHealth", tag = "actuator", responses(
    (status = 200, description = "All components work", body = HealthView),
    (status = 503, description = "A component does not", body = HealthView)
))]
pub(crate) async fn health(
    State(api): State<Api>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    check(&headers, &uri, &[])?;
    let health = api.service().health();
    let view = HealthView {
        status: up_or_down(health.up()),
        components: health
            .components
            .into_iter()
            .map(|(n, c)| (n, c.into()))
            .collect(),
    };
    Ok(answer(&api, view))
}

/// Whether the process works at all.
#[utoipa::path(get, path = "/actuator/health/liveness", operation_id = "getLiveness", tag = "actuator", responses(
    (status = 200, description = "It does", body = HealthView)
))]
pub(crate) async fn liveness(
    State(api): State<Api>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    check(&headers, &uri, &[])?;
    let view = HealthView {
        status: "UP",
        components: BTreeMap::new(),
    };
    Ok(answer(&api, view))
}

/// Whether requests should come to this node.
#[utoipa::path(get, path = "/actuator/health/readiness", operation_id = "getReadiness", tag = "actuator", responses(
    (status = 200, description = "They should", body = HealthView),
    (status = 503, description = "They should not", body = HealthView)
))]
pub(crate) async fn readiness(
    State(api): State<Api>,
    Extension(Arrival(arrival)): Extension<Arrival>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Problem> {
    check(&headers, &uri, &[])?;
    let patience = api.service().patience(arrival);
    let view = match api.service().ready(patience).await {
        Ok(()) => HealthView {
            status: "UP",
            components: BTreeMap::new(),
        },
        Err(reason) => {
            let details = BTreeMap::from([("reason".to_owned(), Value::from(reason))]);
            let component = ComponentView {
                status: "OUT_OF_SERVICE",
                details,
            };
            HealthView {
                status: "OUT_OF_SERVICE",
                components: BTreeMap::from([("readinessState", component)]),
            }
        }
    };
    Ok(answer(&api, view))
}

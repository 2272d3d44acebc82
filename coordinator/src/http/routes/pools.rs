//! `/pools`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use libra_proto::registry::SchedulingMode;

use super::{Head, marked};
use crate::http::Api;
use crate::http::extract::{JsonBody, NoBody, PoolPath};
use crate::http::model::{PoolList, PoolView, PutPoolBody};
use crate::http::problem::{Problem, ProblemBody};
use crate::service::{Allowed, FieldError, PoolSettings, PoolSnapshot};

const MOST: u64 = 1_000_000;

/// Lists the pools, by name.
#[utoipa::path(get, path = "/api/v1/pools", operation_id = "listPools", tag = "pools",
    params(("stale" = Option<bool>, Query, description = "Whatever this node has applied")),
    responses((status = 200, description = "The pools", body = PoolList)))]
pub(crate) async fn list(State(api): State<Api>, head: Head) -> Result<Response, Problem> {
    let mut query = head.read_query(&[]);
    let stale = query.flag("stale");
    query.finish()?;
    let pools = api.service().pools(head.consistency(&api, stale)).await?;
    let pools = pools.iter().map(view).collect();
    let answer = Json(PoolList { pools }).into_response();
    Ok(marked(&api, stale, answer))
}

/// Makes a pool, or sets one anew.
#[utoipa::path(put, path = "/api/v1/pools/{name}", operation_id = "putPool", tag = "pools",
    params(("name" = String, Path, description = "Its name", example = "nightly")),
    request_body = PutPoolBody,
    responses(
        (status = 200, description = "Set anew", body = PoolView),
        (status = 201, description = "Made", body = PoolView,
            headers(("Location" = String, description = "Where it is found"))),
        (status = 400, description = "Not valid", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 413, description = "Body too long", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
pub(crate) async fn put(
    State(api): State<Api>,
    PoolPath(name): PoolPath,
    head: Head,
    body: JsonBody<PutPoolBody>,
) -> Result<Response, Problem> {
    head.query(&[]).finish()?;
    let settings = settings(&body.value)?;
    let service = api.service();
    let (pool, made) = service
        .put_pool(&name, settings, head.patience(&api))
        .await?;
    let view = Json(view(&pool));
    if made {
        let encoded = percent_encoding::utf8_percent_encode(
            name.as_str(),
            percent_encoding::NON_ALPHANUMERIC,
        );
        let location = [(header::LOCATION, format!("/api/v1/pools/{encoded}"))];
        Ok((StatusCode::CREATED, location, view).into_response())
    } else {
        Ok(view.into_response())
    }
}

/// Deletes a pool that holds no statements.
#[utoipa::path(delete, path = "/api/v1/pools/{name}", operation_id = "deletePool", tag = "pools",
    params(("name" = String, Path, description = "Its name", example = "nightly")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 404, description = "No such pool", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 409, description = "It holds statements, or always exists", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
pub(crate) async fn delete(
    State(api): State<Api>,
    PoolPath(name): PoolPath,
    head: Head,
    _: NoBody,
) -> Result<Response, Problem> {
    head.query(&[]).finish()?;
    api.service()
        .delete_pool(&name, head.patience(&api))
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn view(pool: &PoolSnapshot) -> PoolView {
    PoolView::of(&pool.record, pool.load.queued, pool.load.running)
}

fn settings(body: &PutPoolBody) -> Result<PoolSettings, Problem> {
    let mut errors = Vec::new();
    let mut bounded = |field: &str, value: u64, least: u64| {
        if !(least..=MOST).contains(&value) {
            let allowed = format!("a whole number from {least} to {MOST}");
            errors.push(FieldError::new(field, value.to_string(), allowed));
        }
        u32::try_from(value).unwrap_or(u32::MAX)
    };
    let weight = bounded("weight", body.weight, 1);
    let min_share = bounded("minShare", body.min_share, 0);
    let max_running = body.max_running.map(|n| bounded("maxRunning", n, 1));
    let scheduling_mode = match body.scheduling_mode.as_str() {
        "FIFO" => SchedulingMode::Fifo,
        "FAIR" => SchedulingMode::Fair,
        other => {
            let allowed = Allowed::one_of(&["FIFO", "FAIR"]);
            errors.push(FieldError::new("schedulingMode", other, allowed));
            SchedulingMode::Unspecified
        }
    };
    if !errors.is_empty() {
        return Err(Problem::invalid(errors));
    }
    Ok(PoolSettings {
        weight,
        min_share,
        scheduling_mode,
        max_running,
    })
}

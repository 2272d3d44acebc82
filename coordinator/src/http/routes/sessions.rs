//! `/sessions`.

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use libra_proto::types::{InvalidId, SessionId, UserName};
use std::str::FromStr;

use super::{Head, marked, present};
use crate::http::Api;
use crate::http::extract::{NoBody, OptionalJsonBody, SessionPath, headers};
use crate::http::model::{CreateSessionBody, SessionList, SessionView};
use crate::http::problem::{Problem, ProblemBody};
use crate::service::{FieldError, NewSession, body_hash};

pub(super) const DEFAULT_USER: &str = "anonymous";
const PATH: &str = "/api/v1/sessions";

/// Makes a session.
#[utoipa::path(post, path = "/api/v1/sessions", operation_id = "createSession", tag = "sessions",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request repeatable"),
        ("X-Libra-User" = Option<String>, Header, description = "Who sends it"),
    ),
    request_body(content = CreateSessionBody, description = "All of it may be left out"),
    responses(
        (status = 201, description = "Made", body = SessionView,
            headers(("Location" = String, description = "Where it is found"))),
        (status = 400, description = "Not valid", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 409, description = "The id is taken, or the mode is SHARED",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "Body too long", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 422, description = "The Idempotency-Key came with another body",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "As many sessions as allowed", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
pub(crate) async fn create(
    State(api): State<Api>,
    head: Head,
    OptionalJsonBody(body): OptionalJsonBody<CreateSessionBody>,
) -> Result<Response, Problem> {
    head.query(&[]).finish()?;
    let key = headers::idempotency_key(head.headers())?;
    let new = NewSession {
        id: optional::<SessionId>("sessionId", body.value.session_id)?,
        user: user(&head, body.value.user)?,
        conf: body.value.conf.unwrap_or_default(),
        timeout_minutes: body.value.timeout_minutes,
        body_hash: key
            .as_ref()
            .map(|_| body_hash(&body.parsed))
            .unwrap_or_default(),
        idempotency_key: key.map(|key| format!("{PATH}\n{key}")).unwrap_or_default(),
    };
    let made = api
        .service()
        .create_session(new, head.patience(&api))
        .await?;
    let location = format!("{PATH}/{}", made.record.session_id);
    let view = Json(present::session(&made));
    Ok((StatusCode::CREATED, [(header::LOCATION, location)], view).into_response())
}

/// Lists sessions, by id.
#[utoipa::path(get, path = "/api/v1/sessions", operation_id = "listSessions", tag = "sessions",
    params(
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 1000,
            description = "At most so many; 100 if it is left out"),
        ("after" = Option<String>, Query, description = "Only those after this id"),
        ("stale" = Option<bool>, Query, description = "Whatever this node has applied"),
    ),
    responses((status = 200, description = "The sessions", body = SessionList)))]
pub(crate) async fn list(State(api): State<Api>, head: Head) -> Result<Response, Problem> {
    let mut query = head.read_query(&["limit", "after"]);
    let limit = query.number("limit", &(1..=1000), 100);
    let after = query.parsed::<SessionId>("after", "a session id");
    let stale = query.flag("stale");
    query.finish()?;
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let consistency = head.consistency(&api, stale);
    let page = api
        .service()
        .sessions(after.as_ref(), limit, consistency)
        .await?;
    let view = SessionList {
        sessions: page.sessions.iter().map(present::session).collect(),
        total: page.total as u64,
        next: page.next,
    };
    Ok(marked(&api, stale, Json(view).into_response()))
}

/// Shows a session.
#[utoipa::path(get, path = "/api/v1/sessions/{sessionId}", operation_id = "getSession", tag = "sessions",
    params(
        ("sessionId" = String, Path, description = "Its id", example = "default"),
        ("stale" = Option<bool>, Query, description = "Whatever this node has applied"),
    ),
    responses(
        (status = 200, description = "The session", body = SessionView),
        (status = 404, description = "No such session", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
pub(crate) async fn get(
    State(api): State<Api>,
    SessionPath(id): SessionPath,
    head: Head,
) -> Result<Response, Problem> {
    let mut query = head.read_query(&[]);
    let stale = query.flag("stale");
    query.finish()?;
    let found = api
        .service()
        .session(&id, head.consistency(&api, stale))
        .await?;
    let view = Json(present::session(&found));
    Ok(marked(&api, stale, view.into_response()))
}

/// Closes a session; its running statements are cancelled.
#[utoipa::path(delete, path = "/api/v1/sessions/{sessionId}", operation_id = "closeSession", tag = "sessions",
    params(("sessionId" = String, Path, description = "Its id", example = "user-alice")),
    responses(
        (status = 204, description = "Closed, or was closed before"),
        (status = 404, description = "No such session", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 409, description = "The shared session stays", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
pub(crate) async fn close(
    State(api): State<Api>,
    SessionPath(id): SessionPath,
    head: Head,
    _: NoBody,
) -> Result<Response, Problem> {
    head.query(&[]).finish()?;
    api.service()
        .close_session(&id, head.patience(&api))
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// The user of a request: the body's word before the header's.
pub(super) fn user(head: &Head, in_body: Option<String>) -> Result<UserName, Problem> {
    let from_header = headers::user(head.headers())?;
    let in_body = optional::<UserName>("user", in_body)?;
    match in_body.or(from_header) {
        Some(user) => Ok(user),
        None => required("user", DEFAULT_USER),
    }
}

fn optional<T: FromStr<Err = InvalidId>>(
    field: &str,
    text: Option<String>,
) -> Result<Option<T>, Problem> {
    text.map(|text| required(field, &text)).transpose()
}

fn required<T: FromStr<Err = InvalidId>>(field: &str, text: &str) -> Result<T, Problem> {
    let wrong = |e: InvalidId| Problem::invalid(vec![FieldError::new(field, text, e.allowed)]);
    text.parse().map_err(wrong)
}

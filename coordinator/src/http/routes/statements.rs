//! `/sessions/{sessionId}/statements` and `/statements`.

use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use libra_proto::registry::StatementState;
use libra_proto::types::{JobId, SessionId};

use super::present::{self, RowsWanted};
use super::{Head, marked};
use crate::http::Api;
use crate::http::extract::{JsonBody, NoBody, SessionPath, StatementPath, headers};
use crate::http::model::{StatementList, StatementView, SubmitBody, Timestamp};
use crate::http::problem::{Problem, ProblemBody};
use crate::service::{
    PoolName, StatementFilter, StatementSnapshot, Submission, Submitted, body_hash,
};

const MOST_WAIT_SECONDS: u32 = 60;
const DEFAULT_WAIT: Duration = Duration::from_secs(10);
const LIBRA_SESSION_RESET: HeaderName = HeaderName::from_static("libra-session-reset");
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

const STATES: [(&str, StatementState); 5] = [
    ("queued", StatementState::Queued),
    ("running", StatementState::Running),
    ("succeeded", StatementState::Succeeded),
    ("failed", StatementState::Failed),
    ("cancelled", StatementState::Cancelled),
];

/// Runs a statement.
#[utoipa::path(post, path = "/api/v1/sessions/{sessionId}/statements", operation_id = "submitStatement", tag = "statements",
    params(
        ("sessionId" = String, Path, description = "Its session", example = "default"),
        ("wait" = Option<f64>, Query, minimum = 0, maximum = 60,
            description = "How many seconds to wait for its end; 10 if it is left out"),
        ("rows" = Option<u64>, Query, minimum = 0, maximum = 1000,
            description = "How many rows to show; 1000 if it is left out"),
        ("bigint" = Option<String>, Query, description = "`string`: bigints as strings"),
        ("Idempotency-Key" = Option<String>, Header, description = "Makes the request repeatable"),
        ("X-Libra-User" = Option<String>, Header, description = "Who sends it"),
    ),
    request_body = SubmitBody,
    responses(
        (status = 200, description = "It has ended", body = StatementView,
            headers(("Location" = String, description = "Where it is found"))),
        (status = 202, description = "It was accepted", body = StatementView,
            headers(("Location" = String, description = "Where it is found"))),
        (status = 400, description = "Not valid", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 404, description = "No such session", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 409, description = "The session is closing or has failed", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 413, description = "Body or text too long", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 415, description = "Not JSON", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 422, description = "The Idempotency-Key came with another body",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "A limit is reached", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
pub(crate) async fn submit(
    State(api): State<Api>,
    SessionPath(session): SessionPath,
    head: Head,
    body: JsonBody<SubmitBody>,
) -> Result<Response, Problem> {
    let mut query = head.query(&["wait", "rows", "bigint"]);
    let wait = query.seconds("wait", MOST_WAIT_SECONDS, DEFAULT_WAIT);
    let wanted = RowsWanted::read(&mut query);
    query.finish()?;
    let submission = submission(&head, session, body)?;
    let patience = head.patience(&api);
    let submitted = api
        .service()
        .submit_and_wait(submission, wait, patience)
        .await?;
    let snapshot = &submitted.statement;
    let view = present::statement_with_rows(&api, snapshot, wanted).await?;
    let status = if snapshot.has_ended() {
        StatusCode::OK
    } else {
        StatusCode::ACCEPTED
    };
    let response = (status, Json(view)).into_response();
    Ok(with_headers(response, &submitted))
}

fn submission(
    head: &Head,
    session: SessionId,
    body: JsonBody<SubmitBody>,
) -> Result<Submission, Problem> {
    let key = headers::idempotency_key(head.headers())?;
    let hash = key.as_ref().map(|_| body_hash(&body.parsed));
    let path = format!("/api/v1/sessions/{session}/statements");
    let submit = body.value;
    Ok(Submission {
        session,
        user: super::sessions::user(head, submit.user)?,
        code: submit.code,
        kind: submit.kind,
        pool: submit.pool,
        description: submit.description,
        timeout_seconds: submit.timeout_seconds,
        idempotency_key: key.map(|key| format!("{path}\n{key}")).unwrap_or_default(),
        body_hash: hash.unwrap_or_default(),
        place: head.place(),
    })
}

fn with_headers(mut response: Response, submitted: &Submitted) -> Response {
    let record = &submitted.statement.record;
    let location = present::location(&record.session_id, JobId(record.job));
    let reset = Timestamp::of(submitted.session_reset_ms).map(|at| at.to_string());
    let headers = response.headers_mut();
    let mut put = |name, text: &str| {
        if let Ok(value) = HeaderValue::from_str(text) {
            headers.insert(name, value);
        }
    };
    put(header::LOCATION, &location);
    if let Some(reset) = reset {
        put(LIBRA_SESSION_RESET, &reset);
    }
    if submitted.replayed {
        put(IDEMPOTENT_REPLAYED, "true");
    }
    response
}

/// Lists the statements of a session, newest first, without rows.
#[utoipa::path(get, path = "/api/v1/sessions/{sessionId}/statements", operation_id = "listStatementsOfSession", tag = "statements",
    params(
        ("sessionId" = String, Path, description = "The session", example = "default"),
        ("state" = Option<String>, Query, description = "Only those in this state"),
        ("pool" = Option<String>, Query, description = "Only those of this pool"),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 1000,
            description = "At most so many; 100 if it is left out"),
        ("after" = Option<String>, Query, description = "Only those accepted before this one"),
        ("stale" = Option<bool>, Query, description = "Whatever this node has applied"),
    ),
    responses(
        (status = 200, description = "The statements", body = StatementList),
        (status = 404, description = "No such session", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
pub(crate) async fn list_of_session(
    State(api): State<Api>,
    SessionPath(session): SessionPath,
    head: Head,
) -> Result<Response, Problem> {
    list(&api, &head, Some(session)).await
}

/// Lists the statements of all sessions, newest first, without rows.
#[utoipa::path(get, path = "/api/v1/statements", operation_id = "listStatements", tag = "statements",
    params(
        ("session" = Option<String>, Query, description = "Only those of this session"),
        ("state" = Option<String>, Query, description = "Only those in this state"),
        ("pool" = Option<String>, Query, description = "Only those of this pool"),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 1000,
            description = "At most so many; 100 if it is left out"),
        ("after" = Option<String>, Query, description = "Only those accepted before this one"),
        ("stale" = Option<bool>, Query, description = "Whatever this node has applied"),
    ),
    responses((status = 200, description = "The statements", body = StatementList)))]
pub(crate) async fn list_all(State(api): State<Api>, head: Head) -> Result<Response, Problem> {
    list(&api, &head, None).await
}

async fn list(api: &Api, head: &Head, of_session: Option<SessionId>) -> Result<Response, Problem> {
    let known = ["state", "pool", "limit", "after", "session"];
    let known = if of_session.is_some() {
        &known[..4]
    } else {
        &known[..]
    };
    let mut query = head.read_query(known);
    let session = query.parsed::<SessionId>("session", "a session id");
    let filter = StatementFilter {
        session: of_session.or(session),
        state: query.choice("state", &STATES),
        pool: query
            .parsed::<PoolName>("pool", "a pool's name")
            .map(|name| name.to_string()),
        after: query.parsed("after", "a job id, `job-` and a number"),
        limit: usize::try_from(query.number("limit", &(1..=1000), 100)).unwrap_or(1000),
    };
    let stale = query.flag("stale");
    query.finish()?;
    let page = api
        .service()
        .statements(&filter, head.consistency(api, stale))
        .await?;
    let statements = page.statements.iter().map(present::statement);
    let view = StatementList {
        statements: statements.collect::<Result<_, _>>()?,
        next: page.next.map(|job| job.to_string()),
    };
    Ok(marked(api, stale, Json(view).into_response()))
}

/// Shows a statement, at once or when it has ended.
#[utoipa::path(get, path = "/api/v1/sessions/{sessionId}/statements/{jobId}", operation_id = "getStatement", tag = "statements",
    params(
        ("sessionId" = String, Path, description = "Its session", example = "default"),
        ("jobId" = String, Path, description = "Its id", example = "job-17"),
        ("wait" = Option<f64>, Query, minimum = 0, maximum = 60,
            description = "How many seconds to wait for its end; 0 if it is left out"),
        ("rows" = Option<u64>, Query, minimum = 0, maximum = 1000,
            description = "How many rows to show; 1000 if it is left out"),
        ("bigint" = Option<String>, Query, description = "`string`: bigints as strings"),
        ("stale" = Option<bool>, Query, description = "Whatever this node has applied"),
    ),
    responses(
        (status = 200, description = "The statement", body = StatementView),
        (status = 404, description = "No such statement", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
pub(crate) async fn get(
    State(api): State<Api>,
    path: StatementPath,
    head: Head,
) -> Result<Response, Problem> {
    let mut query = head.read_query(&["wait", "rows", "bigint"]);
    let wait = query.seconds("wait", MOST_WAIT_SECONDS, Duration::ZERO);
    let wanted = RowsWanted::read(&mut query);
    let stale = query.flag("stale");
    query.finish()?;
    let consistency = head.consistency(&api, stale);
    let until = head.arrival() + wait;
    let session = path.session.as_ref();
    let service = api.service();
    let found = service
        .await_statement(path.job, session, until, consistency)
        .await?;
    let view = present::statement_with_rows(&api, &found, wanted).await?;
    Ok(marked(&api, stale, Json(view).into_response()))
}

/// Asks for the end of a statement.
#[utoipa::path(post, path = "/api/v1/sessions/{sessionId}/statements/{jobId}/cancel",
    operation_id = "cancelStatement", tag = "statements",
    params(
        ("sessionId" = String, Path, description = "Its session", example = "default"),
        ("jobId" = String, Path, description = "Its id", example = "job-17"),
    ),
    responses(
        (status = 200, description = "It will end, or had ended before", body = StatementView),
        (status = 404, description = "No such statement", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
pub(crate) async fn cancel(
    State(api): State<Api>,
    path: StatementPath,
    head: Head,
    _: NoBody,
) -> Result<Response, Problem> {
    head.query(&[]).finish()?;
    let session = path.session.as_ref();
    let patience = head.patience(&api);
    let found: StatementSnapshot = api.service().cancel(path.job, session, patience).await?;
    Ok(Json(present::statement(&found)?).into_response())
}

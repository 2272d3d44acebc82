//! `…/{jobId}/result`: pages of JSON, CSV, or the whole result as Arrow.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt};
use http::{HeaderValue, header};

use super::present::{self, columns, render_options};
use super::{AnyHead, Head, marked};
use crate::http::Api;
use crate::http::extract::StatementPath;
use crate::http::extract::accept::{ARROW, CSV, JSON, negotiate};
use crate::http::model::ResultPage;
use crate::http::problem::{Problem, ProblemBody};
use crate::results::{ReadError, ResultReader};
use crate::service::{Limit, OpenResult, ServiceError, unreadable};

const CSV_TYPE: HeaderValue = HeaderValue::from_static("text/csv; charset=utf-8; header=present");
const ARROW_TYPE: HeaderValue = HeaderValue::from_static(ARROW);

/// What an int64 holds, as the document says.
const MOST_ROWS: u64 = i64::MAX.unsigned_abs();

/// Reads the result of a statement, in the form that `Accept` asks for.
#[utoipa::path(get, path = "/api/v1/sessions/{sessionId}/statements/{jobId}/result",
    operation_id = "getResult", tag = "statements",
    params(
        ("sessionId" = String, Path, description = "Its session", example = "default"),
        ("jobId" = String, Path, description = "Its id", example = "job-17"),
        ("offset" = Option<u64>, Query, description = "The first row; JSON and CSV"),
        ("limit" = Option<u64>, Query, minimum = 1, maximum = 10000,
            description = "At most so many rows; 1000 in JSON, all in CSV if it is left out; in \
                           CSV it may be any number"),
        ("bigint" = Option<String>, Query, description = "`string`: bigints as strings; JSON"),
        ("stale" = Option<bool>, Query, description = "Whatever this node has applied"),
    ),
    responses(
        (status = 200, description = "The result", content(
            (ResultPage = "application/json"),
            (String = "text/csv"),
            (Vec<u8> = "application/vnd.apache.arrow.stream"),
        )),
        (status = 404, description = "No such statement", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 406, description = "No acceptable form", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 409, description = "It has not ended, or has no result", body = ProblemBody,
            content_type = "application/problem+json"),
    ))]
pub(crate) async fn get(
    State(api): State<Api>,
    path: StatementPath,
    AnyHead(head): AnyHead,
) -> Result<Response, Problem> {
    let form = negotiate(head.headers(), &[JSON, CSV, ARROW])?;
    match form {
        CSV => csv(&api, &head, &path).await,
        ARROW => arrow(&api, &head, &path).await,
        _ => json(&api, &head, &path).await,
    }
}

async fn open(
    api: &Api,
    head: &Head,
    path: &StatementPath,
    stale: bool,
) -> Result<OpenResult, ServiceError> {
    let consistency = head.consistency(api, stale);
    let session = path.session.as_ref();
    api.service().result(path.job, session, consistency).await
}

async fn json(api: &Api, head: &Head, path: &StatementPath) -> Result<Response, Problem> {
    let mut query = head.read_query(&["offset", "limit", "bigint"]);
    let offset = query.number("offset", &(0..=MOST_ROWS), 0);
    let limit = query.number("limit", &(1..=10_000), 1000);
    let options = render_options(&mut query);
    let stale = query.flag("stale");
    query.finish()?;
    let opened = open(api, head, path, stale).await?;
    let job_id = opened.job.to_string();
    let page = match opened.reader {
        None => ResultPage {
            job_id,
            schema: Vec::new(),
            offset,
            row_count: 0,
            truncated: false,
            rows: present::no_rows()?,
            next: None,
        },
        Some(reader) => {
            let page = reader.page(offset, limit, options).await;
            let page = page.map_err(|error| unreadable(opened.job, error))?;
            ResultPage {
                job_id,
                schema: columns(reader.schema()),
                offset: page.offset,
                row_count: page.row_count,
                truncated: page.truncated,
                rows: crate::http::model::Rows(page.rows),
                next: page.next,
            }
        }
    };
    Ok(marked(api, stale, Json(page).into_response()))
}

async fn csv(api: &Api, head: &Head, path: &StatementPath) -> Result<Response, Problem> {
    let mut query = head.read_query(&["offset", "limit"]);
    let offset = query.number("offset", &(0..=MOST_ROWS), 0);
    let limit = query.number_opt("limit", &(1..=MOST_ROWS));
    let stale = query.flag("stale");
    query.finish()?;
    let opened = open(api, head, path, stale).await?;
    let body = match &opened.reader {
        None => Body::empty(),
        Some(reader) => download(api, &opened, reader.csv_stream(offset, limit)).await?,
    };
    let answer = ([(header::CONTENT_TYPE, CSV_TYPE)], body).into_response();
    Ok(marked(
        api,
        stale,
        with_facts(answer, opened.reader.as_ref()),
    ))
}

async fn arrow(api: &Api, head: &Head, path: &StatementPath) -> Result<Response, Problem> {
    let mut query = head.read_query(&[]);
    let stale = query.flag("stale");
    query.finish()?;
    let opened = open(api, head, path, stale).await?;
    let body = match &opened.reader {
        None => Body::from(OpenResult::empty_arrow()?),
        Some(reader) => download(api, &opened, reader.arrow_stream()).await?,
    };
    let answer = ([(header::CONTENT_TYPE, ARROW_TYPE)], body).into_response();
    Ok(marked(
        api,
        stale,
        with_facts(answer, opened.reader.as_ref()),
    ))
}

/// A form that has no place for them says in headers how long and whether cut the result is.
fn with_facts(mut response: Response, reader: Option<&ResultReader>) -> Response {
    let rows = reader.map_or(0, ResultReader::row_count);
    let truncated = reader.is_some_and(ResultReader::is_truncated);
    let headers = response.headers_mut();
    headers.insert("libra-row-count", HeaderValue::from(rows));
    let truncated = HeaderValue::from_static(if truncated { "true" } else { "false" });
    headers.insert("libra-truncated", truncated);
    response
}

/// A body that is made as it is read. The first chunk is made at once: what is wrong with a result
/// mostly shows there, while there is still a status to say it with.
async fn download(
    api: &Api,
    opened: &OpenResult,
    stream: impl Stream<Item = Result<Bytes, ReadError>> + Send + 'static,
) -> Result<Body, Problem> {
    let job = opened.job;
    let permit = Arc::clone(&api.inner.streams).try_acquire_owned();
    let permit = permit.map_err(|_| too_many(api))?;
    let counted = api.metrics().stream_begins();
    let mut stream = Box::pin(stream.map_err(move |error| unreadable(job, error)));
    let first = stream.try_next().await?;
    let whole = futures::stream::iter(first.map(Ok)).chain(stream);
    let guarded = whole.inspect_err(move |error| {
        let _held = (&permit, &counted);
        tracing::warn!(job_id = %job, ?error, "a download broke off");
    });
    Ok(Body::from_stream(guarded))
}

pub(super) fn too_many(api: &Api) -> ServiceError {
    let limit = Limit::Streams;
    ServiceError::LimitReached {
        limit,
        value: api.options().max_streams as u64,
    }
}

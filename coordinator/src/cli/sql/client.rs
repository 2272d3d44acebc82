//! The REST API, as `libra sql` uses it. Every submit has an Idempotency-Key, so that repeating it
//! after a broken connection or a 503 cannot run anything twice.

use std::time::{Duration, Instant};

use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

use super::super::rest;
use super::error::SqlError;

/// How long a broken connection, or a cluster without a leader, is waited out.
const RETRY_LIMIT: Duration = Duration::from_secs(60);
/// How long between attempts, unless the answer says otherwise.
const RETRY_AFTER: Duration = Duration::from_millis(300);
/// The longest that an answer may ask to wait between attempts.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(10);
/// Seconds of a long poll: short enough to show progress.
const POLL: &str = "1";
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// Longest silence within an answer.
const READ_LIMIT: Duration = Duration::from_secs(100);

/// What it means if nobody listens at the URL.
#[derive(Clone, Copy)]
enum Nobody {
    /// The URL is wrong.
    Fail,
    /// A coordinator that was there is being restarted.
    Wait,
}

/// A coordinator.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    user: Option<String>,
}

/// What is submitted.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Submit<'a> {
    pub(super) code: &'a str,
    pub(super) kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pool: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timeout_seconds: Option<u64>,
}

/// A page of rows, their cells as the server wrote them.
#[derive(Debug, serde::Deserialize)]
pub(super) struct Page {
    pub(super) schema: Vec<Column>,
    pub(super) truncated: bool,
    pub(super) rows: Vec<Vec<Box<RawValue>>>,
    pub(super) next: Option<u64>,
}

/// A column of a result.
#[derive(Debug, Clone, serde::Deserialize, Serialize)]
pub(super) struct Column {
    pub(super) name: String,
    #[serde(rename = "type")]
    pub(super) type_name: String,
    pub(super) nullable: bool,
}

impl Client {
    /// For the coordinator at `url`.
    pub(super) fn new(url: &str, user: Option<String>) -> Result<Self, SqlError> {
        let http = rest::client(url)
            .connect_timeout(CONNECT_LIMIT)
            .read_timeout(READ_LIMIT)
            .build()
            .map_err(|source| SqlError::Connection {
                doing: "making an HTTP client",
                source,
            })?;
        Ok(Self {
            http,
            base: url.trim_end_matches('/').to_owned(),
            user,
        })
    }

    /// Submits a statement.
    pub(super) async fn submit(&self, session: &str, body: &Submit<'_>) -> Result<Value, SqlError> {
        let session =
            percent_encoding::utf8_percent_encode(session, percent_encoding::NON_ALPHANUMERIC);
        let key = uuid::Uuid::new_v4().to_string();
        let path = format!("/api/v1/sessions/{session}/statements?wait={POLL}");
        let request = || {
            self.request(Method::POST, &path)
                .header("Idempotency-Key", &key)
                .json(body)
        };
        // If nobody is there at first, nobody will be: the URL is wrong.
        self.json("submitting", Nobody::Fail, request).await
    }

    /// The statement, once it has ended or a little later.
    pub(super) async fn poll(&self, job: &str) -> Result<Value, SqlError> {
        let path = format!("/api/v1/statements/{job}?wait={POLL}&rows=0");
        self.json("waiting for the statement", Nobody::Wait, || {
            self.request(Method::GET, &path)
        })
        .await
    }

    /// Asks for the statement's end.
    pub(super) async fn cancel(&self, session: &str, job: &str) -> Result<Value, SqlError> {
        let path = format!("/api/v1/sessions/{session}/statements/{job}/cancel");
        self.json("cancelling", Nobody::Wait, || {
            self.request(Method::POST, &path)
        })
        .await
    }

    /// Rows from `offset` on.
    pub(super) async fn page(
        &self,
        session: &str,
        job: &str,
        offset: u64,
        limit: u64,
    ) -> Result<Page, SqlError> {
        let path = format!(
            "/api/v1/sessions/{session}/statements/{job}/result?offset={offset}&limit={limit}"
        );
        self.json("reading the result", Nobody::Wait, || {
            self.request(Method::GET, &path)
        })
        .await
    }

    /// The whole result in another form.
    pub(super) async fn download(
        &self,
        session: &str,
        job: &str,
        accept: &'static str,
    ) -> Result<Response, SqlError> {
        let path = format!("/api/v1/sessions/{session}/statements/{job}/result");
        let request = || {
            self.request(Method::GET, &path)
                .header(header::ACCEPT, accept)
        };
        self.answer("reading the result", Nobody::Wait, request)
            .await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.user {
            Some(user) => request.header("X-Libra-User", user),
            None => request,
        }
    }

    async fn json<T: DeserializeOwned>(
        &self,
        doing: &'static str,
        nobody: Nobody,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<T, SqlError> {
        let answer = self.answer(doing, nobody, request).await?;
        let text = answer
            .text()
            .await
            .map_err(|source| SqlError::Connection { doing, source })?;
        serde_json::from_str(&text).map_err(|source| SqlError::Answer { doing, source })
    }

    /// The first answer that is no passing trouble.
    async fn answer(
        &self,
        doing: &'static str,
        nobody: Nobody,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, SqlError> {
        let deadline = Instant::now() + RETRY_LIMIT;
        let mut nobody = nobody;
        loop {
            let pause = match request().send().await {
                Ok(answer) if answer.status().is_success() => return Ok(answer),
                Ok(answer) if is_passing(answer.status()) && Instant::now() < deadline => {
                    nobody = Nobody::Wait;
                    retry_after(&answer)
                }
                Ok(answer) => return Err(refusal(answer).await),
                Err(source) if source.is_connect() && matches!(nobody, Nobody::Fail) => {
                    return Err(SqlError::Unreachable {
                        url: self.base.clone(),
                        cause: root(&source),
                    });
                }
                Err(_) if Instant::now() < deadline => RETRY_AFTER,
                Err(source) => return Err(SqlError::Connection { doing, source }),
            };
            tokio::time::sleep(pause).await;
        }
    }
}

/// The error beneath all others: what the system said.
fn root(error: &dyn std::error::Error) -> String {
    error.source().map_or_else(|| error.to_string(), root)
}

fn is_passing(status: StatusCode) -> bool {
    status == StatusCode::SERVICE_UNAVAILABLE
}

fn retry_after(answer: &Response) -> Duration {
    let seconds = answer.headers().get(header::RETRY_AFTER);
    let seconds = seconds.and_then(|value| value.to_str().ok()?.parse().ok());
    seconds
        .map_or(RETRY_AFTER, Duration::from_secs)
        .min(MAX_RETRY_AFTER)
}

async fn refusal(answer: Response) -> SqlError {
    let status = answer.status().as_u16();
    // What is no problem document still has its status.
    let text = answer.text().await.unwrap_or_default();
    SqlError::Refused {
        status,
        problem: serde_json::from_str(&text).unwrap_or_default(),
    }
}

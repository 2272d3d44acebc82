//! The calls.

use std::sync::Once;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use reqwest::header::{ACCEPT, HeaderMap};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::types::{
    ClusterView, PageView, PoolList, Problem, Session, SessionList, Statement, StatementList,
};

/// Longer than the longest wait that a request can ask for.
const ANSWER_WITHIN: Duration = Duration::from_secs(90);
/// How long one long poll waits, in seconds.
const POLL_SECONDS: u64 = 20;

/// Makes a client that speaks plain HTTP and follows no redirect.
///
/// # Errors
/// When the client cannot be built.
pub(in super::super) fn http_client() -> Result<reqwest::Client> {
    static TLS: Once = Once::new();
    TLS.call_once(|| {
        // Another test of this process may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(Duration::from_secs(5))
        .timeout(ANSWER_WITHIN);
    Ok(builder.build()?)
}

/// Any answer, as it came.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the words of HTTP")]
pub struct Reply {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// When it was complete here.
    pub at: Instant,
}

impl Reply {
    /// A header as text; `None` if absent.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// The body, if the status is one of `statuses`.
    ///
    /// # Errors
    /// When the status is another, or the body is not what the contract says.
    pub fn json<T: DeserializeOwned>(&self, statuses: &[u16]) -> Result<T> {
        self.expect(statuses)?;
        serde_json::from_slice(&self.body).with_context(|| format!("body {}", self.text()))
    }

    /// The problem, if the status is `status`.
    ///
    /// # Errors
    /// When it is not, or the body is no problem+json or contradicts itself.
    pub fn problem(&self, status: u16) -> Result<Problem> {
        self.expect(&[status])?;
        let content_type = self.header("content-type").unwrap_or_default();
        ensure!(
            content_type == "application/problem+json",
            "content type {content_type:?}"
        );
        let problem: Problem =
            serde_json::from_slice(&self.body).with_context(|| format!("body {}", self.text()))?;
        ensure!(
            problem.status == status,
            "status {} inside {status}",
            problem.status
        );
        ensure!(
            problem.urn == format!("urn:libra:problem:{}", problem.code),
            "{}",
            problem.urn
        );
        Ok(problem)
    }

    /// Checks the status.
    ///
    /// # Errors
    /// When it is none of `statuses`; the error holds the body.
    pub fn expect(&self, statuses: &[u16]) -> Result<&Self> {
        let known = statuses.contains(&self.status.as_u16());
        ensure!(
            known,
            "status {} instead of {statuses:?}: {}",
            self.status,
            self.text()
        );
        Ok(self)
    }
}

/// A statement to submit; absent fields are not sent.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the contract documents the fields")]
pub struct Submit {
    pub code: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_seconds: Option<u64>,
}

impl Submit {
    /// This SQL, all else by default.
    #[must_use]
    pub fn sql(code: impl Into<String>) -> Self {
        Self {
            code: code.into(),
            ..Self::default()
        }
    }

    /// In this pool.
    #[must_use]
    pub fn pool(mut self, pool: &str) -> Self {
        self.pool = Some(pool.to_owned());
        self
    }
}

/// The answer to a cancel.
#[derive(Debug, Clone)]
pub struct Cancel {
    /// The statement, as the answer showed it.
    pub statement: Statement,
    /// When the answer was here.
    pub answered: Instant,
}

/// The REST API of one coordinator.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    http: reqwest::Client,
}

impl Api {
    /// For the coordinator at `base`, such as `http://127.0.0.1:8080`.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(base: &str) -> Result<Self> {
        Ok(Self {
            base: base.trim_end_matches('/').to_owned(),
            http: http_client()?,
        })
    }

    /// Where it is, without a slash at the end.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    /// A request to build further. `path` is absolute (`/actuator/health`), a full URL, or
    /// relative to `/api/v1`.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = if path.starts_with("http://") {
            path.to_owned()
        } else if path.starts_with('/') {
            format!("{}{path}", self.base)
        } else {
            format!("{}/api/v1/{path}", self.base)
        };
        self.http.request(method, url)
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub async fn send(&self, request: RequestBuilder) -> Result<Reply> {
        let answer = request.send().await?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.bytes().await?;
        Ok(Reply {
            status,
            headers,
            body,
            at: Instant::now(),
        })
    }

    /// GETs any path.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub async fn get(&self, path: &str) -> Result<Reply> {
        self.send(self.request(Method::GET, path)).await
    }

    /// GETs any path in a format.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub async fn get_as(&self, path: &str, accept: &str) -> Result<Reply> {
        self.send(self.request(Method::GET, path).header(ACCEPT, accept))
            .await
    }

    /// Whether the readiness probe says yes; no answer counts as no.
    pub async fn ready(&self) -> bool {
        let answer = self.get("/actuator/health/readiness").await;
        answer.is_ok_and(|reply| reply.status == StatusCode::OK)
    }

    /// Submits a statement and gives the answer as it came.
    ///
    /// # Errors
    /// When there is no whole answer.
    pub async fn try_submit(&self, session: &str, submit: &Submit, wait: u64) -> Result<Reply> {
        let path = format!("sessions/{session}/statements?wait={wait}");
        self.send(self.request(Method::POST, &path).json(submit))
            .await
    }

    /// Submits a statement without waiting for its end.
    ///
    /// # Errors
    /// When it is not accepted as the contract says.
    pub async fn submit(&self, session: &str, submit: &Submit) -> Result<Statement> {
        let reply = self.try_submit(session, submit, 0).await?;
        let statement: Statement = reply.json(&[200, 202])?;
        let ended = reply.status == StatusCode::OK;
        ensure!(
            statement.state.ended() == ended,
            "{} in a {}",
            statement.state,
            reply.status
        );
        let location = reply.header("location").context("no Location")?;
        let end = format!("/statements/{}", statement.job_id);
        ensure!(location.ends_with(&end), "Location {location:?}");
        Ok(statement)
    }

    /// Submits a statement and waits for its end.
    ///
    /// # Errors
    /// When it is not accepted, or has not ended within `limit`.
    pub async fn run(&self, session: &str, submit: &Submit, limit: Duration) -> Result<Statement> {
        let accepted = self.submit(session, submit).await?;
        self.ended(&accepted.job_id, limit).await
    }

    /// One statement, with rows inside if it has some.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn statement(&self, job: &str) -> Result<Statement> {
        self.get(&format!("statements/{job}")).await?.json(&[200])
    }

    /// Waits for the end of a statement by long polls.
    ///
    /// # Errors
    /// When it has not ended within `limit`.
    pub async fn ended(&self, job: &str, limit: Duration) -> Result<Statement> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let wait = left.as_secs().clamp(1, POLL_SECONDS);
            let path = format!("statements/{job}?wait={wait}");
            let statement: Statement = self.get(&path).await?.json(&[200])?;
            if statement.state.ended() {
                return Ok(statement);
            }
            ensure!(
                !left.is_zero(),
                "{job} still {} after {limit:?}",
                statement.state
            );
        }
    }

    /// A page of statements; `query` as in `session=default&state=running`.
    ///
    /// # Errors
    /// When the answer is not what the contract says.
    pub async fn statements(&self, query: &str) -> Result<StatementList> {
        self.get(&format!("statements?{query}")).await?.json(&[200])
    }

    /// Asks for a statement to be cancelled.
    ///
    /// # Errors
    /// When the answer is not what the contract says.
    pub async fn cancel(&self, session: &str, job: &str) -> Result<Cancel> {
        let path = format!("sessions/{session}/statements/{job}/cancel");
        let reply = self.send(self.request(Method::POST, &path)).await?;
        Ok(Cancel {
            statement: reply.json(&[200])?,
            answered: reply.at,
        })
    }

    /// One session.
    ///
    /// # Errors
    /// When it is not there.
    pub async fn session(&self, id: &str) -> Result<Session> {
        self.get(&format!("sessions/{id}")).await?.json(&[200])
    }

    /// The first page of sessions.
    ///
    /// # Errors
    /// When the answer is not what the contract says.
    pub async fn sessions(&self) -> Result<SessionList> {
        self.get("sessions").await?.json(&[200])
    }

    /// All pools.
    ///
    /// # Errors
    /// When the answer is not what the contract says.
    pub async fn pools(&self) -> Result<PoolList> {
        self.get("pools").await?.json(&[200])
    }

    /// The cluster.
    ///
    /// # Errors
    /// When the answer is not what the contract says.
    pub async fn cluster(&self) -> Result<ClusterView> {
        self.get("cluster").await?.json(&[200])
    }

    /// One page of rows, with the bytes it came as.
    ///
    /// # Errors
    /// When the answer is not what the contract says.
    pub async fn page(&self, path: &str) -> Result<(PageView, Bytes)> {
        let reply = self.get(path).await?;
        Ok((reply.json(&[200])?, reply.body))
    }

    /// All pages of a result, from the first by `next` to the last.
    ///
    /// # Errors
    /// When a page is not what the contract says.
    pub async fn pages(&self, job: &str, limit: u64) -> Result<Vec<(PageView, Bytes)>> {
        let mut pages = Vec::new();
        let mut offset = Some(0);
        while let Some(from) = offset {
            let path = format!("statements/{job}/result?offset={from}&limit={limit}");
            let (page, bytes) = self.page(&path).await?;
            ensure!(
                page.next.is_none_or(|next| next > from),
                "page after {from}: {page:?}"
            );
            offset = page.next;
            pages.push((page, bytes));
        }
        Ok(pages)
    }

    /// The whole result as one Arrow IPC stream.
    ///
    /// # Errors
    /// When there is none.
    pub async fn arrow(&self, job: &str) -> Result<Bytes> {
        let path = format!("statements/{job}/result");
        let reply = self
            .get_as(&path, "application/vnd.apache.arrow.stream")
            .await?;
        Ok(reply.expect(&[200])?.body.clone())
    }

    /// The whole result as CSV.
    ///
    /// # Errors
    /// When there is none.
    pub async fn csv(&self, job: &str) -> Result<String> {
        let reply = self
            .get_as(&format!("statements/{job}/result"), "text/csv")
            .await?;
        Ok(reply.expect(&[200])?.text())
    }
}

//! Ids in paths, checked after percent-decoding.

use std::str::FromStr;

use axum::extract::{FromRequestParts, Path};
use http::request::Parts;
use libra_proto::types::{InvalidId, JobId, SessionId};
use serde::de::DeserializeOwned;

use crate::http::problem::Problem;
use crate::service::{FieldError, PoolName};

/// `{sessionId}`.
#[derive(Debug, Clone)]
pub(crate) struct SessionPath(pub(crate) SessionId);

/// `{sessionId}/…/{jobId}`, or `{jobId}` alone.
#[derive(Debug, Clone)]
pub(crate) struct StatementPath {
    pub(crate) session: Option<SessionId>,
    pub(crate) job: JobId,
}

/// `{name}` of a pool.
#[derive(Debug, Clone)]
pub(crate) struct PoolPath(pub(crate) PoolName);

async fn raw<T: DeserializeOwned + Send, S: Send + Sync>(
    parts: &mut Parts,
    state: &S,
) -> Result<T, Problem> {
    let found = Path::<T>::from_request_parts(parts, state).await;
    found.map(|Path(value)| value).map_err(|_| {
        let allowed = "valid percent-encoded UTF-8";
        Problem::invalid(vec![FieldError::new("path", parts.uri.path(), allowed)])
    })
}

fn id<T: FromStr<Err = InvalidId>>(field: &str, text: &str) -> Result<T, Problem> {
    let wrong = |e: InvalidId| Problem::invalid(vec![FieldError::new(field, text, e.allowed)]);
    text.parse().map_err(wrong)
}

impl<S: Send + Sync> FromRequestParts<S> for SessionPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text: String = raw(parts, state).await?;
        id("sessionId", &text).map(Self)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for StatementPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let texts: Vec<(String, String)> = raw(parts, state).await?;
        let text = |name: &str| {
            texts
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, v)| v.as_str())
        };
        let session = text("sessionId").map(|t| id("sessionId", t)).transpose()?;
        let job = id("jobId", text("jobId").unwrap_or_default())?;
        Ok(Self { session, job })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PoolPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let text: String = raw(parts, state).await?;
        id("name", &text).map(Self)
    }
}

//! What `libra top` reads from a coordinator.

use std::error::Error;
use std::time::Duration;

use serde::de::DeserializeOwned;
use thiserror::Error;

use super::super::rest;
use super::screen::{Cluster, Picture, Pools, Sessions, Statements};

/// How long one answer may take.
const LIMIT: Duration = Duration::from_secs(5);
/// More would not fit on a screen.
const MOST: usize = 200;

/// A coordinator that does not tell.
#[derive(Debug, Error)]
#[error("{url} does not answer")]
pub(super) struct ReadError {
    url: String,
    #[source]
    source: reqwest::Error,
}

impl ReadError {
    /// What was at the bottom of it, in few words.
    pub(super) fn cause(&self) -> String {
        let mut cause: &dyn Error = &self.source;
        while let Some(source) = cause.source() {
            cause = source;
        }
        cause.to_string()
    }
}

/// A reader of one coordinator.
pub(super) struct Reader {
    http: reqwest::Client,
    base: String,
}

impl Reader {
    pub(super) fn new(url: &str) -> Result<Self, ReadError> {
        let base = url.trim_end_matches('/').to_owned();
        let http = rest::client(url).timeout(LIMIT).build();
        match http {
            Ok(http) => Ok(Self { http, base }),
            Err(source) => Err(ReadError { url: base, source }),
        }
    }

    /// Reads everything.
    pub(super) async fn read(&self) -> Result<Picture, ReadError> {
        let sessions = format!("sessions?stale=true&limit={MOST}");
        let statements = format!("statements?stale=true&state=running&limit={MOST}");
        let (cluster, pools, sessions, statements) = tokio::try_join!(
            self.get::<Cluster>("cluster"),
            self.get::<Pools>("pools?stale=true"),
            self.get::<Sessions>(&sessions),
            self.get::<Statements>(&statements),
        )?;
        Ok(Picture {
            url: self.base.clone(),
            cluster,
            pools: pools.pools,
            sessions: sessions.sessions,
            statements: statements.statements,
            now: chrono::Utc::now(),
            trouble: None,
        })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ReadError> {
        let url = format!("{}/api/v1/{path}", self.base);
        let answer = async {
            let answer = self.http.get(&url).send().await?.error_for_status()?;
            answer.json().await
        };
        answer.await.map_err(|source: reqwest::Error| ReadError {
            url: self.base.clone(),
            source: source.without_url(),
        })
    }
}

//! The two ways to run a statement that are compared: Spark Connect itself, and Libra before it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use libra_actors::spark::{Body, Client, ClientOptions, Endpoint, SparkSession};
use reqwest::Method;
use reqwest::header::ACCEPT;
use uuid::Uuid;

use super::figures::median;
use super::report::Report;
use crate::harness::{Api, State, Statement, Submit};

/// How long one statement, or one download, may take.
pub(super) const LIMIT: Duration = Duration::from_secs(900);

const ARROW: &str = "application/vnd.apache.arrow.stream";

/// Which side is measured first changes from turn to turn, so that none profits from its place.
pub(super) fn order(turn: usize) -> [&'static str; 2] {
    if turn.is_multiple_of(2) {
        ["direct", "libra"]
    } else {
        ["libra", "direct"]
    }
}

/// The median, over all turns, of what Libra reached in a turn to what direct reached in it.
pub(super) fn ratio(report: &Report, measure: &str) -> f64 {
    let (direct, libra) = (
        report.values(measure, "direct"),
        report.values(measure, "libra"),
    );
    let ratios: Vec<f64> = direct.iter().zip(&libra).map(|(d, l)| l / d).collect();
    median(&ratios)
}

/// What came of a statement.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

/// Spark Connect itself: one Spark session for all clients.
#[derive(Debug, Clone)]
pub(super) struct Direct {
    session: SparkSession,
}

impl Direct {
    pub(super) async fn open(remote: &str) -> Result<Self> {
        let client = Client::new(&Endpoint::parse(remote)?, ClientOptions::default())?;
        let id = Uuid::new_v4().to_string();
        let incarnation = client.open(&id, &BTreeMap::new()).await?;
        let session = client.session(&incarnation);
        Ok(Self { session })
    }

    /// Runs a statement and reads its whole result. As Spark's own clients do it, the operation is
    /// released beside the next one.
    pub(super) async fn run(&self, sql: &str) -> Result<Taken> {
        let operation = Uuid::new_v4().to_string();
        let mut stream = self.session.execute(&operation, sql, "").await?;
        let mut taken = Taken::default();
        let mut last = String::new();
        loop {
            match stream.next().await? {
                Some(response) => {
                    last = response.response_id;
                    match response.body {
                        Body::Batch { rows, data, .. } => {
                            taken.rows += rows;
                            taken.bytes += data.len() as u64;
                        }
                        Body::Complete => break,
                        Body::Schema(_) | Body::Progress { .. } | Body::Other => {}
                    }
                }
                // Spark ends every stream after a while, or 1 GB.
                None => stream = self.session.reattach(&operation, Some(&last)).await?,
            }
        }
        let session = self.session.clone();
        tokio::spawn(async move { session.release(&operation).await });
        Ok(taken)
    }

    pub(super) async fn close(&self) -> Result<()> {
        Ok(self.session.release_session().await?)
    }
}

/// Libra before Spark.
#[derive(Debug, Clone)]
pub(super) struct Through {
    pub(super) api: Api,
    pub(super) session: String,
}

impl Through {
    pub(super) fn new(api: &Api, session: &str) -> Self {
        Self {
            api: api.clone(),
            session: session.to_owned(),
        }
    }

    /// Runs a statement and reads its rows.
    pub(super) async fn run(&self, sql: &str) -> Result<Statement> {
        self.submit(sql, 1000).await
    }

    /// Runs a statement and downloads its whole result as Arrow; `chunk` sees every piece of it.
    pub(super) async fn arrow(
        &self,
        sql: &str,
        chunk: impl FnMut(Bytes) -> Result<()>,
    ) -> Result<Taken> {
        let ended = self.submit(sql, 0).await?;
        self.download(&ended.job_id, chunk).await
    }

    async fn submit(&self, sql: &str, rows: u32) -> Result<Statement> {
        let path = format!("sessions/{}/statements?wait=60&rows={rows}", self.session);
        let request = self.api.request(Method::POST, &path);
        let request = request.json(&Submit::sql(sql));
        let mut statement: Statement = self.api.send(request).await?.json(&[200, 202])?;
        if !statement.state.ended() {
            statement = self.api.ended(&statement.job_id, LIMIT).await?;
        }
        if statement.state != State::Succeeded {
            bail!("{sql}: {} {:?}", statement.state, statement.error);
        }
        Ok(statement)
    }

    /// Downloads a whole result as Arrow.
    pub(super) async fn download(
        &self,
        job: &str,
        mut chunk: impl FnMut(Bytes) -> Result<()>,
    ) -> Result<Taken> {
        let path = format!("statements/{job}/result");
        let request = self.api.request(Method::GET, &path).header(ACCEPT, ARROW);
        let mut answer = request.timeout(LIMIT).send().await?.error_for_status()?;
        let header = |name: &str| {
            let value = answer.headers().get(name).and_then(|v| v.to_str().ok());
            value
                .map(str::to_owned)
                .with_context(|| format!("no header {name}"))
        };
        let truncated = header("libra-truncated")?;
        ensure!(truncated == "false", "truncated: {truncated}");
        let mut taken = Taken {
            rows: header("libra-row-count")?.parse()?,
            bytes: 0,
        };
        while let Some(bytes) = answer.chunk().await? {
            taken.bytes += bytes.len() as u64;
            chunk(bytes)?;
        }
        Ok(taken)
    }
}

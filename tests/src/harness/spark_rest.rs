//! What Spark itself says it ran, through the REST API of its UI.
//!
//! **Invariant:** only reads. An execution is counted by a literal in its plan, never by its
//! description, which Spark cuts.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::marker::Marker;
use super::wait::until;

/// How far Spark's record may be behind.
const RECORDED_WITHIN: Duration = Duration::from_secs(30);

/// One SQL execution in Spark's own list.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Execution {
    /// Spark's number.
    pub id: u64,
    /// `RUNNING`, `COMPLETED` or `FAILED`.
    pub status: String,
    /// The physical plan, with its literals.
    #[serde(default)]
    pub plan_description: String,
}

#[derive(Debug, Deserialize)]
struct Application {
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stage {
    #[serde(default)]
    scheduling_pool: String,
}

/// A reader of one Spark UI.
#[derive(Debug, Clone)]
pub struct SparkRest {
    base: String,
    http: reqwest::Client,
}

impl SparkRest {
    /// For the UI at `base`, such as `http://127.0.0.1:4040`.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn new(base: &str) -> Result<Self> {
        let base = format!("{}/api/v1/applications", base.trim_end_matches('/'));
        Ok(Self {
            base,
            http: super::api::http_client()?,
        })
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let url = format!("{}{path}", self.base);
        let answer = self
            .http
            .get(&url)
            .timeout(Duration::from_secs(30))
            .send()
            .await?;
        let answer = answer.error_for_status()?;
        answer
            .json()
            .await
            .with_context(|| format!("answer to {url}"))
    }

    async fn application(&self) -> Result<String> {
        let all: Vec<Application> = self.get("").await?;
        let first = all
            .into_iter()
            .next()
            .context("Spark's UI knows no application")?;
        Ok(first.id)
    }

    /// All SQL executions whose plan holds the marker.
    ///
    /// # Errors
    /// When the UI does not answer, or answers something else.
    pub async fn executions_of(&self, marker: Marker) -> Result<Vec<Execution>> {
        let app = self.application().await?;
        let literal = marker.to_string();
        let query = "details=true&planDescription=true&offset=0&length=100000";
        let all: Vec<Execution> = self.get(&format!("/{app}/sql?{query}")).await?;
        Ok(all
            .into_iter()
            .filter(|e| e.plan_description.contains(&literal))
            .collect())
    }

    /// How often Spark began to run the statement with this marker.
    ///
    /// # Errors
    /// As [`SparkRest::executions_of`].
    pub async fn executions(&self, marker: Marker) -> Result<usize> {
        Ok(self.executions_of(marker).await?.len())
    }

    /// Waits until Spark runs the statement with this marker.
    ///
    /// # Errors
    /// When it does not within `limit`.
    pub async fn until_running(&self, marker: Marker, limit: Duration) -> Result<()> {
        until("Spark to run the statement", limit, || async {
            let all = self.executions_of(marker).await?;
            Ok(all.iter().any(|execution| execution.status == "RUNNING"))
        })
        .await
    }

    /// Checks that Spark ran the statement with this marker exactly `times`. Its record follows a
    /// moment after its answers: waits for as many, then looks that there are not more.
    ///
    /// # Errors
    /// When there are fewer after half a minute, or more.
    pub async fn ran(&self, marker: Marker, times: usize) -> Result<()> {
        until(
            "Spark's record of the statement",
            RECORDED_WITHIN,
            || async { Ok(self.executions(marker).await? >= times) },
        )
        .await?;
        let counted = self.executions(marker).await?;
        ensure!(
            counted == times,
            "Spark ran {marker} {counted} times, not {times}"
        );
        Ok(())
    }

    /// Scheduling pools of the stages that run now, one entry per stage.
    ///
    /// # Errors
    /// When the UI does not answer, or answers something else.
    pub async fn active_pools(&self) -> Result<Vec<String>> {
        let app = self.application().await?;
        let stages: Vec<Stage> = self.get(&format!("/{app}/stages?status=active")).await?;
        Ok(stages
            .into_iter()
            .map(|stage| stage.scheduling_pool)
            .collect())
    }
}

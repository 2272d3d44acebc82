//! What Spark itself says it ran, through the REST API of its UI.
//!
//! **Invariant:** only reads. An execution is counted by a literal in its plan, never by its
//! description, which Spark cuts.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use chrono::{DateTime, NaiveDateTime, Utc};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::marker::Marker;
use super::wait::until;

/// How far Spark's record may be behind.
const RECORDED_WITHIN: Duration = Duration::from_secs(30);
/// How Spark prints a moment, always in GMT.
const TASK_TIME: &str = "%Y-%m-%dT%H:%M:%S%.fGMT";

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
    /// The Spark jobs of it that have ended well.
    #[serde(default)]
    pub success_job_ids: Vec<u64>,
}

#[derive(Debug, Deserialize)]
struct Application {
    id: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Job {
    job_id: u64,
    stage_ids: Vec<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Stage {
    stage_id: u64,
    #[serde(default)]
    scheduling_pool: String,
    #[serde(default)]
    num_tasks: u64,
    /// Milliseconds.
    #[serde(default)]
    executor_run_time: u64,
    /// Nanoseconds.
    #[serde(default)]
    executor_cpu_time: u64,
    #[serde(rename = "firstTaskLaunchedTime")]
    launched: Option<String>,
}

/// What the tasks of one statement did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Work {
    /// How many there were.
    pub tasks: u64,
    /// How long they held a core, summed.
    pub run: Duration,
    /// How much processor time they used, summed.
    pub cpu: Duration,
    /// When the first was launched.
    pub first_task: DateTime<Utc>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Environment {
    spark_properties: Vec<(String, String)>,
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
        let literal = marker.to_string();
        let all = self.all_executions().await?;
        Ok(all
            .into_iter()
            .filter(|e| e.plan_description.contains(&literal))
            .collect())
    }

    /// All SQL executions that Spark still lists: the last thousand, by default.
    ///
    /// # Errors
    /// When the UI does not answer, or answers something else.
    pub async fn all_executions(&self) -> Result<Vec<Execution>> {
        let app = self.application().await?;
        let query = "details=true&planDescription=true&offset=0&length=100000";
        self.get(&format!("/{app}/sql?{query}")).await
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

    /// The server's own value of a setting, if it was given one.
    ///
    /// # Errors
    /// When the UI does not answer, or answers something else.
    pub async fn setting(&self, key: &str) -> Result<Option<String>> {
        let app = self.application().await?;
        let environment: Environment = self.get(&format!("/{app}/environment")).await?;
        let mut settings = environment.spark_properties.into_iter();
        let found = settings.find(|(name, _)| name == key);
        Ok(found.map(|(_, value)| value))
    }

    /// Scheduling pools of the stages of the ended statement with this marker.
    ///
    /// # Errors
    /// When the UI does not answer, or answers something else.
    pub async fn pools_of(&self, marker: Marker) -> Result<BTreeSet<String>> {
        let stages = self.stages_of(marker).await?.into_iter();
        Ok(stages.map(|stage| stage.scheduling_pool).collect())
    }

    /// What the tasks of the ended statement with this marker did; nothing while Spark has no
    /// record of it.
    ///
    /// # Errors
    /// When the UI does not answer, or answers something else.
    pub async fn work_of(&self, marker: Marker) -> Result<Option<Work>> {
        let stages = self.stages_of(marker).await?;
        let launched = stages.iter().filter_map(|stage| stage.launched.as_deref());
        let launched = launched.map(|at| Ok(NaiveDateTime::parse_from_str(at, TASK_TIME)?));
        let launched: Vec<NaiveDateTime> = launched.collect::<Result<_>>()?;
        let Some(first) = launched.iter().min() else {
            return Ok(None);
        };
        Ok(Some(Work {
            tasks: stages.iter().map(|stage| stage.num_tasks).sum(),
            run: Duration::from_millis(stages.iter().map(|stage| stage.executor_run_time).sum()),
            cpu: Duration::from_nanos(stages.iter().map(|stage| stage.executor_cpu_time).sum()),
            first_task: first.and_utc(),
        }))
    }

    async fn stages_of(&self, marker: Marker) -> Result<Vec<Stage>> {
        let app = self.application().await?;
        let executions = self.executions_of(marker).await?;
        let jobs: Vec<Job> = self.get(&format!("/{app}/jobs")).await?;
        let stages: Vec<Stage> = self.get(&format!("/{app}/stages")).await?;
        let is_of = |job: &Job| {
            let mut ids = executions.iter().flat_map(|e| &e.success_job_ids);
            ids.any(|id| *id == job.job_id)
        };
        let of_it: BTreeSet<u64> = jobs
            .into_iter()
            .filter(is_of)
            .flat_map(|job| job.stage_ids)
            .collect();
        Ok(stages
            .into_iter()
            .filter(|stage| of_it.contains(&stage.stage_id))
            .collect())
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

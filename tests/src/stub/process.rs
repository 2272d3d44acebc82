//! The stub as a process of its own, and its control port as typed calls.
//!
//! **Invariant:** the process ends with this handle: its standard input closes.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use super::engine::{Execution, Settings};
use super::faults::Fault;
use super::net::Mode;
use super::speakers::Turn;

/// How long the process may take to serve.
const READY_WITHIN: Duration = Duration::from_secs(60);
/// How long the control port may take to answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// A running `stub-spark`.
#[derive(Debug)]
pub struct StubProcess {
    child: Child,
    spark: String,
    control: String,
    http: reqwest::Client,
}

impl StubProcess {
    /// Starts the binary and waits until it serves.
    ///
    /// # Errors
    /// When it cannot be started, or says nothing in time.
    ///
    /// # Cancel safety
    /// Dropping the future ends the process.
    pub async fn start(binary: &Path, settings: &Settings) -> Result<Self> {
        Self::start_at(binary, settings, "127.0.0.1:0").await
    }

    /// The same, with Spark Connect listening at `listen`.
    ///
    /// # Errors
    /// When it cannot be started, or says nothing in time.
    ///
    /// # Cancel safety
    /// Dropping the future ends the process.
    pub async fn start_at(binary: &Path, settings: &Settings, listen: &str) -> Result<Self> {
        let mut child = Command::new(binary)
            .args(["--listen", listen])
            .arg("--settings")
            .arg(serde_json::to_string(settings)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        let stdout = child.stdout.take().context("no standard output")?;
        let mut lines = BufReader::new(stdout).lines();
        let line = tokio::time::timeout(READY_WITHIN, lines.next_line())
            .await
            .context("the stub says nothing")??
            .context("the stub ended at once")?;
        let ports: Value = serde_json::from_str(&line)?;
        let spark = ports["spark"].as_str().context("no endpoint")?;
        let port = ports["control_port"].as_u64().context("no control port")?;
        // Another client of this process may have installed it already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(ANSWER_WITHIN)
            .build()?;
        Ok(Self {
            child,
            spark: spark.to_owned(),
            control: format!("http://127.0.0.1:{port}"),
            http,
        })
    }

    /// Where it listens, as Spark's clients want it.
    #[must_use]
    pub fn connection_string(&self) -> &str {
        &self.spark
    }

    /// Everything that ran, in the order in which it began.
    ///
    /// # Errors
    /// When the control port does not answer.
    pub async fn executions(&self) -> Result<Vec<Execution>> {
        self.get("/ledger").await
    }

    /// The executions of one operation; more than one is a statement that ran twice.
    ///
    /// # Errors
    /// When the control port does not answer.
    pub async fn executions_of(&self, operation_id: &str) -> Result<Vec<Execution>> {
        self.get(&format!("/ledger/operations/{operation_id}"))
            .await
    }

    /// Which node spoke for which session: session by session, in turns.
    ///
    /// # Errors
    /// When the control port does not answer.
    pub async fn speakers(&self) -> Result<Vec<Turn>> {
        self.get("/ledger/speakers").await
    }

    /// Incarnation, sessions, settings and network mode, as JSON.
    ///
    /// # Errors
    /// When the control port does not answer.
    pub async fn state(&self) -> Result<Value> {
        self.get("/state").await
    }

    /// Changes the settings named in a JSON object.
    ///
    /// # Errors
    /// When the control port does not answer, or a setting is not one.
    pub async fn configure(&self, changes: Value) -> Result<()> {
        let url = format!("{}/settings", self.control);
        done(self.http.patch(url).json(&changes)).await
    }

    /// Kills the driver; it is back after `restart_ms`, knowing nothing.
    ///
    /// # Errors
    /// When the control port does not answer.
    pub async fn restart_driver(&self) -> Result<()> {
        self.post("/restart", &json!({})).await
    }

    /// Resets every connection.
    ///
    /// # Errors
    /// When the control port does not answer.
    pub async fn reset_connections(&self) -> Result<()> {
        self.post("/connections/reset", &json!({})).await
    }

    /// Sets how the network behaves.
    ///
    /// # Errors
    /// When the control port does not answer.
    pub async fn set_net(&self, mode: Mode) -> Result<()> {
        let url = format!("{}/net", self.control);
        done(self.http.put(url).json(&json!({ "mode": mode }))).await
    }

    /// Adds a fault of the next calls.
    ///
    /// # Errors
    /// When the control port does not answer.
    pub async fn add_fault(&self, fault: &Fault) -> Result<()> {
        self.post("/faults", fault).await
    }

    /// Takes all faults back.
    ///
    /// # Errors
    /// When the control port does not answer.
    pub async fn clear_faults(&self) -> Result<()> {
        let url = format!("{}/faults", self.control);
        done(self.http.delete(url)).await
    }

    /// Closes its standard input and waits until it has ended.
    ///
    /// # Errors
    /// When it does not end by itself.
    pub async fn end(mut self) -> Result<()> {
        drop(self.child.stdin.take());
        let ended = tokio::time::timeout(ANSWER_WITHIN, self.child.wait()).await;
        ended.context("the stub does not end")??;
        Ok(())
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let answer = self
            .http
            .get(format!("{}{path}", self.control))
            .send()
            .await?;
        Ok(answer.error_for_status()?.json().await?)
    }

    async fn post(&self, path: &str, body: &impl Serialize) -> Result<()> {
        done(self.http.post(format!("{}{path}", self.control)).json(body)).await
    }
}

async fn done(request: reqwest::RequestBuilder) -> Result<()> {
    request.send().await?.error_for_status()?;
    Ok(())
}

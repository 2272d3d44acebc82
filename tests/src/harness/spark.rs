//! Real Spark Connect servers: one shared by all tests, and own ones to be killed or set up
//! differently.
//!
//! **Invariant:** servers listen on 127.0.0.1 only, and the shared one is never stopped or
//! reconfigured by a test.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use super::ports::free_port;
use super::process::GroupProcess;
use super::spark_rest::SparkRest;
use super::wait::until_some;

const MAIN_CLASS: &str = "org.apache.spark.sql.connect.service.SparkConnectServer";
const READY: &str = "Spark Connect server started at";
const UI_AT: &str = "Successfully started service 'SparkUI' on port ";
/// 11 s on an idle machine with two cores, more than a minute on a loaded one.
const READY_WITHIN: Duration = Duration::from_secs(180);

fn required(name: &str) -> Result<String> {
    std::env::var(name).with_context(|| {
        format!("{name} is not set: tests named real_* need a real Spark; run `tests/run real`")
    })
}

/// The server that runs for all tests: `LIBRA_TEST_SPARK` (`sc://…`) and `LIBRA_TEST_SPARK_UI`.
#[derive(Debug, Clone)]
pub struct SharedSpark {
    /// Its endpoint, `sc://host:port`.
    pub endpoint: String,
    /// What it says it ran.
    pub rest: SparkRest,
}

impl SharedSpark {
    /// Finds it by the environment.
    ///
    /// # Errors
    /// When a variable is not set.
    pub fn find() -> Result<Self> {
        let endpoint = required("LIBRA_TEST_SPARK")?;
        let rest = SparkRest::new(&required("LIBRA_TEST_SPARK_UI")?)?;
        Ok(Self { endpoint, rest })
    }
}

/// How a Spark server of one's own is to be.
#[derive(Debug)]
pub struct SparkBuilder {
    cores: u32,
    confs: Vec<(String, String)>,
}

impl SparkBuilder {
    /// `local[cores]`; cores that only sleep may be more than the machine has.
    #[must_use]
    pub fn cores(mut self, cores: u32) -> Self {
        self.cores = cores;
        self
    }

    /// Adds one `--conf`.
    #[must_use]
    pub fn conf(mut self, key: &str, value: &str) -> Self {
        self.confs.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// When `SPARK_HOME` is not set, or the server is not ready within three minutes.
    pub async fn start(self) -> Result<SparkServer> {
        let home = PathBuf::from(required("SPARK_HOME")?);
        let dir = tempfile::tempdir()?;
        let mut server = SparkServer {
            process: None,
            grpc: free_port()?,
            ui: free_port()?,
            home,
            builder: self,
            dir,
        };
        server.restart().await?;
        Ok(server)
    }
}

/// A Spark Connect server that belongs to one test.
#[derive(Debug)]
pub struct SparkServer {
    process: Option<GroupProcess>,
    grpc: u16,
    ui: u16,
    home: PathBuf,
    builder: SparkBuilder,
    dir: TempDir,
}

impl SparkServer {
    /// A server with two cores and 1 GB.
    #[must_use]
    pub fn builder() -> SparkBuilder {
        SparkBuilder {
            cores: 2,
            confs: Vec::new(),
        }
    }

    /// Its endpoint; the same after a restart.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("sc://127.0.0.1:{}", self.grpc)
    }

    /// What it says it ran since it was last started.
    ///
    /// # Errors
    /// When no HTTP client can be made.
    pub fn rest(&self) -> Result<SparkRest> {
        SparkRest::new(&format!("http://127.0.0.1:{}", self.ui))
    }

    /// Kills it with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// When the operating system refuses.
    pub fn kill(&mut self) -> Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
        }
        Ok(())
    }

    /// Stops it (it keeps its memory and its sockets) or lets it go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, signal: super::Signal) -> Result<()> {
        self.process
            .as_ref()
            .context("Spark does not run")?
            .signal(signal)
    }

    /// Starts it, after a kill if it still runs, on the same ports, and waits until it is ready.
    ///
    /// # Errors
    /// When it is not ready within three minutes, or comes up on other ports.
    pub async fn restart(&mut self) -> Result<()> {
        self.kill()?;
        let log = self.dir.path().join("spark.log");
        if log.exists() {
            std::fs::rename(&log, self.dir.path().join("spark.log.before"))?;
        }
        let mut process = GroupProcess::start("Spark", self.command(), &log)?;
        let ready = until_some("Spark Connect to be ready", READY_WITHIN, || {
            let seen = look(&mut process);
            async move { seen }
        })
        .await;
        if let Err(error) = ready {
            bail!("{error:#}; Spark printed at last:\n{}", process.tail(40));
        }
        let ui_taken = !process.printed()?.contains(&format!("{UI_AT}{}.", self.ui));
        if ui_taken {
            bail!("port {} was taken before Spark's UI had it", self.ui);
        }
        self.process = Some(process);
        Ok(())
    }

    fn command(&self) -> Command {
        let dir = self.dir.path();
        let mut command = Command::new(self.home.join("bin").join("spark-submit"));
        command
            .current_dir(dir)
            .env("SPARK_HOME", &self.home)
            .env("SPARK_LOCAL_IP", "127.0.0.1")
            .args(["--master", &format!("local[{}]", self.builder.cores)]);
        let own = [
            ("spark.driver.memory", "1g".to_owned()),
            ("spark.driver.host", "127.0.0.1".to_owned()),
            ("spark.driver.bindAddress", "127.0.0.1".to_owned()),
            ("spark.connect.grpc.binding.address", "127.0.0.1".to_owned()),
            ("spark.connect.grpc.binding.port", self.grpc.to_string()),
            ("spark.ui.port", self.ui.to_string()),
            ("spark.scheduler.mode", "FAIR".to_owned()),
            ("spark.local.dir", dir.join("local").display().to_string()),
            (
                "spark.sql.warehouse.dir",
                dir.join("warehouse").display().to_string(),
            ),
        ];
        let given = self
            .builder
            .confs
            .iter()
            .map(|(k, v)| (k.as_str(), v.clone()));
        for (key, value) in own.into_iter().chain(given) {
            command.args(["--conf", &format!("{key}={value}")]);
        }
        command.args(["--class", MAIN_CLASS, "spark-internal"]);
        command
    }
}

fn look(process: &mut GroupProcess) -> Result<Option<()>> {
    if let Some(status) = process.exited()? {
        bail!("Spark ended with {status}");
    }
    Ok(process.printed()?.contains(READY).then_some(()))
}

//! One coordinator: the built binary `libra` as a process, on a data directory of its own.
//!
//! **Invariant:** the binary is the one beside the test's own executable, never one that happens
//! to be on the path. Ports and data directory stay the same over kills and restarts.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use super::api::Api;
use super::ports::free_port;
use super::process::{GroupProcess, Signal};
use super::wait::until_some;

const READY_WITHIN: Duration = Duration::from_secs(60);
const STOPPED_WITHIN: Duration = Duration::from_secs(20);

/// Finds the built binary: `LIBRA_TEST_BIN`, else `libra` in the target directory of this test.
///
/// # Errors
/// When it is not there; says how to build it.
pub fn libra_binary() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("LIBRA_TEST_BIN") {
        return Ok(given.into());
    }
    built_binary("libra", "libra-coordinator")
}

/// Finds a binary of the package `package` in the target directory of this executable, be that a
/// test or a binary itself.
///
/// # Errors
/// When it is not there; says how to build it.
pub fn built_binary(name: &str, package: &str) -> Result<PathBuf> {
    let me = std::env::current_exe()?;
    let beside = me.parent().context("an executable without a directory")?;
    // Tests are in `deps`, binaries beside it.
    let profile = if beside.ends_with("deps") {
        beside.parent().context("a test outside a target dir")?
    } else {
        beside
    };
    let binary = profile.join(name);
    ensure!(
        binary.exists(),
        "{} is missing: cargo build -p {package} --bin {name}",
        binary.display()
    );
    Ok(binary)
}

/// How a coordinator is to be started.
#[derive(Debug, Default)]
pub struct LibraBuilder {
    settings: Vec<(String, String)>,
    env: Vec<(String, String)>,
    file: Option<String>,
    /// How it is called in messages; `libra` if empty.
    name: String,
    grpc: Option<u16>,
    seat: Seat,
}

/// Where a coordinator runs, if not simply here.
#[derive(Debug, Clone, Default)]
pub struct Seat {
    /// The address that it listens at; 127.0.0.1 if none.
    pub host: Option<IpAddr>,
    /// What the command line begins with: a program that becomes the coordinator, and its arguments.
    pub prefix: Vec<String>,
    /// The directory below which its data is; one of its own if none.
    pub home: Option<PathBuf>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// Whether the end of its log is not printed when it is dropped.
    pub quiet: bool,
}

impl Seat {
    pub(super) fn host(&self) -> IpAddr {
        self.host.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }
}

impl LibraBuilder {
    /// Calls it so in messages.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        self
    }

    /// Gives it this gRPC port instead of one of its own choosing.
    #[must_use]
    pub fn grpc(mut self, port: u16) -> Self {
        self.grpc = Some(port);
        self
    }

    /// Runs it there.
    #[must_use]
    pub fn seat(mut self, seat: Seat) -> Self {
        self.env.extend(seat.env.iter().cloned());
        self.seat = seat;
        self
    }

    /// Adds `--set key=value`.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        self.settings.push((key.to_owned(), value.to_string()));
        self
    }

    /// Adds an environment variable.
    #[must_use]
    pub fn env(mut self, key: &str, value: &str) -> Self {
        self.env.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Gives it this text as `application.yml`.
    #[must_use]
    pub fn file(mut self, yaml: &str) -> Self {
        self.file = Some(yaml.to_owned());
        self
    }

    fn at(&self, port: u16) -> SocketAddr {
        SocketAddr::new(self.seat.host(), port)
    }

    /// Starts it and waits until it is ready.
    ///
    /// # Errors
    /// When the binary is missing, or is not ready within a minute; the error holds its log.
    pub async fn start(self) -> Result<Libra> {
        let mut libra = self.prepare()?;
        libra.start().await?;
        Ok(libra)
    }

    /// Chooses directory and ports, and starts nothing.
    ///
    /// # Errors
    /// When no directory can be made or no port is free.
    pub fn prepare(self) -> Result<Libra> {
        let dir = tempfile::tempdir()?;
        if let Some(yaml) = &self.file {
            std::fs::write(dir.path().join("application.yml"), yaml)?;
        }
        let http = free_port()?;
        let grpc = self.grpc.map_or_else(free_port, Ok)?;
        Ok(Libra {
            process: None,
            api: Api::new(&format!("http://{}", self.at(http)))?,
            http,
            grpc,
            builder: self,
            dir,
        })
    }
}

/// One coordinator process and its client.
#[derive(Debug)]
pub struct Libra {
    process: Option<GroupProcess>,
    /// The client of its REST API.
    pub api: Api,
    http: u16,
    grpc: u16,
    builder: LibraBuilder,
    dir: TempDir,
}

impl Libra {
    /// A coordinator in SHARED mode on this Spark endpoint.
    #[must_use]
    pub fn on(spark: &str) -> LibraBuilder {
        LibraBuilder::default().set("spark.remote", spark)
    }

    /// Starts the process on the same directory and ports and waits until it is ready.
    ///
    /// # Errors
    /// When it runs already, ends, or is not ready within a minute; the error holds its log.
    pub async fn start(&mut self) -> Result<()> {
        self.spawn()?;
        self.until_ready(READY_WITHIN).await
    }

    /// Waits until the running process is ready.
    ///
    /// # Errors
    /// When it does not run, ends, or is not ready in time; the error holds its log.
    pub async fn until_ready(&mut self, limit: Duration) -> Result<()> {
        let mut process = self.process.take().context("libra does not run")?;
        let (api, name) = (self.api.clone(), self.name().to_owned());
        let ready = until_some(&format!("{name} to be ready"), limit, || {
            let exited = process.exited();
            let (api, name) = (&api, &name);
            async move {
                if let Some(status) = exited? {
                    bail!("{name} ended with {status}");
                }
                Ok(api.ready().await.then_some(()))
            }
        })
        .await;
        if let Err(error) = ready {
            bail!("{error:#}; {name} printed at last:\n{}", process.tail(60));
        }
        self.process = Some(process);
        Ok(())
    }

    /// Starts the process on the same directory and ports, and waits for nothing.
    ///
    /// # Errors
    /// When it runs already, or the binary is missing.
    pub fn spawn(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "libra runs already");
        let log = self.dir.path().join("libra.log");
        self.process = Some(GroupProcess::start(self.name(), self.command()?, &log)?);
        Ok(())
    }

    /// Sets an environment variable of the next start, or takes it away.
    pub fn set_env(&mut self, key: &str, value: Option<&str>) {
        self.builder.env.retain(|(known, _)| known != key);
        let value = value.map(|value| (key.to_owned(), value.to_owned()));
        self.builder.env.extend(value);
    }

    /// How it ended, if it has ended by itself; it can be started again then.
    ///
    /// # Errors
    /// When it does not run.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        let process = self.process.as_mut().context("libra does not run")?;
        let status = process.exited()?;
        if status.is_some() {
            self.process = None;
        }
        Ok(status)
    }

    /// Kills it with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill(&mut self) -> Result<()> {
        self.process.take().context("libra does not run")?.kill()?;
        Ok(())
    }

    /// Asks it to end with SIGTERM and waits until it has.
    ///
    /// # Errors
    /// When it does not run, or has not ended within 20 s.
    pub async fn stop(&mut self) -> Result<ExitStatus> {
        let mut process = self.process.take().context("libra does not run")?;
        process.signal(Signal::TERM)?;
        process.ended(STOPPED_WITHIN).await
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it does not run.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        self.process
            .as_ref()
            .context("libra does not run")?
            .signal(signal)
    }

    /// Its process id, if it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(GroupProcess::pid)
    }

    /// Its gRPC port.
    #[must_use]
    pub fn grpc(&self) -> u16 {
        self.grpc
    }

    fn name(&self) -> &str {
        match self.builder.name.as_str() {
            "" => "libra",
            name => name,
        }
    }

    /// Takes all of its data away, as a broken disk does.
    ///
    /// # Errors
    /// When it runs, or a file cannot be removed.
    pub fn wipe(&mut self) -> Result<()> {
        ensure!(self.process.is_none(), "{} runs", self.name());
        std::fs::remove_dir_all(self.data_dir())
            .with_context(|| format!("wiping {}", self.data_dir().display()))
    }

    /// Its data directory.
    #[must_use]
    pub fn data_dir(&self) -> PathBuf {
        let home = self.builder.seat.home.as_deref();
        home.unwrap_or(self.dir.path()).join("data")
    }

    /// All that it has printed since it was first started.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.dir.path().join("libra.log"))?)
    }

    fn command(&self) -> Result<Command> {
        let mut words = self.builder.seat.prefix.iter();
        let mut command = match words.next() {
            Some(program) => {
                let mut command = Command::new(program);
                command.args(words).arg(libra_binary()?);
                command
            }
            None => Command::new(libra_binary()?),
        };
        command.current_dir(self.dir.path()).arg("serve");
        let own = [
            ("libra.node.data-dir", self.data_dir().display().to_string()),
            ("libra.node.http", self.builder.at(self.http).to_string()),
            ("libra.node.grpc", self.builder.at(self.grpc).to_string()),
        ];
        let given = self
            .builder
            .settings
            .iter()
            .map(|(k, v)| (k.as_str(), v.clone()));
        for (key, value) in own.into_iter().chain(given) {
            command.args(["--set", &format!("{key}={value}")]);
        }
        // Only what the test says may configure it.
        for (key, _) in std::env::vars() {
            if key.starts_with("LIBRA_") || key == "FAILPOINTS" || key == "SAFETY_OFF" {
                command.env_remove(key);
            }
        }
        command.envs(self.builder.env.iter().map(|(k, v)| (k, v)));
        Ok(command)
    }
}

impl Drop for Libra {
    /// Test runners show what a test printed only if it failed.
    #[expect(
        clippy::print_stderr,
        reason = "shown by the test runner when the test fails"
    )]
    fn drop(&mut self) {
        if self.builder.seat.quiet {
            return;
        }
        if let Ok(log) = self.log() {
            let lines: Vec<&str> = log.lines().collect();
            let last = &lines[lines.len().saturating_sub(80)..];
            let name = self.name();
            eprintln!("--- {name} printed at last:\n{}", last.join("\n"));
        }
    }
}

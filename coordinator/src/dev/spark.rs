//! The Spark Connect server that `libra dev` starts.

mod conf;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use libra_proto::registry::{PoolRecord, SchedulingMode};

use super::DevError;
use super::console::Console;
use super::guard::{Guarded, Program, tail};
use super::install::Pyspark;
use conf::{conf_of, pools_xml, properties};

/// What the server's log says once it takes requests.
const STARTED: &str = "Spark Connect server started at";
/// How long that may take; 11 s on an idle machine of two cores, over 60 s on a loaded one.
const START_LIMIT: Duration = Duration::from_secs(300);
/// How often the log is looked at.
const TICK: Duration = Duration::from_millis(150);
/// How long the server may take to stop by itself.
const STOP_GRACE: Duration = Duration::from_secs(8);
/// Lines of the log that an error shows.
const TAIL_LINES: usize = 25;
const SERVER_CLASS: &str = "org.apache.spark.sql.connect.service.SparkConnectServer";

/// What the server is started with.
pub(super) struct Options<'a> {
    pub(super) pyspark: &'a Pyspark,
    /// The jar that hands it Libra's pools.
    pub(super) plugin: Option<&'a Path>,
    /// Its folder; what earlier starts left there is removed.
    pub(super) folder: PathBuf,
    pub(super) port: u16,
    pub(super) ui_port: u16,
    /// Memory to be had on this machine, in bytes.
    pub(super) memory: Option<u64>,
    pub(super) mode: SchedulingMode,
    pub(super) pools: &'a [PoolRecord],
    /// `spark.config`: wins over what is chosen here, ports and addresses apart.
    pub(super) conf: &'a BTreeMap<String, String>,
}

/// A running server.
pub(super) struct Server {
    guarded: Guarded,
    log: PathBuf,
}

/// Starts a server and waits until it takes requests; `None` if `shutdown` came first, and then the
/// server is gone.
///
/// # Errors
/// When it ends, or is not ready in time, with the end of its log.
///
/// # Cancel safety
/// Dropping it ends the server, without waiting for its end.
pub(super) async fn start(
    options: Options<'_>,
    console: Console,
    shutdown: impl Future<Output = ()> + Unpin,
) -> Result<Option<Server>, DevError> {
    let began = Instant::now();
    let folder = &options.folder;
    let log = prepare(&options).map_err(|source| DevError::Files {
        path: folder.clone(),
        source,
    })?;
    let step = console.step("starting Spark Connect");
    let home = &options.pyspark.spark_home;
    let submit = home.join("bin/spark-submit");
    let mut program = Program::new(&options.pyspark.python, &submit, &log, STOP_GRACE);
    program.arg("--properties-file").arg(folder.join(CONF_FILE));
    program
        .arg("--class")
        .arg(SERVER_CLASS)
        .arg("spark-internal");
    program.folder(folder).env("SPARK_HOME", home);
    program.env("SPARK_LOCAL_IP", "127.0.0.1");
    program.env("PYSPARK_PYTHON", &options.pyspark.python);
    for other_spark in ["SPARK_CONF_DIR", "SPARK_REMOTE", "PYSPARK_SUBMIT_ARGS"] {
        program.without_env(other_spark);
    }
    let mut server = Server {
        guarded: program.start()?,
        log,
    };
    tokio::select! {
        started = server.until_started() => started?,
        () = shutdown => {
            step.now("stopping");
            server.stop().await;
            return Ok(None);
        }
    }
    step.done(&format!(
        "Spark Connect is ready at sc://127.0.0.1:{} after {} s",
        options.port,
        began.elapsed().as_secs()
    ));
    Ok(Some(server))
}

impl Server {
    async fn until_started(&mut self) -> Result<(), DevError> {
        let deadline = Instant::now() + START_LIMIT;
        while !has_started(&self.log) {
            if Instant::now() >= deadline {
                let limit = START_LIMIT.as_secs();
                return Err(self.failed(format!("Spark was not ready after {limit} s")));
            }
            tokio::select! {
                status = self.guarded.wait() => {
                    let status = status.map_or_else(|e| e.to_string(), |s| s.to_string());
                    return Err(self.failed(format!("Spark ended at its start ({status})")));
                }
                () = tokio::time::sleep(TICK) => {}
            }
        }
        Ok(())
    }

    /// Waits until the server has ended, which it should not by itself.
    ///
    /// # Cancel safety
    /// May be called again after it was dropped.
    pub(super) async fn ended(&mut self) -> DevError {
        let status = self.guarded.wait().await;
        let status = status.map_or_else(|e| e.to_string(), |status| status.to_string());
        self.failed(format!("Spark has ended ({status})"))
    }

    /// Ends the server and waits until it is gone.
    pub(super) async fn stop(self) {
        self.guarded.stop().await;
    }

    /// Its log.
    pub(super) fn log(&self) -> &Path {
        &self.log
    }

    fn failed(&self, what: String) -> DevError {
        DevError::Spark {
            what,
            log: self.log.clone(),
            tail: tail(&self.log, TAIL_LINES),
        }
    }
}

fn has_started(log: &Path) -> bool {
    fs::read(log).is_ok_and(|text| String::from_utf8_lossy(&text).contains(STARTED))
}

const CONF_FILE: &str = "spark.conf";
const POOLS_FILE: &str = "fairscheduler.xml";
const LOG_FILE: &str = "server.log";

/// Makes the folder as for a first start, and writes the server's files; returns its log.
fn prepare(options: &Options<'_>) -> std::io::Result<PathBuf> {
    let folder = &options.folder;
    // Spark's catalog lives in its memory: tables of an earlier start would only be in the way.
    for old in ["warehouse", "local", "artifacts", "metastore_db"] {
        match fs::remove_dir_all(folder.join(old)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(e),
            Ok(()) | Err(_) => {}
        }
    }
    fs::create_dir_all(folder.join("local"))?;
    fs::write(folder.join(POOLS_FILE), pools_xml(options.pools))?;
    // The conf may hold secrets, so it is not for everybody, nor for the command line.
    let mut conf = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(folder.join(CONF_FILE))?;
    std::io::Write::write_all(&mut conf, properties(&conf_of(options)).as_bytes())?;
    let log = folder.join(LOG_FILE);
    File::create(&log)?;
    Ok(log)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::conf::{no_pyspark, options};
    use super::*;

    #[test]
    fn each_start_begins_with_a_fresh_warehouse() {
        use std::os::unix::fs::PermissionsExt as _;
        let (folder, pyspark, conf) = (TempDir::new().unwrap(), no_pyspark(), BTreeMap::new());
        let table = folder.path().join("warehouse/mydata");
        fs::create_dir_all(&table).unwrap();
        let log = prepare(&options(&folder, &pyspark, &conf)).unwrap();
        assert!(!table.exists() && log.exists());
        let conf = fs::metadata(folder.path().join(CONF_FILE)).unwrap();
        assert_eq!(conf.permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_server_that_ends_at_once_shows_its_log() {
        let (folder, conf) = (TempDir::new().unwrap(), BTreeMap::new());
        let bin = folder.path().join("home/bin");
        fs::create_dir_all(&bin).unwrap();
        fs::write(
            bin.join("spark-submit"),
            "#!/bin/sh\necho no java here\nexit 1\n",
        )
        .unwrap();
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(bin.join("spark-submit"), executable).unwrap();
        let pyspark = Pyspark {
            python: "python3".into(),
            spark_home: folder.path().join("home"),
        };
        let started = start(
            options(&folder, &pyspark, &conf),
            Console::new(),
            std::future::pending(),
        )
        .await;
        let Err(e) = started else {
            panic!("it cannot start");
        };
        let text = e.to_string();
        assert!(text.starts_with("Spark ended at its start"), "{text}");
        assert!(text.contains("no java here"), "{text}");
    }
}

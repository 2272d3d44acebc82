//! The Spark Connect server that `libra dev` starts.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use libra_proto::registry::{PoolRecord, SchedulingMode};

use super::DevError;
use super::console::Console;
use super::guard::{Guarded, Program, tail};
use super::install::Pyspark;
use super::plugin;

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

/// Starts a server and waits until it takes requests.
///
/// # Errors
/// When it ends, or is not ready in time, with the end of its log.
///
/// # Cancel safety
/// Dropping it ends the server.
pub(super) async fn start(options: Options<'_>, console: Console) -> Result<Server, DevError> {
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
    server.until_started().await?;
    step.done(&format!(
        "Spark Connect is ready at sc://127.0.0.1:{} after {} s",
        options.port,
        began.elapsed().as_secs()
    ));
    Ok(server)
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

/// Fewer would make statements wait for each other's tasks.
const MIN_CORES: usize = 2;
/// From this much memory on the driver gets 2 GB.
const ROOMY: u64 = 6_000_000_000;

/// The server's whole conf: what is chosen here, then the user's, then what must be as it is.
fn conf_of(options: &Options<'_>) -> BTreeMap<String, String> {
    let cores = std::thread::available_parallelism().map_or(MIN_CORES, usize::from);
    let is_roomy = options.memory.is_some_and(|bytes| bytes >= ROOMY);
    let mode = match options.mode {
        SchedulingMode::Fifo => "FIFO",
        SchedulingMode::Fair | SchedulingMode::Unspecified => "FAIR",
    };
    let path = |name: &str| options.folder.join(name).display().to_string();
    let chosen = [
        ("spark.master", format!("local[{}]", cores.max(MIN_CORES))),
        ("spark.app.name", "libra dev".to_owned()),
        (
            "spark.driver.memory",
            if is_roomy { "2g" } else { "1g" }.to_owned(),
        ),
        ("spark.sql.warehouse.dir", path("warehouse")),
        ("spark.local.dir", path("local")),
        ("spark.ui.showConsoleProgress", "false".to_owned()),
        ("spark.scheduler.mode", mode.to_owned()),
        ("spark.scheduler.allocation.file", path(POOLS_FILE)),
    ];
    let fixed = [
        ("spark.driver.host", "127.0.0.1".to_owned()),
        ("spark.driver.bindAddress", "127.0.0.1".to_owned()),
        ("spark.connect.grpc.binding.address", "127.0.0.1".to_owned()),
        ("spark.connect.grpc.binding.port", options.port.to_string()),
        ("spark.ui.port", options.ui_port.to_string()),
    ];
    let own = |(key, value): (&str, String)| (key.to_owned(), value);
    let users = options
        .conf
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()));
    let mut conf: BTreeMap<String, String> = chosen
        .into_iter()
        .map(own)
        .chain(users)
        .chain(fixed.into_iter().map(own))
        .collect();
    if let Some(jar) = options.plugin {
        add(
            &mut conf,
            "spark.driver.extraClassPath",
            &jar.display().to_string(),
            ':',
        );
        add(
            &mut conf,
            "spark.connect.grpc.interceptor.classes",
            plugin::CLASS,
            ',',
        );
    }
    conf
}

/// Adds to a list that the user may have begun.
fn add(conf: &mut BTreeMap<String, String>, key: &str, more: &str, separator: char) {
    let list = conf.entry(key.to_owned()).or_default();
    if !list.is_empty() {
        list.push(separator);
    }
    list.push_str(more);
}

/// A file of Java properties.
fn properties(conf: &BTreeMap<String, String>) -> String {
    let mut text = String::new();
    for (key, value) in conf {
        text.push_str(&escaped(key));
        text.push('=');
        text.push_str(&escaped(value));
        text.push('\n');
    }
    text
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\\' | ' ' | '=' | ':' | '#' | '!' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

/// The pools in Spark's form, so that Spark's own scheduler knows the same ones.
fn pools_xml(pools: &[PoolRecord]) -> String {
    let mut xml = "<?xml version=\"1.0\"?>\n<allocations>\n".to_owned();
    for pool in pools {
        let mode = match pool.scheduling_mode() {
            SchedulingMode::Fair => "FAIR",
            SchedulingMode::Fifo | SchedulingMode::Unspecified => "FIFO",
        };
        // Names are plain labels: nothing in them needs escaping.
        let _ = write!(
            xml,
            "  <pool name=\"{}\">\n    <schedulingMode>{mode}</schedulingMode>\n    \
             <weight>{}</weight>\n    <minShare>{}</minShare>\n  </pool>\n",
            pool.name, pool.weight, pool.min_share
        );
    }
    xml.push_str("</allocations>\n");
    xml
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::config::{guide_pools, read_allocations};

    fn options<'a>(
        folder: &TempDir,
        pyspark: &'a Pyspark,
        conf: &'a BTreeMap<String, String>,
    ) -> Options<'a> {
        Options {
            pyspark,
            plugin: None,
            folder: folder.path().to_owned(),
            port: 15_002,
            ui_port: 4_040,
            memory: None,
            mode: SchedulingMode::Fair,
            pools: &[],
            conf,
        }
    }

    fn no_pyspark() -> Pyspark {
        Pyspark {
            python: "python3".into(),
            spark_home: "/nowhere".into(),
        }
    }

    #[test]
    fn users_conf_wins_except_where_it_listens() {
        let (folder, pyspark) = (TempDir::new().unwrap(), no_pyspark());
        let conf = BTreeMap::from([
            ("spark.master".to_owned(), "local[7]".to_owned()),
            ("spark.driver.bindAddress".to_owned(), "0.0.0.0".to_owned()),
            ("spark.x".to_owned(), "y".to_owned()),
        ]);
        let all = conf_of(&options(&folder, &pyspark, &conf));
        assert_eq!(all["spark.master"], "local[7]");
        assert_eq!(all["spark.driver.bindAddress"], "127.0.0.1");
        assert_eq!(all["spark.x"], "y");
        assert_eq!(all["spark.driver.memory"], "1g");
        assert_eq!(all["spark.scheduler.mode"], "FAIR");
    }

    #[test]
    fn the_plugin_stands_beside_the_users_own() {
        let (folder, pyspark) = (TempDir::new().unwrap(), no_pyspark());
        let classes = "spark.connect.grpc.interceptor.classes".to_owned();
        let conf = BTreeMap::from([(classes.clone(), "a.B".to_owned())]);
        let mut options = options(&folder, &pyspark, &conf);
        assert!(!conf_of(&options).contains_key("spark.driver.extraClassPath"));
        options.plugin = Some(Path::new("/cache/p.jar"));
        let all = conf_of(&options);
        assert_eq!(all["spark.driver.extraClassPath"], "/cache/p.jar");
        assert_eq!(all[&classes], "a.B,org.libra.spark.PoolInterceptor");
    }

    #[test]
    fn properties_are_escaped() {
        let conf = BTreeMap::from([("spark.a b".to_owned(), "C:\\x = 1\ny".to_owned())]);
        assert_eq!(properties(&conf), "spark.a\\ b=C\\:\\\\x\\ \\=\\ 1\\ny\n");
    }

    #[test]
    fn pools_read_back_as_they_are() {
        assert_eq!(
            read_allocations(&pools_xml(&guide_pools())).unwrap(),
            guide_pools()
        );
    }

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
        let started = start(options(&folder, &pyspark, &conf), Console::new()).await;
        let Err(e) = started else {
            panic!("it cannot start");
        };
        let text = e.to_string();
        assert!(text.starts_with("Spark ended at its start"), "{text}");
        assert!(text.contains("no java here"), "{text}");
    }
}

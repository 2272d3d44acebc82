//! The course of one `libra dev`.

use std::fs::{File, TryLockError};
use std::future::Future;
use std::path::{Path, PathBuf};

use libra_proto::registry::Mode;
use tokio::sync::oneshot;

use super::checks::{self, Found, Plan};
use super::console::{BesideBars, Console};
use super::hints::{Hints, hints};
use super::install::{self, Places, Pyspark};
use super::plugin;
use super::ports::Ports;
use super::spark::{self, Server};
use super::tables::Rest;
use super::{DevError, Environment};
use crate::config::{Config, LoadOptions, Loaded};
use crate::run::run;
use crate::telemetry;

/// What the command line says.
#[derive(Debug, Clone, Default)]
pub struct DevOptions {
    /// Where the configuration comes from, `--port`, `--data-dir` and `--mode` already in `set`.
    pub load: LoadOptions,
    /// Port of Spark Connect; 15002 if not said.
    pub spark_port: Option<u16>,
    /// Leave out the guide's tables.
    pub no_tables: bool,
}

const SPARK_PORT: u16 = 15_002;
const SPARK_UI_PORT: u16 = 4_040;
/// The session that the tables are made in where there is no shared one.
const TABLES_SESSION: &str = "libra-dev";
/// Log lines of the coordinator in between would hide what is to be pasted.
const QUIET: &str = "warn,ractor=error,openraft=error,sled=error";

/// Installs pyspark if it is not there yet, and prints `SPARK_HOME`.
///
/// # Errors
/// When something that it needs is missing, or the installation fails.
///
/// # Cancel safety
/// Dropping it ends what it started; the next call takes it up.
pub async fn install_only(environment: &Environment) -> Result<(), DevError> {
    let console = Console::new();
    let cache = cache(environment)?;
    let places = Places::in_cache(&cache);
    let (pyspark, _) = pyspark(&places, &cache, false, environment, console).await?;
    console.show(&format!("{}\n", pyspark.spark_home.display()));
    Ok(())
}

/// Runs until `shutdown`, or until something that it needs ends.
///
/// # Errors
/// When something is missing, does not start, or ends by itself.
///
/// # Cancel safety
/// Dropping it ends what it started.
pub async fn dev(
    options: DevOptions,
    environment: &Environment,
    shutdown: impl Future<Output = ()>,
) -> Result<(), DevError> {
    let console = Console::new();
    let mut shutdown = Box::pin(shutdown);
    let prepared = tokio::select! {
        prepared = Box::pin(prepare(options, environment, console)) => Some(prepared?),
        () = &mut shutdown => None,
    };
    if let Some(prepared) = prepared {
        Box::pin(serve(&prepared, console, shutdown)).await?;
    }
    console.say("everything is stopped");
    Ok(())
}

/// A configuration for this machine, and what it needs; nothing runs yet.
struct Prepared {
    loaded: Loaded,
    pyspark: Pyspark,
    /// What hands Libra's pools to Spark, if it could be built.
    plugin: Option<PathBuf>,
    memory: Option<u64>,
    spark_port: u16,
    spark_ui_port: u16,
    tables: bool,
    /// Held as long as the data is in use.
    _data_lock: File,
}

async fn prepare(
    options: DevOptions,
    environment: &Environment,
    console: Console,
) -> Result<Prepared, DevError> {
    let mut loaded = Config::load(options.load)?;
    quiet(&mut loaded.config);
    telemetry::init_to(&loaded.config.log, || BesideBars);
    let data_lock = lock_data(&loaded.config.node.data_dir)?;
    let cache = cache(environment)?;
    let places = Places::in_cache(&cache);
    let (pyspark, found) = pyspark(&places, &cache, true, environment, console).await?;
    let plugin = plugin::jar(&cache, &pyspark, environment, console).await;

    let config = &mut loaded.config;
    let mut ports = Ports::default();
    let local = |port| crate::config::Address::new("127.0.0.1", port);
    config.node.http = local(ports.take(config.node.http.port(), "REST", console));
    config.node.grpc = local(ports.take(config.node.grpc.port(), "gRPC", console));
    let last_port = config.node.data_dir.join("spark/port");
    let wanted = options.spark_port.unwrap_or_else(|| read_port(&last_port));
    let spark_port = ports.take(wanted, "Spark Connect", console);
    write_port(&last_port, spark_port)?;
    let spark_ui_port = ports.take(SPARK_UI_PORT, "Spark's UI", console);
    config.node.advertise_http = None;
    config.node.advertise_grpc = None;
    // One machine, one coordinator, whatever the file says of a cluster.
    config.cluster.peers.clear();
    Ok(Prepared {
        loaded,
        pyspark,
        plugin,
        memory: found.memory,
        spark_port,
        spark_ui_port,
        tables: !options.no_tables,
        _data_lock: data_lock,
    })
}

/// The port of the last start: recovered sessions know their endpoint by it.
fn read_port(file: &Path) -> u16 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.trim().parse().unwrap_or(SPARK_PORT)
}

fn write_port(file: &Path, port: u16) -> Result<(), DevError> {
    let made = file.parent().map_or(Ok(()), std::fs::create_dir_all);
    made.and_then(|()| std::fs::write(file, port.to_string()))
        .map_err(|source| DevError::Files {
            path: file.to_owned(),
            source,
        })
}

fn quiet(config: &mut Config) {
    if config.log.level == Config::default().log.level {
        config.log.level = QUIET.to_owned();
    }
}

fn cache(environment: &Environment) -> Result<PathBuf, DevError> {
    let absolute = environment.cache().map(std::path::absolute);
    absolute
        .and_then(Result::ok)
        .ok_or_else(|| DevError::Missing {
            problems: vec!["a cache folder: set LIBRA_CACHE_DIR, or HOME".to_owned()],
        })
}

/// Checks the machine, then installs pyspark if it is not there.
async fn pyspark(
    places: &Places,
    cache: &Path,
    starts_spark: bool,
    environment: &Environment,
    console: Console,
) -> Result<(Pyspark, Found), DevError> {
    let installed = places.installed();
    let plan = Plan {
        cache,
        python: installed.as_ref().map(|pyspark| pyspark.python.clone()),
        starts_spark,
    };
    let found = checks::check(plan, environment).await?;
    let pyspark = match installed {
        Some(pyspark) => pyspark,
        None => install::install(places, &found.python, console).await?,
    };
    Ok((pyspark, found))
}

/// Keeps a second `libra dev` away from the same data, before it starts a Spark of its own.
fn lock_data(data_dir: &Path) -> Result<File, DevError> {
    let lock = data_dir.join("dev.lock");
    let files = |source| DevError::Files {
        path: lock.clone(),
        source,
    };
    std::fs::create_dir_all(data_dir).map_err(files)?;
    let file = File::create(&lock).map_err(files)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(DevError::InUse {
            path: data_dir.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(files(source)),
    }
}

/// Starts Spark and the coordinator, and stops both in the other order.
async fn serve(
    prepared: &Prepared,
    console: Console,
    mut shutdown: impl Future<Output = ()> + Unpin,
) -> Result<(), DevError> {
    let started = Box::pin(start_spark(prepared, console, &mut shutdown)).await?;
    let Some(mut server) = started else {
        return Ok(());
    };
    let result = coordinate(prepared, &mut server, console, shutdown).await;
    server.stop().await;
    result
}

async fn start_spark(
    prepared: &Prepared,
    console: Console,
    shutdown: impl Future<Output = ()> + Unpin,
) -> Result<Option<Server>, DevError> {
    let config = &prepared.loaded.config;
    let folder = config.node.data_dir.join("spark");
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    let options = spark::Options {
        pyspark: &prepared.pyspark,
        plugin: prepared.plugin.as_deref(),
        folder,
        port: prepared.spark_port,
        ui_port: prepared.spark_ui_port,
        memory: prepared.memory,
        mode: config.spark.scheduler_mode,
        pools: &config.pools,
        conf: &config.spark.conf,
    };
    spark::start(options, console, shutdown).await
}

/// Runs the coordinator until `shutdown`, or until it or Spark ends.
async fn coordinate(
    prepared: &Prepared,
    server: &mut Server,
    console: Console,
    mut shutdown: impl Future<Output = ()> + Unpin,
) -> Result<(), DevError> {
    let mut config = prepared.loaded.config.clone();
    let remote = format!("sc://127.0.0.1:{}", prepared.spark_port);
    config.spark.remote = remote.parse().into_iter().collect();
    let (stop, stopped) = oneshot::channel::<()>();
    let until = async {
        // A sender that is gone asks for the same.
        let _ = stopped.await;
    };
    let mut running = Box::pin(run(config, prepared.loaded.warnings.clone(), until));
    let log = server.log().to_owned();
    let mut first_steps = Box::pin(first_steps(prepared, &log, console));
    let mut is_set_up = false;
    let ended = loop {
        tokio::select! {
            result = &mut running => return result.map_err(DevError::from),
            e = server.ended() => break Err(e),
            () = &mut shutdown => break Ok(()),
            result = &mut first_steps, if !is_set_up => match result {
                Ok(()) => is_set_up = true,
                Err(e) => break Err(e),
            },
        }
    };
    console.say("stopping …");
    // It may have ended by itself in this moment.
    let _ = stop.send(());
    let result = running.await.map_err(DevError::from);
    ended.and(result)
}

/// Waits for the coordinator, makes the tables, says what can be done now.
async fn first_steps(prepared: &Prepared, log: &Path, console: Console) -> Result<(), DevError> {
    let config = &prepared.loaded.config;
    let base = format!("http://{}", config.node.http);
    let rest = Rest::new(&base)?;
    let step = console.step("starting the coordinator");
    rest.until_ready().await?;
    if prepared.tables {
        match config.session.mode {
            Mode::Isolated => {
                rest.make_tables(TABLES_SESSION, &step).await?;
                rest.close(TABLES_SESSION).await;
            }
            Mode::Shared | Mode::Unspecified => rest.make_tables("default", &step).await?,
        }
    }
    step.done(&format!(
        "the coordinator is ready at {base}; data in {}, Spark's log in {}",
        config.node.data_dir.display(),
        log.display()
    ));
    console.show(&hints(&Hints {
        base: &base,
        mode: config.session.mode,
        tables: prepared.tables,
        spark_ui: &format!("http://127.0.0.1:{}", prepared.spark_ui_port),
        libra: &program(),
    }));
    Ok(())
}

/// How this program was called, for a line to paste.
fn program() -> String {
    let path = std::env::args_os().next().unwrap_or_else(|| "libra".into());
    path.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn the_port_of_the_last_start_is_taken_again() {
        let data = TempDir::new().unwrap();
        let file = data.path().join("spark/port");
        assert_eq!(read_port(&file), SPARK_PORT);
        write_port(&file, 4711).unwrap();
        assert_eq!(read_port(&file), 4711);
    }

    #[test]
    fn data_is_used_by_one_at_a_time() {
        let data = TempDir::new().unwrap();
        let first = lock_data(data.path()).unwrap();
        let second = lock_data(data.path());
        assert!(matches!(second, Err(DevError::InUse { .. })), "{second:?}");
        drop(first);
        assert!(lock_data(data.path()).is_ok());
    }

    #[test]
    fn log_lines_are_few_unless_asked_for() {
        let mut config = Config::default();
        quiet(&mut config);
        assert_eq!(config.log.level, QUIET);
        config.log.level = "debug".to_owned();
        quiet(&mut config);
        assert_eq!(config.log.level, "debug");
    }
}

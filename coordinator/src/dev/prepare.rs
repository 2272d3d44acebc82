//! What `libra dev` makes sure of before anything runs: configuration, tools, ports, data.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use super::checks::{self, Found, Plan};
use super::cluster::{self, Member};
use super::console::{BesideBars, Console};
use super::install::{self, Places, Pyspark};
use super::plugin;
use super::ports::Ports;
use super::{DevError, DevOptions, Environment};
use crate::config::{Address, Config, LoadOptions, Loaded, Remote};
use crate::run::RunError;
use crate::telemetry;

const SPARK_PORT: u16 = 15_002;
const SPARK_UI_PORT: u16 = 4_040;
/// Log lines of the coordinators in between would hide what is to be pasted.
const QUIET: &str = "warn,ractor=error,openraft=error,sled=error";

/// A configuration for this machine, and what it needs; nothing runs yet.
pub(super) struct Prepared {
    pub(super) loaded: Loaded,
    /// Where the configuration came from, for coordinators in processes of their own.
    pub(super) load: LoadOptions,
    pub(super) behind: Behind,
    /// A Python for the guards.
    pub(super) python: PathBuf,
    pub(super) tables: bool,
    /// Coordinators in processes of their own; empty: the only one runs in this process.
    pub(super) members: Vec<Member>,
    /// Held as long as the data is in use.
    _data_lock: File,
}

/// The Spark behind the coordinators.
pub(super) enum Behind {
    /// One that is started here.
    Own(OwnSpark),
    /// One that runs already.
    Other(Remote),
}

/// How Spark is to be started.
pub(super) struct OwnSpark {
    pub(super) pyspark: Pyspark,
    /// What hands Libra's pools to Spark, if it could be built.
    pub(super) plugin: Option<PathBuf>,
    pub(super) memory: Option<u64>,
    pub(super) port: u16,
    pub(super) ui_port: u16,
}

impl Behind {
    /// Its endpoint.
    pub(super) fn remote(&self) -> String {
        match self {
            Self::Own(own) => format!("sc://127.0.0.1:{}", own.port),
            Self::Other(remote) => remote.reveal().to_owned(),
        }
    }

    /// Spark's own pages, if it is known where they are.
    pub(super) fn ui(&self) -> Option<String> {
        match self {
            Self::Own(own) => Some(format!("http://127.0.0.1:{}", own.ui_port)),
            Self::Other(_) => None,
        }
    }
}

pub(super) async fn prepare(
    options: DevOptions,
    environment: &Environment,
    console: Console,
) -> Result<Prepared, DevError> {
    let load = options.load.clone();
    let mut loaded = Config::load(options.load)?;
    quiet(&mut loaded.config);
    let telemetry = telemetry::init_to(&loaded.config, || BesideBars);
    // The process ends with `libra dev`, and what was not sent by then is lost.
    drop(telemetry.map_err(RunError::Traces)?);
    let data_dir = loaded.config.node.data_dir.clone();
    let data_lock = lock_data(&data_dir)?;
    let (python, mut behind) = match options.spark_remote {
        Some(remote) => (guard_python(environment).await?, Behind::Other(remote)),
        None => {
            let own = own_spark(environment, console).await?;
            (own.pyspark.python.clone(), Behind::Own(own))
        }
    };

    let mut ports = Ports::default();
    let config = &mut loaded.config;
    let members = if options.nodes.get() == 1 {
        let local = |port| Address::new("127.0.0.1", port);
        config.node.http = local(ports.take(config.node.http.port(), "REST", console));
        config.node.grpc = local(ports.take(config.node.grpc.port(), "gRPC", console));
        Vec::new()
    } else {
        cluster::members(config, options.nodes, &mut ports, console)?
    };
    if let Behind::Own(own) = &mut behind {
        let last_port = data_dir.join("spark/port");
        let wanted = options.spark_port.unwrap_or_else(|| read_port(&last_port));
        own.port = ports.take(wanted, "Spark Connect", console);
        write_port(&last_port, own.port)?;
        own.ui_port = ports.take(SPARK_UI_PORT, "Spark's UI", console);
    }
    config.node.advertise_http = None;
    config.node.advertise_grpc = None;
    // One machine, as many coordinators as were asked for, whatever the file says of a cluster.
    config.cluster.peers.clear();
    Ok(Prepared {
        loaded,
        load,
        behind,
        python,
        tables: !options.no_tables,
        members,
        _data_lock: data_lock,
    })
}

async fn own_spark(environment: &Environment, console: Console) -> Result<OwnSpark, DevError> {
    let (pyspark, found) = installed_or_new(true, environment, console).await?;
    let cache = cache(environment)?;
    let plugin = plugin::jar(&cache, &pyspark, environment, console).await;
    Ok(OwnSpark {
        pyspark,
        plugin,
        memory: found.memory,
        port: SPARK_PORT,
        ui_port: SPARK_UI_PORT,
    })
}

/// Checks the machine, then installs pyspark if it is not there.
pub(super) async fn installed_or_new(
    starts_spark: bool,
    environment: &Environment,
    console: Console,
) -> Result<(Pyspark, Found), DevError> {
    let cache = cache(environment)?;
    let places = Places::in_cache(&cache);
    let installed = places.installed();
    let plan = Plan {
        cache: &cache,
        python: installed.as_ref().map(|pyspark| pyspark.python.clone()),
        starts_spark,
    };
    let found = checks::check(plan, environment).await?;
    let pyspark = match installed {
        Some(pyspark) => pyspark,
        None => install::install(&places, &found.python, console).await?,
    };
    Ok((pyspark, found))
}

/// A Python for the guards alone: the installed one, else the machine's.
async fn guard_python(environment: &Environment) -> Result<PathBuf, DevError> {
    let installed = cache(environment).ok();
    match installed.and_then(|cache| Places::in_cache(&cache).installed()) {
        Some(pyspark) => Ok(pyspark.python),
        None => checks::python().await.map_err(|problem| DevError::Missing {
            problems: vec![problem],
        }),
    }
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

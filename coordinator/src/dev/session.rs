//! The course of one `libra dev`.

use std::future::{Future, pending};
use std::num::NonZeroU8;

use super::cluster;
use super::console::Console;
use super::prepare::{Behind, Prepared, installed_or_new, prepare};
use super::single;
use super::spark::{self, Server};
use super::{DevError, Environment};
use crate::config::{LoadOptions, Remote};

/// What the command line says.
#[derive(Debug, Clone)]
pub struct DevOptions {
    /// Where the configuration comes from, `--port`, `--data-dir` and `--mode` already in `set`.
    pub load: LoadOptions,
    /// How many coordinators; one runs in this process, more are processes of their own.
    pub nodes: NonZeroU8,
    /// Port of Spark Connect; 15002 if not said.
    pub spark_port: Option<u16>,
    /// A Spark Connect server that runs already; without it one is started.
    pub spark_remote: Option<Remote>,
    /// Leave out the guide's tables.
    pub no_tables: bool,
}

/// Installs pyspark if it is not there yet, and prints `SPARK_HOME`.
///
/// # Errors
/// When something that it needs is missing, or the installation fails.
///
/// # Cancel safety
/// Dropping it ends what it started; the next call takes it up.
pub async fn install_only(environment: &Environment) -> Result<(), DevError> {
    let console = Console::new();
    let (pyspark, _) = installed_or_new(false, environment, console).await?;
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

/// Starts Spark and the coordinators, and stops both in the other order.
async fn serve(
    prepared: &Prepared,
    console: Console,
    mut shutdown: impl Future<Output = ()> + Unpin,
) -> Result<(), DevError> {
    let started = Box::pin(start_spark(prepared, console, &mut shutdown)).await?;
    let mut server = match started {
        Started::Running(server) => Some(server),
        Started::NotOurs => None,
        Started::Stopped => return Ok(()),
    };
    let result = if prepared.members.is_empty() {
        single::coordinate(prepared, server.as_deref_mut(), console, shutdown).await
    } else {
        cluster::coordinate(prepared, server.as_deref_mut(), console, shutdown).await
    };
    if let Some(server) = server {
        server.stop().await;
    }
    result
}

/// What came of starting Spark.
enum Started {
    /// It takes requests.
    Running(Box<Server>),
    /// Another one is used.
    NotOurs,
    /// It was asked to stop before.
    Stopped,
}

async fn start_spark(
    prepared: &Prepared,
    console: Console,
    shutdown: impl Future<Output = ()> + Unpin,
) -> Result<Started, DevError> {
    let own = match &prepared.behind {
        Behind::Own(own) => own,
        Behind::Other(_) => return Ok(Started::NotOurs),
    };
    let config = &prepared.loaded.config;
    let folder = config.node.data_dir.join("spark");
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    let options = spark::Options {
        pyspark: &own.pyspark,
        plugin: own.plugin.as_deref(),
        folder,
        port: own.port,
        ui_port: own.ui_port,
        memory: own.memory,
        mode: config.spark.scheduler_mode,
        pools: &config.pools,
        conf: &config.spark.conf,
    };
    let started = spark::start(options, console, shutdown).await?;
    Ok(match started {
        Some(server) => Started::Running(Box::new(server)),
        None => Started::Stopped,
    })
}

/// Waits until the server that was started here has ended, which it should not by itself.
///
/// # Cancel safety
/// May be called again after it was dropped.
pub(super) async fn spark_ended(server: &mut Option<&mut Server>) -> DevError {
    match server {
        Some(server) => server.ended().await,
        None => pending().await,
    }
}

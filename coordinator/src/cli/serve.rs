//! `libra serve` and `libra dev`.

use super::arguments::{DevArguments, ServeArguments};
use super::report::Failure;
use super::{FAILED, USAGE, shutdown};
use crate::config::Config;
use crate::dev::{self, DevError, DevOptions, Environment};
use crate::run::{RunError, run};
use crate::telemetry;

pub(super) async fn serve(arguments: ServeArguments) -> Result<(), Failure> {
    let shutdown = shutdown::requested().map_err(|e| Failure::new(FAILED, &e))?;
    #[cfg(feature = "safety-switches")]
    let off = libra_proto::safety::from_environment().map_err(|e| Failure::new(USAGE, &e))?;
    let options = arguments.config.load_options();
    let loaded = Config::load(options).map_err(|e| Failure::new(USAGE, &e))?;
    telemetry::init(&loaded.config.log);
    #[cfg(feature = "safety-switches")]
    warn_of(&off);
    match &loaded.file {
        Some(file) => tracing::info!(file = %file.display(), "configuration read"),
        None => tracing::info!("no configuration file, defaults apply"),
    }
    let running = run(loaded.config, loaded.warnings, shutdown);
    running.await.map_err(|e| Failure::new(run_code(&e), &e))
}

/// Says which safeties a test has taken off.
#[cfg(feature = "safety-switches")]
fn warn_of(off: &[libra_proto::safety::Safety]) {
    if !off.is_empty() {
        let names: Vec<_> = off.iter().map(|safety| safety.name()).collect();
        tracing::warn!(off = names.join(","), "safeties are off, for a test");
    }
}

pub(super) async fn dev(arguments: DevArguments) -> Result<(), Failure> {
    let shutdown = shutdown::requested().map_err(|e| Failure::new(FAILED, &e))?;
    let environment = Environment::of_process();
    let result = if arguments.install_only {
        tokio::select! {
            result = Box::pin(dev::install_only(&environment)) => result,
            () = shutdown => Err(DevError::Interrupted),
        }
    } else {
        let options = dev_options(arguments);
        Box::pin(dev::dev(options, &environment, shutdown)).await
    };
    result.map_err(|e| Failure::new(dev_code(&e), &e))
}

fn dev_options(arguments: DevArguments) -> DevOptions {
    let settings = arguments.settings();
    let DevArguments {
        config,
        nodes,
        spark_port,
        spark_remote,
        no_tables,
        ..
    } = arguments;
    let mut load = config.load_options();
    load.set.extend(settings);
    DevOptions {
        load,
        nodes,
        spark_port,
        spark_remote,
        no_tables,
    }
}

fn run_code(error: &RunError) -> u8 {
    match error {
        RunError::NoEndpoint | RunError::Endpoint(_) => USAGE,
        RunError::Listen { .. }
        | RunError::Client(_)
        | RunError::Registry(_)
        | RunError::NotReady { .. }
        | RunError::Results(_)
        | RunError::Form(_)
        | RunError::Lease(_)
        | RunError::Bootstrap(_)
        | RunError::Actors(_)
        | RunError::ActorsGaveUp => FAILED,
    }
}

fn dev_code(error: &DevError) -> u8 {
    match error {
        DevError::Config(_) | DevError::OtherPeers { .. } => USAGE,
        DevError::Run(error) => run_code(error),
        DevError::Missing { .. }
        | DevError::Files { .. }
        | DevError::InUse { .. }
        | DevError::Start { .. }
        | DevError::Install { .. }
        | DevError::Download { .. }
        | DevError::InstallLocked { .. }
        | DevError::Spark { .. }
        | DevError::Node { .. }
        | DevError::NoNodes
        | DevError::PortOfNode { .. }
        | DevError::Rest { .. }
        | DevError::Interrupted => FAILED,
    }
}

//! The program in namespaces of its own.

use std::os::unix::process::CommandExt;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Place;
use super::tool::{exists, run};

/// Says to the program that it is in its namespaces already.
const INSIDE: &str = "LIBRA_CHAOS_INSIDE";
/// What has to be there.
const TOOLS: [&str; 5] = ["unshare", "nsenter", "ip", "nft", "mount"];

/// Decides where to run. Where that is in namespaces and this is not inside them yet, the program
/// is started anew in place of this one, and this does not return. To be called before any thread
/// is started.
///
/// # Errors
/// When the program cannot be started anew.
pub(in super::super) fn enter(loopback: Option<&str>) -> Result<Place> {
    if let Some(why) = loopback {
        return Ok(Place::Loopback(why.to_owned()));
    }
    if std::env::var_os(INSIDE).is_some() {
        return Ok(Place::Namespaces);
    }
    if !rustix::process::geteuid().is_root() {
        return Ok(Place::Loopback("not root".to_owned()));
    }
    if let Some(tool) = TOOLS.iter().find(|tool| !exists(tool)) {
        return Ok(Place::Loopback(format!("{tool} is not installed")));
    }
    let probe = ["--net", "--mount", "true"];
    let allowed = Command::new("unshare").args(probe).status();
    if !allowed.is_ok_and(|status| status.success()) {
        return Ok(Place::Loopback("namespaces are not allowed".to_owned()));
    }
    let me = std::env::current_exe().context("who am I")?;
    let error = Command::new("unshare")
        .args(["--net", "--mount", "--propagation", "private", "--"])
        .arg(me)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .exec();
    bail!("unshare: {error}")
}

/// Sets the namespaces up that this process is in.
///
/// # Errors
/// When a tool fails.
pub(in super::super) async fn settle() -> Result<()> {
    // What `ip` and `iptables` keep there is to be ours alone.
    run(&["mount", "-t", "tmpfs", "none", "/run"]).await?;
    run(&["mkdir", "-p", "/run/netns"]).await?;
    run(&["ip", "link", "set", "lo", "up"]).await?;
    Ok(())
}

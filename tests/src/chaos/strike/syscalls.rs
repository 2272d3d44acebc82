//! System calls of a running node that fail, or take long, by `strace`.
//!
//! The tracer stops the process at every system call for a moment, so that all of it is slower too.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::super::rig::Rig;
use crate::harness::{GroupProcess, Signal, until};

/// How long the tracer may take to hold the process, or to let it go.
const HOLDS_WITHIN: Duration = Duration::from_secs(10);
/// What writes to disk for good.
const SYNCS: &str = "fdatasync,fsync";

/// Makes every fsync of a node take so many ms.
///
/// # Errors
/// When the tracer does not start.
pub(super) async fn slow(rig: &Rig, node: u64, millis: u64) -> Result<GroupProcess> {
    attach(rig, node, &format!("delay_enter={}", millis * 1_000)).await
}

/// Makes fsyncs of a node fail.
///
/// # Errors
/// When the tracer does not start.
pub(super) async fn fail(rig: &Rig, node: u64) -> Result<GroupProcess> {
    attach(rig, node, "error=EIO").await
}

async fn attach(rig: &Rig, node: u64, injected: &str) -> Result<GroupProcess> {
    let pid = rig.cluster.node(node)?.pid().context("the node is dead")?;
    let mut command = Command::new("strace");
    command
        .args(["-f", "-qq", "-o", "/dev/null"])
        .args(["-e", &format!("trace={SYNCS}")])
        .args(["-e", &format!("inject={SYNCS}:{injected}")])
        .args(["-p", &pid.to_string()]);
    let log = rig.cluster.node(node)?.data_dir().with_extension("strace");
    let tracer = GroupProcess::start("strace", command, &log)?;
    until("strace to hold the process", HOLDS_WITHIN, || async {
        Ok(is_traced(pid))
    })
    .await?;
    Ok(tracer)
}

/// Lets the process go.
///
/// # Errors
/// When the tracer does not end.
pub(super) async fn end(mut tracer: GroupProcess) -> Result<()> {
    if tracer.exited()?.is_none() {
        tracer.signal(Signal::TERM)?;
        tracer.ended(HOLDS_WITHIN).await?;
    }
    Ok(())
}

/// Whether a process has a tracer; one that is gone, or a zombie, needs none.
fn is_traced(pid: u32) -> bool {
    let status = Path::new("/proc").join(pid.to_string()).join("status");
    std::fs::read_to_string(status).map_or(true, |status| is_held(&status))
}

fn is_held(status: &str) -> bool {
    let value = |name: &str| {
        let mut lines = status.lines();
        lines.find_map(|line| Some(line.strip_prefix(name)?.trim()))
    };
    let has_ended = value("State:").is_some_and(|state| state.starts_with(['Z', 'X']));
    has_ended || value("TracerPid:").is_some_and(|tracer| tracer != "0")
}

#[cfg(test)]
mod tests {
    use super::is_held;

    #[test]
    fn who_has_ended_under_its_tracer_is_not_waited_for() {
        for (state, tracer, held) in [
            ("S (sleeping)", "0", false),
            ("t (tracing stop)", "7", true),
            ("S (sleeping)", "7", true),
            ("Z (zombie)", "0", true),
        ] {
            let status = format!("Name:\tlibra\nState:\t{state}\nTracerPid:\t{tracer}\n");
            assert_eq!(is_held(&status), held, "{status}");
        }
    }
}

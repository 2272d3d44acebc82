//! Does it, and takes it back.
//!
//! - [`network`]: packets between nodes, clients and Spark; [`syscalls`]: system calls that fail.
//! - [`members`]: nodes that come and go. [`sessions`]: sessions that get another owner.
//!
//! **Invariant:** what was begun is taken back, whatever happens in between, and every wait has a
//! limit.

mod members;
mod network;
mod sessions;
mod syscalls;

use std::time::Duration;

use anyhow::{Result, ensure};

use super::act::Act;
use super::rig::Rig;
use crate::harness::{GroupProcess, passed, until};

/// How long a process may take to end by itself.
const ENDS_WITHIN: Duration = Duration::from_secs(20);
/// Between one node's return and the next one's leave, in a rolling restart.
const ROLL_PAUSE: Duration = Duration::from_millis(500);

/// What has been begun, to be taken back.
#[derive(Debug)]
pub(super) struct Begun {
    act: Act,
    /// What goes on failing system calls.
    tracer: Option<GroupProcess>,
}

/// Does it. A rolling restart, a change of members, and moves of sessions are done when this returns.
///
/// # Errors
/// When it cannot be done.
pub(super) async fn begin(rig: &mut Rig, act: &Act, seed: u64) -> Result<Begun> {
    let mut tracer = None;
    match act {
        Act::Kill(nodes) => kill(rig, nodes)?,
        Act::Stop(node, _) => rig.cluster.stop(*node)?,
        Act::Roll(nodes) => roll(rig, nodes).await?,
        Act::Net(net) => network::cut(rig, *net, seed).await?,
        Act::Clock(node, seconds) => rig.ground.set_clock(*node, *seconds)?,
        Act::Fill(node) => rig.ground.disks()?.fill(*node).await?,
        Act::SlowSync(node, millis) => tracer = Some(syscalls::slow(rig, *node, *millis).await?),
        Act::FailSync(node) => {
            let failing = syscalls::fail(rig, *node).await?;
            ended_by_itself(rig, *node).await?;
            drop(failing);
        }
        Act::PowerCut(nodes) | Act::Lose(nodes, _) => {
            // Nobody lives to see an error of a disk without power.
            for node in nodes {
                rig.cluster.stop(*node)?;
            }
            for node in nodes {
                rig.ground.disks()?.cut(*node).await?;
            }
            kill(rig, nodes)?;
        }
        Act::Spark => rig.stub()?.restart_driver().await?,
        Act::Replace(node) => members::replace(rig, *node).await?,
        Act::MoveSessions(moves) => sessions::moved(rig, *moves).await?,
    }
    Ok(Begun {
        act: act.clone(),
        tracer,
    })
}

impl Begun {
    /// Takes it back, and waits for nothing.
    ///
    /// # Errors
    /// When it cannot be taken back.
    pub(super) async fn heal(self, rig: &mut Rig) -> Result<()> {
        match &self.act {
            Act::Kill(nodes) => start(rig, nodes)?,
            Act::Stop(node, _) => rig.cluster.cont(*node)?,
            Act::Net(net) => network::heal(rig, *net).await?,
            Act::Clock(node, _) => rig.ground.set_clock(*node, 0)?,
            Act::Fill(node) => {
                rig.ground.disks()?.empty(*node)?;
                // It may have ended rather than go on without room.
                restart_if_ended(rig, *node)?;
            }
            Act::SlowSync(node, _) => {
                if let Some(tracer) = self.tracer {
                    syscalls::end(tracer).await?;
                }
                restart_if_ended(rig, *node)?;
            }
            Act::FailSync(node) => start(rig, &[*node])?,
            Act::PowerCut(nodes) => {
                for node in nodes {
                    rig.ground.disks()?.power_on(*node).await?;
                }
                start(rig, nodes)?;
            }
            Act::Lose(nodes, lost) => {
                for node in nodes {
                    rig.ground.disks()?.power_on(*node).await?;
                }
                rig.cluster.wipe(*lost)?;
                start(rig, nodes)?;
            }
            Act::Roll(_) | Act::Spark | Act::Replace(_) | Act::MoveSessions(_) => {}
        }
        Ok(())
    }
}

/// All at once: the signals go out before any end is waited for.
fn kill(rig: &mut Rig, nodes: &[u64]) -> Result<()> {
    for node in nodes {
        rig.cluster
            .node(*node)?
            .signal(crate::harness::Signal::KILL)?;
    }
    for node in nodes {
        rig.cluster.kill9(*node)?;
    }
    Ok(())
}

fn start(rig: &mut Rig, nodes: &[u64]) -> Result<()> {
    for node in nodes {
        rig.cluster.spawn(*node)?;
    }
    Ok(())
}

/// Starts a node that has ended by itself; one that was killed is somebody else's.
fn restart_if_ended(rig: &mut Rig, node: u64) -> Result<()> {
    let running = rig.cluster.node(node)?.pid().is_some();
    if running && rig.cluster.node_mut(node)?.exited()?.is_some() {
        start(rig, &[node])?;
    }
    Ok(())
}

/// Starts every node that has ended by itself, for whoever goes on after a run that was broken off.
///
/// # Errors
/// When one cannot be started.
pub(super) fn revive(rig: &mut Rig) -> Result<()> {
    for node in rig.cluster.running() {
        restart_if_ended(rig, node)?;
    }
    Ok(())
}

async fn roll(rig: &mut Rig, nodes: &[u64]) -> Result<()> {
    for node in nodes {
        let status = rig.cluster.term(*node).await?;
        ensure!(status.success(), "node {node} left with {status}");
        rig.cluster.restart(*node).await?;
        passed(ROLL_PAUSE).await;
    }
    Ok(())
}

async fn ended_by_itself(rig: &mut Rig, node: u64) -> Result<()> {
    let libra = rig.cluster.node_mut(node)?;
    let what = format!("node {node} to end as its fsync failed");
    until(&what, ENDS_WITHIN, || {
        let exited = libra.exited();
        async move { Ok(exited?.is_some()) }
    })
    .await
}

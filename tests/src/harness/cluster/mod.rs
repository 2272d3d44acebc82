//! Several coordinators that form one cluster: real processes, each with ports and a data directory
//! of its own, before one Spark.
//!
//! Nodes are named by their ids, from 1. [`Links`] are rules only if the cluster is
//! [`ClusterBuilder::proxied`].
//!
//! **Invariant:** ports and data stay the same over kills and restarts, and every wait has a limit.

mod builder;
mod membership;
mod watch;

use std::collections::BTreeMap;
use std::process::ExitStatus;
use std::time::Duration;

use anyhow::{Context, Result};

pub use builder::{ClusterBuilder, Profile};

use super::api::Api;
use super::libra::Libra;
use super::process::Signal;
use super::proxy::Links;
use super::wait::passed;
use crate::evidence::Dice;
use builder::Ports;

/// How long a node may take to be ready, on a machine that is busy with other things.
const READY_WITHIN: Duration = Duration::from_secs(60);

/// The processes of one cluster. Dropping it kills them, and prints the end of their logs.
#[derive(Debug)]
pub struct Cluster {
    // Nodes first: they are killed before what stands between them is taken away.
    nodes: BTreeMap<u64, Libra>,
    links: Links,
    builder: ClusterBuilder,
    addresses: BTreeMap<u64, Ports>,
}

impl Cluster {
    /// Three nodes in SHARED mode on this Spark endpoint.
    #[must_use]
    pub fn on(spark: &str) -> ClusterBuilder {
        ClusterBuilder::on(spark)
    }

    /// All nodes, running or not.
    #[must_use]
    pub fn ids(&self) -> Vec<u64> {
        self.nodes.keys().copied().collect()
    }

    /// Those that were started and not ended since.
    #[must_use]
    pub fn running(&self) -> Vec<u64> {
        let running = self.nodes.iter().filter(|(_, node)| node.pid().is_some());
        running.map(|(id, _)| *id).collect()
    }

    /// Running nodes without this one.
    #[must_use]
    pub fn others(&self, id: u64) -> Vec<u64> {
        let others = self.running().into_iter();
        others.filter(|other| *other != id).collect()
    }

    /// The client of a node's REST API.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn api(&self, id: u64) -> Result<&Api> {
        Ok(&self.node(id)?.api)
    }

    /// The clients of all nodes, running or not, in order.
    #[must_use]
    pub fn apis(&self) -> Vec<Api> {
        self.nodes.values().map(|node| node.api.clone()).collect()
    }

    /// What can be done to the network between the nodes.
    #[must_use]
    pub fn links(&self) -> &Links {
        &self.links
    }

    /// One node.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn node(&self, id: u64) -> Result<&Libra> {
        let node = self.nodes.get(&id);
        node.with_context(|| format!("there is no node {id}"))
    }

    /// One node, to do something to it.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn node_mut(&mut self, id: u64) -> Result<&mut Libra> {
        let node = self.nodes.get_mut(&id);
        node.with_context(|| format!("there is no node {id}"))
    }

    fn ports(&self, id: u64) -> Result<Ports> {
        let ports = self.addresses.get(&id).copied();
        ports.with_context(|| format!("there is no node {id}"))
    }

    /// Starts a node and waits for nothing.
    ///
    /// # Errors
    /// When it runs already.
    pub fn spawn(&mut self, id: u64) -> Result<()> {
        let node = self.node_mut(id)?;
        node.spawn()?;
        let pid = node.pid();
        self.links.is_process(id, pid);
        Ok(())
    }

    /// Starts all nodes that do not run, and waits for nothing.
    ///
    /// # Errors
    /// When one cannot be started.
    pub fn start_all(&mut self) -> Result<()> {
        for id in self.ids() {
            if self.node(id)?.pid().is_none() {
                self.spawn(id)?;
            }
        }
        Ok(())
    }

    /// Starts all nodes in an order and with pauses that the seed decides, none longer than
    /// `longest`; gives the order.
    ///
    /// # Errors
    /// When one cannot be started.
    pub async fn start_in_order(&mut self, seed: u64, longest: Duration) -> Result<Vec<u64>> {
        let mut dice = Dice::new(seed, 0);
        let mut order = self.ids();
        dice.shuffle(&mut order);
        let longest = u64::try_from(longest.as_millis())?;
        for id in &order {
            self.spawn(*id)?;
            passed(Duration::from_millis(dice.below(longest))).await;
        }
        Ok(order)
    }

    /// Waits until every running node is ready.
    ///
    /// # Errors
    /// When one ends, or is not ready within a minute; the error holds its log.
    pub async fn wait_ready(&mut self) -> Result<()> {
        for id in self.running() {
            self.node_mut(id)?.until_ready(READY_WITHIN).await?;
        }
        Ok(())
    }

    /// Kills a node with SIGKILL and waits until it is gone.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill9(&mut self, id: u64) -> Result<()> {
        self.node_mut(id)?.kill()?;
        self.links.is_process(id, None);
        Ok(())
    }

    /// Asks a node to end with SIGTERM and waits until it has.
    ///
    /// # Errors
    /// When it does not run, or has not ended in time.
    pub async fn term(&mut self, id: u64) -> Result<ExitStatus> {
        let status = self.node_mut(id)?.stop().await?;
        self.links.is_process(id, None);
        Ok(status)
    }

    /// Starts a node again, after a kill if it still runs, and waits until it is ready.
    ///
    /// # Errors
    /// When it is not ready within a minute; the error holds its log.
    pub async fn restart(&mut self, id: u64) -> Result<()> {
        if self.node(id)?.pid().is_some() {
            self.kill9(id)?;
        }
        self.spawn(id)?;
        self.node_mut(id)?.until_ready(READY_WITHIN).await
    }

    /// Kills a node, if it runs, and takes all of its data away.
    ///
    /// # Errors
    /// When a file cannot be removed.
    pub fn wipe(&mut self, id: u64) -> Result<()> {
        if self.node(id)?.pid().is_some() {
            self.kill9(id)?;
        }
        self.node_mut(id)?.wipe()
    }

    /// Ends a node, if it runs, and takes it off the list for good.
    ///
    /// # Errors
    /// When there is no such node.
    pub fn forget(&mut self, id: u64) -> Result<()> {
        if self.node(id)?.pid().is_some() {
            self.kill9(id)?;
        }
        self.nodes.remove(&id);
        self.addresses.remove(&id);
        Ok(())
    }

    /// Stops a node: it keeps memory and connections, and does nothing.
    ///
    /// # Errors
    /// When it does not run.
    pub fn stop(&self, id: u64) -> Result<()> {
        self.node(id)?.signal(Signal::STOP)
    }

    /// Lets a stopped node go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn cont(&self, id: u64) -> Result<()> {
        self.node(id)?.signal(Signal::CONT)
    }

    /// Stops a node for so long.
    ///
    /// # Errors
    /// When it does not run.
    pub async fn stop_cont(&self, id: u64, time: Duration) -> Result<()> {
        self.stop(id)?;
        passed(time).await;
        self.cont(id)
    }
}

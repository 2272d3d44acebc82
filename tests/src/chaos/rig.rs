//! The cluster under test: its nodes where the place lets them run, and what stands behind them.
//!
//! **Invariant:** one run of a fault has a rig of its own; dropping it ends every process.

use std::sync::Arc;

use anyhow::{Context, Result, bail};

use super::Fault;
use super::options::Options;
use super::place::Place;
use super::place::ground::Ground;
use super::place::hosts::Hosts;
use crate::evidence::Share;
use crate::harness::{Cluster, SharedSpark, SparkRest, built_binary};
use crate::kill::Referee;
use crate::stub::engine::Settings;
use crate::stub::process::StubProcess;

/// Sessions that are probed, for each node.
const PROBED_PER_NODE: u64 = 2;
/// Sessions that there may be.
const MOST_SESSIONS: usize = 40;
/// Statements that may run at once.
const SLOTS: usize = 24;
/// With pools that have more to do than that: few enough to be filled.
const FEW_SLOTS: usize = 10;
/// Pools of the guide's example, each with what it is to get of [`FEW_SLOTS`].
const SHARES: [(&str, u64); 3] = [
    ("low-priority", 2),
    ("interactive", 3),
    ("high-priority", 5),
];

/// What stands behind the cluster.
#[derive(Debug)]
enum Behind {
    Stub(Arc<StubProcess>),
    Spark(SharedSpark),
}

/// What everything is done to.
#[derive(Debug)]
pub(super) struct Rig {
    // Nodes first: they are killed before what they stand on is taken away.
    pub(super) cluster: Cluster,
    pub(super) ground: Ground,
    behind: Behind,
    pub(super) sessions: Vec<String>,
    pub(super) slots: usize,
    pub(super) shares: Vec<Share>,
}

impl Rig {
    /// Starts everything and waits until all nodes are ready.
    ///
    /// # Errors
    /// When something does not start.
    pub(super) async fn start(
        fault: Fault,
        options: &Options,
        place: &Place,
        hosts: Option<Hosts>,
    ) -> Result<Self> {
        let behind = Behind::start(options, place).await?;
        let pools = fault == Fault::Pools;
        let slots = match options.slots {
            _ if pools => FEW_SLOTS,
            Some(slots) => usize::try_from(slots)?,
            None => SLOTS,
        };
        let mut ground = Ground::new(fault, options, hosts)?;
        let mut builder = Cluster::on(behind.endpoint())
            .nodes(options.nodes)
            .isolated(MOST_SESSIONS)
            .set("libra.scheduler.slots", slots);
        if fault == Fault::Membership {
            // A node that is taken out takes its copies with it, and the next one soon follows.
            builder = builder.set("libra.results.replicas", 3);
        }
        if *place != Place::Namespaces {
            builder = builder.proxied();
        }
        for id in 1..=options.nodes {
            builder = builder.seat(id, ground.seat(id).await?);
        }
        let mut cluster = builder.prepare().await?;
        cluster.start_all()?;
        cluster.wait_ready().await?;
        let sessions = (1..=options.nodes * PROBED_PER_NODE).map(|n| format!("probe-{n}"));
        Ok(Self {
            cluster,
            ground,
            behind,
            sessions: sessions.collect(),
            slots,
            shares: if pools { shares() } else { Vec::new() },
        })
    }

    /// The stub.
    ///
    /// # Errors
    /// When there is a real Spark instead.
    pub(super) fn stub(&self) -> Result<&Arc<StubProcess>> {
        match &self.behind {
            Behind::Stub(stub) => Ok(stub),
            Behind::Spark(_) => bail!("there is no stub"),
        }
    }

    /// Who says what Spark ran.
    pub(super) fn referee(&self) -> Referee {
        match &self.behind {
            Behind::Stub(stub) => Referee::stub(stub),
            Behind::Spark(spark) => Referee::spark(spark),
        }
    }

    /// The port of the stub.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn spark_port(&self) -> Result<u16> {
        let endpoint = self.stub()?.connection_string();
        let (_, port) = endpoint.rsplit_once(':').context("no port")?;
        Ok(port.parse()?)
    }

    /// Ends all nodes and gives the hosts back for the next rig.
    pub(super) async fn end(mut self) -> Option<Hosts> {
        for id in self.cluster.running() {
            // One that has ended by itself is what is wanted.
            let _ = self.cluster.kill9(id);
        }
        if let Some(disks) = &self.ground.disks {
            disks.close().await;
        }
        let mut hosts = self.ground.hosts.take()?;
        // What is not healed is not used again.
        hosts.heal_all().await.is_ok().then_some(hosts)
    }
}

impl Behind {
    async fn start(options: &Options, place: &Place) -> Result<Self> {
        if let (Some(endpoint), Some(ui)) = (&options.spark, &options.spark_ui) {
            return Ok(Self::Spark(SharedSpark {
                endpoint: endpoint.clone(),
                rest: SparkRest::new(ui)?,
            }));
        }
        let listen = match place {
            Place::Namespaces => format!("{}:0", Hosts::here()),
            Place::Loopback(_) => "127.0.0.1:0".to_owned(),
        };
        let binary = built_binary("stub-spark", "libra-tests")?;
        let stub = StubProcess::start_at(&binary, &Settings::default(), &listen).await?;
        Ok(Self::Stub(Arc::new(stub)))
    }

    fn endpoint(&self) -> &str {
        match self {
            Self::Stub(stub) => stub.connection_string(),
            Self::Spark(spark) => &spark.endpoint,
        }
    }
}

fn shares() -> Vec<Share> {
    let shares = SHARES.iter().map(|(pool, slots)| Share {
        pool: (*pool).to_owned(),
        slots: *slots,
    });
    shares.collect()
}

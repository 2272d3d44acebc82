//! How a cluster is to be.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::Result;

use super::Cluster;
use crate::harness::{Libra, LibraBuilder, Links, Seat, free_port};

/// Raft's times and the lease, as they suit what a test wants to see.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Profile {
    /// As Libra comes: where times are measured.
    #[default]
    Own,
    /// Half of that: where many clusters are formed in a short time.
    Fast,
    /// Several times as long, so that a busy machine is not taken for a dead node.
    Patient,
}

impl Profile {
    fn settings(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Own => &[],
            Self::Fast => &[
                ("libra.cluster.heartbeat-ms", "50"),
                ("libra.cluster.election-ms", "[150, 300]"),
                ("libra.cluster.lease-ms", "600"),
            ],
            Self::Patient => &[
                ("libra.cluster.heartbeat-ms", "250"),
                ("libra.cluster.election-ms", "[1000, 2000]"),
                ("libra.cluster.lease-ms", "4000"),
            ],
        }
    }
}

/// Nodes of one cluster that are to be started.
#[derive(Debug)]
pub struct ClusterBuilder {
    spark: String,
    nodes: u64,
    profile: Profile,
    settings: Vec<(String, String)>,
    seats: BTreeMap<u64, Seat>,
    proxied: bool,
}

impl ClusterBuilder {
    pub(super) fn on(spark: &str) -> Self {
        Self {
            spark: spark.to_owned(),
            nodes: 3,
            profile: Profile::default(),
            settings: Vec::new(),
            seats: BTreeMap::new(),
            proxied: false,
        }
    }

    /// So many nodes instead of three.
    #[must_use]
    pub fn nodes(mut self, nodes: u64) -> Self {
        self.nodes = nodes;
        self
    }

    /// With other times.
    #[must_use]
    pub fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Adds `--set key=value` to every node.
    #[must_use]
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        self.settings.push((key.to_owned(), value.to_string()));
        self
    }

    /// In ISOLATED mode, with at most so many sessions.
    #[must_use]
    pub fn isolated(self, sessions: usize) -> Self {
        self.set("libra.session.mode", "ISOLATED")
            .set("libra.session.max-sessions", sessions)
    }

    /// Runs a node there.
    #[must_use]
    pub fn seat(mut self, id: u64, seat: Seat) -> Self {
        self.seats.insert(id, seat);
        self
    }

    /// Puts a proxy in front of every node, through which the others reach it.
    #[must_use]
    pub fn proxied(mut self) -> Self {
        self.proxied = true;
        self
    }

    /// Starts all nodes and waits until they are ready.
    ///
    /// # Errors
    /// When one is not ready within a minute; the error holds its log.
    pub async fn start(self) -> Result<Cluster> {
        let mut cluster = self.prepare().await?;
        cluster.start_all()?;
        cluster.wait_ready().await?;
        Ok(cluster)
    }

    /// Chooses directories and ports, and starts nothing.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn prepare(self) -> Result<Cluster> {
        let mut addresses = BTreeMap::new();
        for id in 1..=self.nodes {
            addresses.insert(id, Ports::choose(self.proxied)?);
        }
        let mut cluster = Cluster {
            nodes: BTreeMap::new(),
            links: Links::default(),
            builder: self,
            addresses,
        };
        for id in 1..=cluster.builder.nodes {
            cluster.prepare(id).await?;
        }
        Ok(cluster)
    }
}

/// Where one node listens for the others, and where they look for it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub(super) listens: u16,
    pub(super) advertised: u16,
}

impl Ports {
    pub(super) fn choose(proxied: bool) -> Result<Self> {
        let listens = free_port()?;
        let advertised = if proxied { free_port()? } else { listens };
        Ok(Self {
            listens,
            advertised,
        })
    }
}

impl Cluster {
    /// Adds a node that the others are not told of, and starts nothing. It is told of all.
    ///
    /// # Errors
    /// When no port is free, or there is such a node.
    pub async fn one_more(&mut self) -> Result<u64> {
        self.one_more_at(|_| Ok(Seat::default())).await
    }

    /// The same, running where `seat` says for its id.
    ///
    /// # Errors
    /// When no port is free, or there is no such seat.
    pub async fn one_more_at(&mut self, seat: impl FnOnce(u64) -> Result<Seat>) -> Result<u64> {
        let id = self.addresses.keys().max().map_or(1, |last| last + 1);
        let ports = Ports::choose(self.builder.proxied)?;
        self.addresses.insert(id, ports);
        self.builder.seats.insert(id, seat(id)?);
        self.prepare(id).await?;
        Ok(id)
    }

    async fn prepare(&mut self, id: u64) -> Result<()> {
        let ports = self.ports(id)?;
        if self.builder.proxied {
            self.links.open(id, ports.listens, ports.advertised).await?;
        }
        let libra = self.configured(id, ports).prepare()?;
        self.nodes.insert(id, libra);
        Ok(())
    }

    fn configured(&self, id: u64, ports: Ports) -> LibraBuilder {
        let builder = &self.builder;
        let seat = builder.seats.get(&id).cloned().unwrap_or_default();
        let mut libra = Libra::on(&builder.spark)
            .seat(seat)
            .name(&format!("node {id}"))
            .grpc(ports.listens)
            .set("libra.node.id", id)
            .set("libra.node.advertise-grpc", self.at(id, ports.advertised));
        for (peer, ports) in &self.addresses {
            let key = format!("libra.cluster.peers.{peer}");
            libra = libra.set(&key, self.at(*peer, ports.advertised));
        }
        for (key, value) in builder.profile.settings() {
            libra = libra.set(key, value);
        }
        for (key, value) in &builder.settings {
            libra = libra.set(key, value);
        }
        libra
    }

    /// Where a port of a node is.
    pub(super) fn at(&self, id: u64, port: u16) -> String {
        let seat = self.builder.seats.get(&id);
        let host = seat.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), Seat::host);
        SocketAddr::new(host, port).to_string()
    }
}

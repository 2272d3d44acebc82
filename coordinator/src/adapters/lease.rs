//! The port by which this node's lease is renewed, over its disk and its peers.
//!
//! **Invariant:** a renewal is asked for only after this node's disk has taken a write, and has room:
//! a node whose disk hangs or is full keeps no lease. Only a node that the registry has, and that is
//! not on its way out, comes back by itself.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use libra_actors::lease::Renewal;
use libra_actors::ports::{LeasePort, RegistryPort, RenewError};
use libra_proto::types::NodeId;
use libra_raft::Handle;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use crate::adapters::RaftRegistry;
use crate::bootstrap::{self, Identity};
use crate::clock::now_ms;
use crate::peer::{LeaseTerms, Peers};
use crate::results::Threads;
use crate::service::Reachability;

/// The file that is written before each renewal.
const FILE: &str = "lease";

/// Between two looks whether a node that was removed is registered again.
const REMOVED_PAUSE: Duration = Duration::from_secs(1);

/// Writes to the disk of the data directory, one write at a time.
#[derive(Debug, Clone)]
struct Disk {
    file: Arc<File>,
    /// While a write hangs no other is begun: each would hold a thread.
    free: Arc<Semaphore>,
    threads: Threads,
}

impl Disk {
    fn open(data_dir: &Path, threads: Threads) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).write(true);
        let file = options.open(data_dir.join(FILE))?;
        Ok(Self {
            file: Arc::new(file),
            free: Arc::new(Semaphore::new(1)),
            threads,
        })
    }

    async fn touch(&self) -> io::Result<()> {
        let permit = Arc::clone(&self.free).acquire_owned().await;
        let permit = permit.map_err(io::Error::other)?;
        let file = Arc::clone(&self.file);
        let write = move || {
            let _permit = permit;
            file.write_all_at(&now_ms().to_be_bytes(), 0)?;
            file.sync_data()
        };
        match self.threads {
            Threads::Own => {
                let written = tokio::task::spawn_blocking(write).await;
                written.map_err(io::Error::other)?
            }
            Threads::Callers => write(),
        }
    }
}

/// What a renewal is made with.
pub(crate) struct Renewing {
    pub(crate) handle: Handle,
    pub(crate) registry: RaftRegistry,
    pub(crate) peers: Peers,
    pub(crate) terms: LeaseTerms,
    pub(crate) identity: Identity,
    pub(crate) reachability: Reachability,
    /// For the answer of another node.
    pub(crate) limit: Duration,
}

/// How this node renews its lease.
pub(crate) struct RaftLease {
    with: Renewing,
    disk: Disk,
}

impl RaftLease {
    /// Opens the file that is written before each renewal.
    pub(crate) fn open(with: Renewing, data_dir: &Path, threads: Threads) -> io::Result<Self> {
        let disk = Disk::open(data_dir, threads)?;
        Ok(Self { with, disk })
    }
}

#[async_trait]
impl LeasePort for RaftLease {
    async fn renew(&self) -> Result<(), RenewError> {
        let with = &self.with;
        let touched = self.disk.touch().await;
        touched.map_err(|error| unanswered(format!("this node's disk: {error}")))?;
        if with.handle.is_disk_full() {
            return Err(unanswered("this node's disk is full".to_owned()));
        }
        let endpoints = with.reachability.all().map(|(name, _)| name);
        let down = endpoints.filter(|name| with.reachability.is_down(name));
        let unreachable = down.map(str::to_owned).collect();
        let renewal = Renewal {
            node_id: with.registry.node_id(),
            boot_id: with.identity.boot_id(),
            unreachable,
        };
        match with.handle.leader() {
            None => Err(unanswered("no leader is known".to_owned())),
            Some(leader) if leader == with.registry.node_id() => with.terms.renew(renewal).await,
            Some(leader) => {
                let renewed = with.peers.renew_lease(leader, renewal, with.limit).await;
                renewed.map(|told| with.terms.note_told(told))
            }
        }
    }

    async fn rejoin(&self) -> Result<(), RenewError> {
        let with = &self.with;
        tokio::select! {
            rejoined = with.rejoin() => rejoined,
            () = with.identity.leaving() => Err(leaving()),
        }
    }
}

impl Renewing {
    async fn rejoin(&self) -> Result<(), RenewError> {
        // What is read here may be of before the operator removed this node.
        let read = self.registry.read_index().await;
        read.map_err(|error| unanswered(error.to_string()))?;
        if !self.is_registered() {
            // There is nothing to come back to, and asking again soon is of no use.
            sleep(REMOVED_PAUSE).await;
            return Err(unanswered(
                "the registry has this node no more: it is being removed, or has to be started anew"
                    .to_owned(),
            ));
        }
        if !self.identity.begin_anew() {
            return Err(leaving());
        }
        let registered = bootstrap::register_node(&self.registry, &self.identity).await;
        registered.map_err(|error| unanswered(error.to_string()))
    }

    fn is_registered(&self) -> bool {
        let NodeId(me) = self.registry.node_id();
        self.registry.nodes().iter().any(|node| node.node_id == me)
    }
}

fn leaving() -> RenewError {
    unanswered("this node is leaving".to_owned())
}

fn unanswered(reason: String) -> RenewError {
    RenewError::Unanswered { reason }
}

#[cfg(test)]
#[path = "lease_tests.rs"]
mod tests;

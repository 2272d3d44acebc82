//! The port by which this node's lease is renewed, over its disk and its peers.
//!
//! **Invariant:** a renewal is asked for only after this node's disk has taken a write: a node whose
//! disk hangs keeps no lease.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use libra_actors::lease::Renewal;
use libra_actors::ports::{LeasePort, RegistryPort, RenewError};
use libra_raft::Handle;
use tokio::sync::Semaphore;

use crate::adapters::RaftRegistry;
use crate::bootstrap::{self, Identity};
use crate::clock::now_ms;
use crate::peer::{LeaseTerms, Peers};
use crate::service::Reachability;

/// The file that is written before each renewal.
const FILE: &str = "lease";

/// Writes to the disk of the data directory, one write at a time.
#[derive(Debug, Clone)]
struct Disk {
    file: Arc<File>,
    /// While a write hangs no other is begun: each would hold a thread.
    free: Arc<Semaphore>,
}

impl Disk {
    fn open(data_dir: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).write(true);
        let file = options.open(data_dir.join(FILE))?;
        Ok(Self {
            file: Arc::new(file),
            free: Arc::new(Semaphore::new(1)),
        })
    }

    async fn touch(&self) -> io::Result<()> {
        let permit = Arc::clone(&self.free).acquire_owned().await;
        let permit = permit.map_err(io::Error::other)?;
        let file = Arc::clone(&self.file);
        let write = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            file.write_all_at(&now_ms().to_be_bytes(), 0)?;
            file.sync_data()
        });
        write.await.map_err(io::Error::other)?
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
    pub(crate) fn open(with: Renewing, data_dir: &Path) -> io::Result<Self> {
        let disk = Disk::open(data_dir)?;
        Ok(Self { with, disk })
    }
}

#[async_trait]
impl LeasePort for RaftLease {
    async fn renew(&self) -> Result<(), RenewError> {
        let with = &self.with;
        let touched = self.disk.touch().await;
        touched.map_err(|error| unanswered(format!("this node's disk: {error}")))?;
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
            Some(leader) => with.peers.renew_lease(leader, renewal, with.limit).await,
        }
    }

    async fn rejoin(&self) -> Result<(), RenewError> {
        let with = &self.with;
        with.identity.begin_anew();
        let registered = bootstrap::register_node(&with.registry, &with.identity).await;
        registered.map_err(|error| unanswered(error.to_string()))
    }
}

fn unanswered(reason: String) -> RenewError {
    RenewError::Unanswered { reason }
}

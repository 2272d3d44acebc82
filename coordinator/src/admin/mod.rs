//! The operator's gRPC service, `libra.admin.v1.Admin`, on every node alike.
//!
//! - `calls`: the service itself, one line per call. `call`: what every call brings. `elsewhere`:
//!   calls that another node answers. `problem`: what comes of one that fails, `reason`: why.
//! - `cluster`, `members`, `sessions`, `statements`, `pools`: what they are named after.
//! - `events`: the stream of events. `backup`: the file and how it is written; `restore`: back again.
//! - `diagnosis`, `settings`: what a node says about itself. `health`: the standard health service.
//!
//! **Invariant:** it decides nothing: a change goes to the registry or its group, which refuse what
//! cannot be; every change may be repeated, and every wait is bounded by its call.

mod backup;
mod call;
mod calls;
mod cluster;
mod convert;
mod diagnosis;
mod elsewhere;
mod events;
mod health;
mod members;
mod pools;
mod problem;
mod reason;
mod restore;
mod sessions;
mod settings;
mod statements;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use libra_actors::session::TaskPools;
use libra_proto::admin::admin_server::AdminServer;
use libra_proto::registry::{Rejection, Settings, applied, command};
use libra_proto::types::NodeId;
use libra_raft::Handle;
use libra_raft::registry::Registry;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::bootstrap::Identity;
use crate::clock::now_ms;
use crate::peer::{LeaseTerms, Peers};
use crate::service::{Consistency, Service};
pub use backup::{BackupReader, BackupSummary, MalformedBackup};
use call::Call;
pub(crate) use health::{say_not_ready, serve_health};
use problem::Problem;

/// How another node is asked.
type Client = libra_proto::admin::admin_client::AdminClient<tonic::transport::Channel>;

/// Streams of events at once on one node.
const WATCHERS_MOST: usize = 64;

/// What of this node's configuration is told.
#[derive(Debug, Clone)]
pub(crate) struct Facts {
    pub(crate) cluster_name: String,
    pub(crate) data_dir: PathBuf,
    /// The settings of its file, as it would seed them.
    pub(crate) configured: Settings,
    pub(crate) lease: Duration,
    /// A cluster of one needs no lease.
    pub(crate) alone: bool,
    /// The names of the Spark Connect endpoints.
    pub(crate) endpoints: Vec<String>,
}

/// What the service works with.
pub(crate) struct Parts {
    pub(crate) handle: Handle,
    pub(crate) service: Service,
    pub(crate) peers: Peers,
    pub(crate) terms: LeaseTerms,
    pub(crate) identity: Identity,
    pub(crate) task_pools: TaskPools,
    pub(crate) facts: Facts,
    /// The node's listeners close: streams end.
    pub(crate) closing: CancellationToken,
}

/// The service of one node; cheap to clone.
#[derive(Clone)]
pub(crate) struct AdminService {
    handle: Handle,
    service: Service,
    peers: Peers,
    terms: LeaseTerms,
    identity: Identity,
    task_pools: TaskPools,
    facts: Arc<Facts>,
    closing: CancellationToken,
    watchers: Arc<Semaphore>,
    started_at_ms: u64,
}

impl AdminService {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            handle: parts.handle,
            service: parts.service,
            peers: parts.peers,
            terms: parts.terms,
            identity: parts.identity,
            task_pools: parts.task_pools,
            facts: Arc::new(parts.facts),
            closing: parts.closing,
            watchers: Arc::new(Semaphore::new(WATCHERS_MOST)),
            started_at_ms: now_ms(),
        }
    }

    /// The service for a server of gRPC.
    pub(crate) fn into_server(self) -> AdminServer<Self> {
        AdminServer::new(self).max_decoding_message_size(restore::MESSAGE_BYTES_MOST)
    }

    fn this_node(&self) -> NodeId {
        self.peers.this_node()
    }

    fn view<T>(&self, read: impl FnOnce(&Registry) -> T) -> T {
        self.handle.view(read)
    }

    /// Makes sure that this node's registry holds everything that was acknowledged before.
    async fn catch_up(&self, call: &Call) -> Result<(), Problem> {
        let consistency = Consistency::Linearizable(call.patience());
        Ok(self.service.catch_up(consistency).await?)
    }

    /// Proposes a command, and tells a refusal apart.
    async fn propose(
        &self,
        call: &Call,
        kind: command::Kind,
    ) -> Result<Result<applied::Result, Rejection>, Problem> {
        Ok(self.service.propose_once(kind, call.patience()).await?)
    }

    /// Proposes a command whose refusal is the answer.
    async fn commit(&self, call: &Call, kind: command::Kind) -> Result<applied::Result, Problem> {
        let outcome = self.propose(call, kind).await?;
        outcome.map_err(|rejection| Problem::refused(&rejection))
    }
}

/// Whether the command changed something, where it says so.
fn changed(applied: &applied::Result) -> bool {
    match applied {
        applied::Result::Done(done) => done.changed,
        applied::Result::Session(_)
        | applied::Result::Submitted(_)
        | applied::Result::Statement(_)
        | applied::Result::Jobs(_)
        | applied::Result::Rejected(_)
        | applied::Result::Pool(_)
        | applied::Result::Settings(_)
        | applied::Result::Restored(_) => true,
    }
}

//! What the APIs call: statements, sessions, pools, the cluster, results. REST is its first user,
//! gRPC will be the next; it knows neither.
//!
//! Every read is linearizable unless the caller says `stale`; every write has been applied here
//! when it is answered; a caller waits at most until its [`Patience`] ends.
//!
//! **Invariant:** no state of its own that decides anything: what it answers comes from the
//! registry, the result store and the live board.

mod canonical;
mod cluster;
mod conf;
mod consensus;
mod endpoints;
mod error;
mod error_code;
mod health;
mod names;
mod options;
mod pools;
mod rejection;
mod results;
mod sessions;
mod snapshots;
mod statements;
mod submit;
mod waits;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

pub use canonical::body_hash;
pub use cluster::{ClusterSnapshot, NodeLoad, NodeRole, NodeSnapshot, NodeState, NodeWatch};
pub use conf::is_fixed_conf;
pub use consensus::{Consistency, Patience};
pub use endpoints::Reachability;
pub use error::{Allowed, FieldError, Limit, ServiceError};
pub use error_code::{ErrorCode, ErrorKind};
pub use health::{ComponentHealth, Health, HealthProbe};
pub use names::PoolName;
pub use options::ServiceOptions;
pub use pools::{PoolSettings, PoolSnapshot};
pub(crate) use rejection::refused;
pub use results::{OpenResult, ResultSummary, unreadable};
pub use sessions::{NewSession, SessionPage};
pub use snapshots::{SessionSnapshot, StatementSnapshot};
pub use statements::{StatementFilter, StatementPage};
pub use submit::{Submission, Submitted};
pub use waits::Waiter;

use crate::clock::CommandClock;
use crate::live::Live;
use crate::results::ResultStore;
use waits::Waits;

/// The service of one node; a handle, cheap to clone.
#[derive(Clone)]
pub struct Service {
    inner: Arc<Inner>,
}

struct Inner {
    raft: libra_raft::Handle,
    clock: CommandClock,
    results: ResultStore,
    live: Live,
    probes: Vec<Arc<dyn HealthProbe>>,
    options: ServiceOptions,
    waits: Waits,
    draining: CancellationToken,
    _pump: AbortOnDropHandle<()>,
}

impl Service {
    /// Starts the service of a node; runs on the present runtime. `probes` are the components
    /// that `/actuator/health` shows beside Raft.
    #[must_use]
    pub fn start(
        raft: libra_raft::Handle,
        results: ResultStore,
        live: Live,
        probes: Vec<Arc<dyn HealthProbe>>,
        options: ServiceOptions,
    ) -> Self {
        let waits = Waits::new(options.max_waiters);
        let pump = waits.clone().pump(raft.subscribe(), live.subscribe());
        let inner = Inner {
            raft,
            clock: CommandClock::new(),
            results,
            live,
            probes,
            options,
            waits,
            draining: CancellationToken::new(),
            _pump: AbortOnDropHandle::new(tokio::spawn(pump)),
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    /// How the service is set.
    #[must_use]
    pub fn options(&self) -> &ServiceOptions {
        &self.inner.options
    }

    /// From now on the node is not ready, and takes no new statements or sessions.
    pub fn drain(&self) {
        self.inner.draining.cancel();
    }

    /// Waits until [`Self::drain`] is called.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub async fn drained(&self) {
        self.inner.draining.cancelled().await;
    }

    fn refuse_while_draining(&self) -> Result<(), ServiceError> {
        if self.inner.draining.is_cancelled() {
            Err(ServiceError::Draining)
        } else {
            Ok(())
        }
    }
}

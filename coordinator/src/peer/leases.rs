//! Renewing a node's lease at the leader, from both sides.
//!
//! **Invariant:** the leader counts a renewal only after a quorum round that began after the request
//! had come in; whoever is not the leader counts none.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use libra_actors::lease::{DetectorHandle, Lease, LeaseView, Observed, Refusal, Renewal};
use libra_actors::ports::RenewError;
use libra_proto::peer::leases_client::LeasesClient;
use libra_proto::peer::leases_server::{Leases, LeasesServer};
use libra_proto::peer::{CutOff, RenewLeaseRequest, RenewLeaseResponse};
use libra_proto::registry::Unreachable;
use libra_proto::types::NodeId;
use libra_raft::Handle;
use tokio::time::{Instant, timeout};
use tonic::{Request, Response, Status};

use super::Peers;
use super::calls::Caller;
use crate::service::NodeWatch;

/// What this node decides renewals by, if it leads; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct LeaseTerms {
    handle: Handle,
    detector: Arc<OnceLock<DetectorHandle>>,
    lease: Arc<OnceLock<Lease>>,
    told: Arc<Mutex<Vec<Unreachable>>>,
}

impl LeaseTerms {
    /// Nothing is renewed before [`LeaseTerms::count_with`].
    pub(crate) fn new(handle: Handle) -> Self {
        Self {
            handle,
            detector: Arc::default(),
            lease: Arc::default(),
            told: Arc::default(),
        }
    }

    /// The detector of this node's actors, and their lease, once they run.
    pub(crate) fn count_with(&self, detector: DetectorHandle, lease: Lease) {
        // They are set once: actors are started once in the life of a process.
        let _ = self.detector.set(detector);
        let _ = self.lease.set(lease);
    }

    /// How this node's own lease is, where the actors run.
    pub(crate) fn lease(&self) -> Option<LeaseView> {
        self.lease.get().map(Lease::observe)
    }

    /// The detector, where the actors run.
    pub(crate) fn detector(&self) -> Option<&DetectorHandle> {
        self.detector.get()
    }

    /// Who has said that it does not reach which endpoint: as this node knows if it leads, else as
    /// the leader told it last.
    pub(crate) fn unreachable(&self) -> Vec<Unreachable> {
        let leads = self
            .detector()
            .filter(|detector| detector.observe().is_some());
        leads.map_or_else(|| self.told().clone(), DetectorHandle::unreachable)
    }

    /// Notes what the leader told.
    pub(crate) fn note_told(&self, unreachable: Vec<Unreachable>) {
        *self.told() = unreachable;
    }

    fn told(&self) -> MutexGuard<'_, Vec<Unreachable>> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews a lease, here.
    ///
    /// # Errors
    /// As [`libra_actors::ports::LeasePort::renew`].
    pub(crate) async fn renew(&self, renewal: Renewal) -> Result<(), RenewError> {
        let received = Instant::now();
        if self.handle.leadership().borrow().is_none() {
            return Err(unanswered(Refusal::NotLeading));
        }
        let detector = self.detector();
        let detector = detector.ok_or_else(|| unanswered("the leader only just starts"))?;
        self.handle.read_index().await.map_err(unanswered)?;
        match detector.renewed(renewal, received) {
            Ok(()) => Ok(()),
            Err(refusal @ Refusal::NotLeading) => Err(unanswered(refusal)),
            Err(refusal @ (Refusal::NotRegistered | Refusal::Over)) => Err(RenewError::Refused {
                reason: refusal.to_string(),
            }),
        }
    }
}

impl NodeWatch for LeaseTerms {
    fn observe(&self) -> Option<Vec<Observed>> {
        self.detector()?.observe()
    }
}

fn unanswered(reason: impl ToString) -> RenewError {
    RenewError::Unanswered {
        reason: reason.to_string(),
    }
}

/// What other nodes renew their leases at.
#[derive(Debug, Clone)]
pub(crate) struct LeaseService {
    caller: Caller,
    terms: LeaseTerms,
}

impl LeaseService {
    pub(crate) fn new(caller: Caller, terms: LeaseTerms) -> Self {
        Self { caller, terms }
    }

    /// The service for a server of gRPC.
    pub(crate) fn into_server(self) -> LeasesServer<Self> {
        LeasesServer::new(self)
    }
}

#[tonic::async_trait]
impl Leases for LeaseService {
    async fn renew_lease(
        &self,
        request: Request<RenewLeaseRequest>,
    ) -> Result<Response<RenewLeaseResponse>, Status> {
        let request = request.into_inner();
        let node_id = self.caller.check(request.call.as_ref())?;
        let renewal = Renewal {
            node_id,
            boot_id: request.boot_id,
            unreachable: request.unreachable.into_iter().collect(),
        };
        let refused = match self.terms.renew(renewal).await {
            Ok(()) => String::new(),
            Err(RenewError::Refused { reason }) => reason,
            Err(error @ RenewError::Unanswered { .. }) => {
                return Err(Status::unavailable(error.to_string()));
            }
        };
        let cut_off = self.terms.unreachable().into_iter().map(to_wire).collect();
        Ok(Response::new(RenewLeaseResponse { refused, cut_off }))
    }
}

impl Peers {
    /// Renews this node's lease at the node that leads; returns who does not reach which endpoint, as
    /// that one knows.
    ///
    /// # Errors
    /// As [`libra_actors::ports::LeasePort::renew`].
    ///
    /// # Cancel safety
    /// May be dropped: a renewal that was counted unseen does no harm.
    pub(crate) async fn renew_lease(
        &self,
        leader: NodeId,
        renewal: Renewal,
        limit: Duration,
    ) -> Result<Vec<Unreachable>, RenewError> {
        let channel = self.calls_channel(leader).map_err(unanswered)?;
        let request = RenewLeaseRequest {
            call: self.caller().call(leader),
            boot_id: renewal.boot_id,
            unreachable: renewal.unreachable.into_iter().collect(),
        };
        let mut client = LeasesClient::new(channel);
        let answered = timeout(limit, client.renew_lease(request)).await;
        let answered = answered.map_err(|_| unanswered(format!("no answer within {limit:?}")))?;
        let answer = answered.map_err(|status| unanswered(status.message()))?;
        let RenewLeaseResponse { refused, cut_off } = answer.into_inner();
        if refused.is_empty() {
            Ok(cut_off.into_iter().map(from_wire).collect())
        } else {
            Err(RenewError::Refused { reason: refused })
        }
    }
}

fn to_wire(pair: Unreachable) -> CutOff {
    CutOff {
        node_id: pair.node_id,
        endpoint: pair.endpoint,
    }
}

fn from_wire(pair: CutOff) -> Unreachable {
    Unreachable {
        node_id: pair.node_id,
        endpoint: pair.endpoint,
    }
}

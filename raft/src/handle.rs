//! The one way into the registry: propose, read, subscribe.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use libra_proto::registry::{Applied, Command};
use libra_proto::types::NodeId;
use openraft::ReadPolicy;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ClientWriteError, ForwardToLeader, LinearizableReadError, RaftError};
use prost::Message;
use tokio::time::{Instant, sleep, timeout_at};

use crate::error::{ProposeError, ReadError};
use crate::feed::ChangeFeed;
use crate::metrics::{Status, failure};
use crate::registry::Registry;
use crate::store::marker::Marker;
use crate::store::space::Space;
use crate::store::state_machine::Shared;
use crate::store::stats::LogStats;
use crate::type_config::{LogId, Proposal, Raft, RaftMetrics, TypeConfig};

/// Between two attempts while nobody leads; an election takes some hundred milliseconds.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// A cheap way to a running node; all clones lead to the same one.
#[derive(Clone)]
pub struct Handle {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) raft: Raft,
    pub(crate) shared: Arc<Shared>,
    pub(crate) marker: Arc<Marker>,
    pub(crate) space: Arc<Space>,
    pub(crate) stats: Arc<LogStats>,
    pub(crate) stopping: AtomicBool,
    pub(crate) limit: Duration,
    pub(crate) max_command_bytes: usize,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// What one attempt at leading came to, if it was no answer.
enum Detour {
    /// Somebody else leads.
    Elsewhere(NodeId),
    /// Nobody leads, or this node only just does: try again.
    Again,
}

impl Handle {
    pub(crate) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Proposes a command and waits until it is applied here. While nobody leads it tries again
    /// within the node's limit. The caller sets the command's time and proposer.
    ///
    /// # Errors
    /// See [`ProposeError`]; [`ProposeError::outcome`] says whether it may be proposed again.
    ///
    /// # Cancel safety
    /// When the future is dropped the outcome is unknown: the command may be applied yet.
    pub async fn propose(&self, command: Command) -> Result<Applied, ProposeError> {
        self.check_acceptable(&command)?;
        let proposal = Proposal(Arc::new(command));
        let deadline = Instant::now() + self.inner.limit;
        loop {
            // openraft's futures are large, and callers keep this one in theirs.
            let attempt = Box::pin(self.inner.raft.client_write(proposal.clone()));
            let detour = match timeout_at(deadline, attempt).await {
                Err(_elapsed) => {
                    let reason = format!("no answer within {:?}", self.inner.limit);
                    return Err(ProposeError::Unknown { reason });
                }
                Ok(Ok(written)) => return applied(written.data),
                Ok(Err(RaftError::APIError(error))) => self.detour_of_write(error)?,
                Ok(Err(RaftError::Fatal(error))) => {
                    let reason = error.to_string();
                    return Err(ProposeError::Unknown { reason });
                }
            };
            match detour {
                Detour::Elsewhere(leader) => {
                    let leader = Some(leader);
                    return Err(ProposeError::NotLeader { leader });
                }
                Detour::Again if Instant::now() + RETRY_PAUSE < deadline => {
                    sleep(RETRY_PAUSE).await;
                    self.check_running()?;
                }
                Detour::Again => return Err(ProposeError::NotLeader { leader: None }),
            }
        }
    }

    fn check_acceptable(&self, command: &Command) -> Result<(), ProposeError> {
        self.check_running()?;
        let (bytes, limit) = (command.encoded_len(), self.inner.max_command_bytes);
        if bytes > limit {
            return Err(ProposeError::TooLarge { bytes, limit });
        }
        let space = &self.inner.space;
        if space.is_full() {
            return Err(ProposeError::DiskFull {
                path: space.data_dir().to_owned(),
                free_bytes: space.free(),
                needed_bytes: space.policy().min_free_bytes,
            });
        }
        Ok(())
    }

    fn check_running(&self) -> Result<(), ProposeError> {
        if self.is_stopped() {
            return Err(ProposeError::Stopped);
        }
        Ok(())
    }

    fn detour_of_write(&self, error: ClientWriteError<TypeConfig>) -> Result<Detour, ProposeError> {
        match error {
            // Refused before anything was appended.
            ClientWriteError::ForwardToLeader(forward) => Ok(self.detour(&forward)),
            error @ (ClientWriteError::LogEntryDiscarded(_)
            | ClientWriteError::ChangeMembershipError(_)
            | ClientWriteError::PreconditionFailed(_)) => Err(ProposeError::Unknown {
                reason: error.to_string(),
            }),
        }
    }

    /// Returns once the registry here has everything that was committed before the call, and the
    /// index that it has reached at least.
    ///
    /// # Errors
    /// See [`ReadError`]: never an old state as a new one.
    ///
    /// # Cancel safety
    /// Nothing happens when the future is dropped.
    pub async fn read_index(&self) -> Result<u64, ReadError> {
        let limit = self.inner.limit;
        let deadline = Instant::now() + limit;
        loop {
            if self.is_stopped() {
                return Err(ReadError::Stopped);
            }
            let attempt = self.inner.raft.get_read_linearizer(ReadPolicy::ReadIndex);
            let detour = match timeout_at(deadline, Box::pin(attempt)).await {
                Err(_elapsed) => return Err(ReadError::TimedOut { limit }),
                Ok(Ok(linearizer)) => {
                    let index = linearizer.read_log_id().index();
                    return self.wait_applied_by(index, deadline).await.map(|()| index);
                }
                Ok(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(forward)))) => {
                    self.detour(&forward)
                }
                Ok(Err(RaftError::APIError(LinearizableReadError::QuorumNotEnough(_)))) => {
                    Detour::Again
                }
                Ok(Err(RaftError::Fatal(_))) => return Err(ReadError::Stopped),
            };
            match detour {
                Detour::Elsewhere(leader) => {
                    let leader = Some(leader);
                    return Err(ReadError::NotLeader { leader });
                }
                Detour::Again if Instant::now() + RETRY_PAUSE < deadline => {
                    sleep(RETRY_PAUSE).await;
                }
                Detour::Again => return Err(ReadError::TimedOut { limit }),
            }
        }
    }

    /// Waits until the registry here is applied up to `index`, within the node's limit.
    ///
    /// # Errors
    /// [`ReadError::TimedOut`] or [`ReadError::Stopped`].
    ///
    /// # Cancel safety
    /// Nothing happens when the future is dropped.
    pub async fn wait_applied(&self, index: u64) -> Result<(), ReadError> {
        self.wait_applied_by(index, Instant::now() + self.inner.limit)
            .await
    }

    async fn wait_applied_by(&self, index: u64, deadline: Instant) -> Result<(), ReadError> {
        let limit = self.inner.limit;
        let mut applied = self.inner.shared.watch_applied();
        match timeout_at(deadline, applied.wait_for(|next| *next > index)).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(ReadError::Stopped),
            Err(_elapsed) => Err(ReadError::TimedOut { limit }),
        }
    }

    fn detour(&self, forward: &ForwardToLeader<TypeConfig>) -> Detour {
        match forward.leader_id {
            Some(id) if id != *self.inner.raft.node_id() => Detour::Elsewhere(NodeId(id)),
            Some(_) | None => Detour::Again,
        }
    }

    /// Reads the registry as it is applied here, which may be behind; see [`Handle::read_index`].
    /// Applying waits for `read`, so it must be short.
    pub fn view<T>(&self, read: impl FnOnce(&Registry) -> T) -> T {
        self.inner.shared.view(read)
    }

    /// Subscribes to changes from now on.
    #[must_use]
    pub fn subscribe(&self) -> ChangeFeed {
        self.inner.shared.publisher().subscribe()
    }

    /// How the node is.
    #[must_use]
    pub fn status(&self) -> Status {
        let inner = &*self.inner;
        let metrics = inner.raft.metrics();
        let metrics = metrics.borrow_watched();
        let index = |id: Option<LogId>| id.map_or(0, |id| id.index);
        Status {
            node_id: NodeId(metrics.id),
            leader: metrics.current_leader.map(NodeId),
            term: metrics.current_term,
            role: metrics.state.into(),
            last_log_index: metrics.last_log_index.unwrap_or(0),
            applied_index: self.view(Registry::applied_index),
            durable_index: inner.marker.durable().saturating_sub(1),
            snapshot_index: index(metrics.snapshot),
            purged_index: index(metrics.purged),
            log_bytes: inner.stats.bytes(),
            syncs: inner.stats.syncs(),
            disk_free_bytes: inner.space.free(),
            disk_full: inner.space.is_full(),
            store_uuid: inner.marker.content().store_uuid,
            failure: failure(&metrics),
        }
    }

    /// Waits until a leader is known; none if that takes longer than `limit`, or the node stops.
    ///
    /// # Cancel safety
    /// Nothing happens when the future is dropped.
    pub async fn wait_leader(&self, limit: Duration) -> Option<NodeId> {
        let has_leader = |metrics: &RaftMetrics| metrics.current_leader.is_some();
        let wait = self.inner.raft.wait(Some(limit));
        let metrics = Box::pin(wait.metrics(has_leader, "a leader is known")).await;
        metrics.ok()?.current_leader.map(NodeId)
    }

    fn is_stopped(&self) -> bool {
        self.inner.stopping.load(Ordering::Acquire)
            || self
                .inner
                .raft
                .metrics()
                .borrow_watched()
                .running_state
                .is_err()
    }
}

fn applied(data: Option<Box<Applied>>) -> Result<Applied, ProposeError> {
    data.map(|applied| *applied)
        .ok_or_else(|| ProposeError::Unknown {
            reason: "the entry carried no command".to_owned(),
        })
}

//! Changing the group: nodes come as learners, get a vote, and go.
//!
//! **Invariant:** every change may be asked for again: a group that is as asked for already is left
//! alone. Only the leader changes anything, one change at a time.

use std::time::Duration;

use libra_proto::raft::{self as wire, change_members_request};
use libra_proto::types::NodeId;
use tokio::time::Instant;

use super::{Handle, Inner, pause};
use crate::error::ChangeError;
use crate::network::forward::{self, Asked};

/// A learner that was far behind needs a while until it may vote.
const CHANGE_LIMIT: Duration = Duration::from_secs(30);

/// A change of the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    AddLearner { node_id: NodeId, address: String },
    Promote { node_id: NodeId },
    Remove { node_id: NodeId },
    TransferLeader { node_id: NodeId },
}

impl Change {
    fn to_wire(&self) -> change_members_request::Change {
        use change_members_request::Change as Wire;
        match self {
            Self::AddLearner { node_id, address } => Wire::AddLearner(wire::AddLearner {
                node_id: node_id.0,
                address: address.clone(),
            }),
            Self::Promote { node_id } => Wire::Promote(node_id.0),
            Self::Remove { node_id } => Wire::Remove(node_id.0),
            Self::TransferLeader { node_id } => Wire::TransferLeader(node_id.0),
        }
    }

    pub(crate) fn from_wire(change: change_members_request::Change) -> Self {
        use change_members_request::Change as Wire;
        match change {
            Wire::AddLearner(add) => Self::AddLearner {
                node_id: NodeId(add.node_id),
                address: add.address,
            },
            Wire::Promote(id) => Self::Promote {
                node_id: NodeId(id),
            },
            Wire::Remove(id) => Self::Remove {
                node_id: NodeId(id),
            },
            Wire::TransferLeader(id) => Self::TransferLeader {
                node_id: NodeId(id),
            },
        }
    }
}

impl Handle {
    /// Adds a node that runs at `address` and whose store is empty: it is sent the log, and has no
    /// vote yet. Done already when it is in the group with that store.
    ///
    /// # Errors
    /// [`ChangeError::Refused`] for an id or an address that another node has, a node of another
    /// cluster, a store that is not empty; [`ChangeError::TimedOut`] when the node or the leader
    /// cannot be reached.
    ///
    /// # Cancel safety
    /// It may happen yet when the future is dropped, and may be asked for again.
    pub async fn add_learner(
        &self,
        node_id: NodeId,
        address: impl Into<String>,
    ) -> Result<(), ChangeError> {
        let address = address.into();
        self.change(&Change::AddLearner { node_id, address }).await
    }

    /// Gives a learner a vote once it has caught up.
    ///
    /// # Errors
    /// [`ChangeError::Refused`] for a node that is not in the group; [`ChangeError::TimedOut`].
    ///
    /// # Cancel safety
    /// As [`Handle::add_learner`].
    pub async fn promote(&self, node_id: NodeId) -> Result<(), ChangeError> {
        self.change(&Change::Promote { node_id }).await
    }

    /// Takes a node out of the group, with its vote; a leader hands over first. Done already when it
    /// is not in the group.
    ///
    /// # Errors
    /// [`ChangeError::Refused`] for the last voter; [`ChangeError::TimedOut`].
    ///
    /// # Cancel safety
    /// As [`Handle::add_learner`].
    pub async fn remove(&self, node_id: NodeId) -> Result<(), ChangeError> {
        self.change(&Change::Remove { node_id }).await
    }

    /// Hands leadership to a voter.
    ///
    /// # Errors
    /// [`ChangeError::Refused`] for a node without a vote; [`ChangeError::TimedOut`] when it did not
    /// take over.
    ///
    /// # Cancel safety
    /// As [`Handle::add_learner`].
    pub async fn transfer_leader(&self, node_id: NodeId) -> Result<(), ChangeError> {
        self.change(&Change::TransferLeader { node_id }).await
    }

    /// Asks the leader, again and again, until it is done, refused, or too late; then waits until
    /// the group is so here too.
    async fn change(&self, change: &Change) -> Result<(), ChangeError> {
        let inner = &*self.inner;
        let limit = CHANGE_LIMIT;
        let deadline = Instant::now() + limit;
        loop {
            if inner.is_stopped() {
                return Err(ChangeError::Stopped);
            }
            let asked = match inner.other_leader() {
                Some(leader) => {
                    let asked =
                        forward::change_members(&inner.peers, leader, change.to_wire(), deadline);
                    Box::pin(asked).await
                }
                None => Box::pin(inner.change_here(change, deadline)).await,
            };
            let reason = match asked {
                Asked::Done { index } => {
                    // Where it has been removed it never gets to know.
                    let _ = inner
                        .wait_applied_by(index, Instant::now() + inner.lease)
                        .await;
                    return Ok(());
                }
                Asked::Refused { reason } => return Err(ChangeError::Refused { reason }),
                Asked::NotLeading => "no leader could be asked".to_owned(),
                Asked::Later { reason } => reason,
            };
            if !pause(deadline).await {
                return Err(ChangeError::TimedOut { limit, reason });
            }
        }
    }
}

impl Inner {
    /// Changes the group if this node leads it.
    pub(crate) async fn change_here(&self, change: &Change, deadline: Instant) -> Asked {
        if let Change::Promote { node_id } = change
            && let Some(asked) = self.wait_caught_up(*node_id, deadline).await
        {
            return asked;
        }
        let Ok(_changing) = tokio::time::timeout_at(deadline, self.changing.lock()).await else {
            let reason = "another change is under way".to_owned();
            return Asked::Later { reason };
        };
        match change {
            Change::AddLearner { node_id, address } => {
                self.add_learner_here(*node_id, address).await
            }
            Change::Promote { node_id } => self.promote_here(*node_id, deadline).await,
            Change::Remove { node_id } => self.remove_here(*node_id, deadline).await,
            Change::TransferLeader { node_id } => self.transfer_here(*node_id, deadline).await,
        }
    }
}

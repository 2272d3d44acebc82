//! Changes of the group, by the leader.

use std::collections::{BTreeMap, BTreeSet};

use libra_proto::types::NodeId;
use openraft::async_runtime::WatchReceiver;
use openraft::errors::{ChangeMembershipError, ClientWriteError, RaftError};
use tokio::time::{Instant, timeout_at};

use crate::handle::Inner;
use crate::network::forward::Asked;
use crate::type_config::{ChangeMembers, Peer, RaftMetrics};

/// A learner this close to the leader's log gets its vote: what is missing comes while the change
/// is being committed.
const CAUGHT_UP: u64 = 200;

fn refused(reason: impl Into<String>) -> Asked {
    Asked::Refused {
        reason: reason.into(),
    }
}

fn later(reason: impl Into<String>) -> Asked {
    Asked::Later {
        reason: reason.into(),
    }
}

/// The voter that has most of the log, this node aside.
fn successor(metrics: &RaftMetrics) -> Option<u64> {
    let matched = |id: &u64| metrics.replication.as_ref()?.get(id).copied().flatten();
    let voters = metrics.membership_config.voter_ids();
    voters
        .filter(|id| *id != metrics.id)
        .max_by_key(|id| matched(id).map(|id| id.index))
}

/// Whether a member has (almost) all of the leader's log.
pub(super) fn has_caught_up(metrics: &RaftMetrics, node_id: u64) -> bool {
    let matched = metrics
        .replication
        .as_ref()
        .and_then(|map| map.get(&node_id).copied().flatten());
    let last = metrics.last_log_index.unwrap_or(0);
    matched.is_some_and(|id| id.index + CAUGHT_UP >= last)
}

impl Inner {
    pub(crate) fn metrics(&self) -> RaftMetrics {
        self.raft.metrics().borrow_watched().clone()
    }

    pub(crate) fn has_vote(&self, node_id: NodeId) -> bool {
        let metrics = self.raft.metrics();
        let metrics = metrics.borrow_watched();
        metrics
            .membership_config
            .voter_ids()
            .any(|id| id == node_id.0)
    }

    fn unchanged(metrics: &RaftMetrics) -> Asked {
        let log_id = metrics.membership_config.log_id();
        Asked::Done {
            index: log_id.map_or(0, |id| id.index),
        }
    }

    /// Commits one change.
    pub(super) async fn commit_change(
        &self,
        change: ChangeMembers,
        retain: bool,
        deadline: Instant,
    ) -> Asked {
        let changing = Box::pin(self.raft.change_membership(change, retain));
        match timeout_at(deadline, changing).await {
            Ok(Ok(response)) => Asked::Done {
                index: response.log_id.index,
            },
            Ok(Err(RaftError::APIError(error))) => match error {
                ClientWriteError::ForwardToLeader(_) => Asked::NotLeading,
                ClientWriteError::ChangeMembershipError(
                    ChangeMembershipError::EmptyMembership(_)
                    | ChangeMembershipError::LearnerNotFound(_)
                    | ChangeMembershipError::UnsupportedMembershipTransition(_)
                    | ChangeMembershipError::NodeMetadataChanged(_),
                ) => refused(error.to_string()),
                ClientWriteError::ChangeMembershipError(
                    ChangeMembershipError::InProgress(_)
                    | ChangeMembershipError::UncommittedLeaderLog(_),
                )
                | ClientWriteError::LogEntryDiscarded(_)
                | ClientWriteError::PreconditionFailed(_) => later(error.to_string()),
            },
            Ok(Err(RaftError::Fatal(error))) => later(error.to_string()),
            Err(_elapsed) => later("no quorum in time"),
        }
    }

    /// Waits until a learner has caught up; otherwise, what there is to answer.
    pub(crate) async fn wait_caught_up(&self, node_id: NodeId, deadline: Instant) -> Option<Asked> {
        let mut watch = self.raft.metrics();
        loop {
            let metrics = watch.borrow_watched().clone();
            if metrics.current_leader != Some(metrics.id) {
                return Some(Asked::NotLeading);
            }
            let membership = metrics.membership_config.membership();
            if membership.get_node(&node_id.0).is_none() {
                return Some(refused(format!("node {node_id} is not in the group")));
            }
            if membership.voter_ids().any(|id| id == node_id.0) {
                return Some(Self::unchanged(&metrics));
            }
            if has_caught_up(&metrics, node_id.0) {
                return None;
            }
            match timeout_at(deadline, watch.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Some(later("the registry is stopped")),
                Err(_elapsed) => return Some(later(format!("node {node_id} has not caught up"))),
            }
        }
    }

    pub(crate) async fn promote_here(&self, node_id: NodeId, deadline: Instant) -> Asked {
        let voter = ChangeMembers::AddVoterIds(BTreeSet::from([node_id.0]));
        self.commit_change(voter, true, deadline).await
    }

    pub(crate) async fn remove_here(&self, node_id: NodeId, deadline: Instant) -> Asked {
        let metrics = self.metrics();
        if metrics.current_leader != Some(metrics.id) {
            return Asked::NotLeading;
        }
        let membership = metrics.membership_config.membership();
        if membership.get_node(&node_id.0).is_none() {
            return Self::unchanged(&metrics);
        }
        let voters: BTreeSet<u64> = membership.voter_ids().collect();
        if !voters.contains(&node_id.0) {
            let learner = ChangeMembers::RemoveNodes(BTreeSet::from([node_id.0]));
            return self.commit_change(learner, false, deadline).await;
        }
        if voters.len() == 1 {
            return refused(format!("node {node_id} has the only vote of its group"));
        }
        if node_id == self.me() {
            // The one that takes over does it.
            return match successor(&metrics) {
                Some(next) => match self.transfer_here(NodeId(next), deadline).await {
                    Asked::Done { .. } => Asked::NotLeading,
                    asked @ (Asked::NotLeading | Asked::Refused { .. } | Asked::Later { .. }) => {
                        asked
                    }
                },
                None => later("nobody can take over"),
            };
        }
        let voter = ChangeMembers::RemoveVoters(BTreeSet::from([node_id.0]));
        self.commit_change(voter, false, deadline).await
    }

    pub(crate) async fn transfer_here(&self, node_id: NodeId, deadline: Instant) -> Asked {
        let mut watch = self.raft.metrics();
        let metrics = watch.borrow_watched().clone();
        if metrics.current_leader != Some(metrics.id) {
            return Asked::NotLeading;
        }
        if node_id == self.me() {
            return Self::unchanged(&metrics);
        }
        if !metrics
            .membership_config
            .voter_ids()
            .any(|id| id == node_id.0)
        {
            return refused(format!("node {node_id} has no vote"));
        }
        if self
            .raft
            .trigger()
            .transfer_leader(node_id.0)
            .await
            .is_err()
        {
            return later("the registry is stopped");
        }
        let deadline = deadline.min(Instant::now() + self.lease * 2);
        loop {
            let metrics = watch.borrow_watched().clone();
            if metrics.current_leader == Some(node_id.0) {
                return Self::unchanged(&metrics);
            }
            match timeout_at(deadline, watch.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return later("the registry is stopped"),
                Err(_elapsed) => return later(format!("node {node_id} has not taken over")),
            }
        }
    }

    /// Takes out a member whose store is gone, and lets in the one that has its id now.
    pub(super) async fn replace(&self, node_id: u64, peer: Peer, deadline: Instant) -> Asked {
        match self.remove_here(NodeId(node_id), deadline).await {
            Asked::Done { .. } => self.add(node_id, peer, deadline).await,
            asked @ (Asked::NotLeading | Asked::Refused { .. } | Asked::Later { .. }) => asked,
        }
    }

    pub(super) async fn add(&self, node_id: u64, peer: Peer, deadline: Instant) -> Asked {
        let learner = ChangeMembers::AddNodes(BTreeMap::from([(node_id, peer)]));
        self.commit_change(learner, true, deadline).await
    }

    /// Notes another address (or, for the first time, the store) of a member.
    pub(super) async fn readdress(&self, node_id: u64, peer: Peer, deadline: Instant) -> Asked {
        let moved = ChangeMembers::SetNodes(BTreeMap::from([(node_id, peer)]));
        self.commit_change(moved, true, deadline).await
    }
}

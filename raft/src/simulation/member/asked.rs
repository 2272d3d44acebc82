//! What a member is asked: by its peers, and by this node as the leader.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use libra_proto::registry::{Applied, Command};
use openraft::ReadPolicy;
use openraft::errors::{ClientWriteError, LinearizableReadError, RaftError};
use openraft::impls::ProgressResponder;
use openraft::raft::AppendEntriesResponse;

use super::super::carrier::{Request, Response};
use super::super::{Answer, Message, Runtime};
use super::{Member, peer};
use crate::store::snapshot_file::SnapshotFile;
use crate::type_config::{ChangeMembers, CommittedLeaderId, Proposal, Snapshot};

/// What became of a write.
#[derive(Debug)]
pub enum Write {
    /// Applied here, at that index.
    Applied(Box<Applied>, u64),
    /// Nothing was appended: this node does not lead, or no quorum answers it.
    NotLeading,
    /// It may have been applied, or may be yet.
    Unknown(String),
}

impl Member {
    /// A message of openraft's has arrived; nothing when it is refused unseen.
    pub async fn deliver(&self, message: Message) -> Option<Answer> {
        let inner = &*self.0;
        let answer = match message.0 {
            Request::Append(append) => {
                let answer = Box::pin(inner.raft.append_entries(append)).await.ok()?;
                match &answer {
                    AppendEntriesResponse::HigherVote(_) => {}
                    AppendEntriesResponse::Success
                    | AppendEntriesResponse::PartialSuccess(_)
                    | AppendEntriesResponse::Conflict => {
                        inner.heard_ms.store(inner.now_ms(), Ordering::Relaxed);
                    }
                }
                Response::Append(answer)
            }
            Request::Vote(vote) => {
                inner.votes_yet().then_some(())?;
                Response::Vote(Box::pin(inner.raft.vote(vote)).await.ok()?)
            }
            Request::PreVote(vote) => {
                inner.votes_yet().then_some(())?;
                Response::Vote(Box::pin(inner.raft.pre_vote(vote)).await.ok()?)
            }
            Request::Snapshot { vote, meta, file } => {
                let path = inner.snapshots.temporary();
                std::fs::write(&path, &*file).ok()?;
                let snapshot = Snapshot {
                    meta: meta.clone(),
                    snapshot: SnapshotFile {
                        path: path.clone(),
                        meta,
                    },
                };
                let installed = Box::pin(inner.raft.install_full_snapshot(vote, snapshot)).await;
                // Whatever came of it, it was a copy.
                let _ = std::fs::remove_file(&path);
                Response::Snapshot(installed.ok()?)
            }
            Request::Transfer(transfer) => {
                let term = transfer.from_leader().leader_id.term;
                inner.succession.note_hand_over(term + 1);
                let answer = Box::pin(inner.raft.handle_transfer_leader(transfer)).await;
                Response::Transfer(answer.ok()?)
            }
        };
        Some(Answer(answer))
    }

    /// Writes as the leader, as production's `Inner::write`.
    pub async fn write(&self, command: Command, limit: Duration) -> Write {
        let inner = &*self.0;
        if inner.named_leader() == Some(inner.me) && self.leader().is_none() {
            // Alone: it would not be known for long what becomes of it.
            return Write::NotLeading;
        }
        let proposal = Proposal(Arc::new(command));
        let attempt = Box::pin(inner.raft.client_write(proposal));
        match Runtime::within(limit, attempt).await {
            None => Write::Unknown(format!("no answer within {limit:?}")),
            Some(Ok(written)) => answered(written.data, written.log_id.index),
            Some(Err(RaftError::APIError(ClientWriteError::ForwardToLeader(_)))) => {
                Write::NotLeading
            }
            Some(Err(error)) => Write::Unknown(error.to_string()),
        }
    }

    /// Writes a command of the leader's role in that term, or not at all.
    pub async fn write_as_leader(&self, term: u64, command: Command, limit: Duration) -> Write {
        let command = Command {
            leader_term: term,
            ..command
        };
        let (responder, answer) = ProgressResponder::complete_only();
        let write = self.0.raft.write(Proposal(Arc::new(command)));
        let write = write
            .with_leader(CommittedLeaderId::new(term))
            .responder(responder);
        let written = async {
            write.await.map_err(|error| error.to_string())?;
            answer
                .await
                .map_err(|_| "the registry has stopped".to_owned())
        };
        match Runtime::within(limit, Box::pin(written)).await {
            None => Write::Unknown(format!("no answer within {limit:?}")),
            Some(Err(reason)) => Write::Unknown(reason),
            Some(Ok(Ok(written))) => answered(written.data, written.log_id.index),
            Some(Ok(Err(ClientWriteError::ForwardToLeader(_)))) => Write::NotLeading,
            Some(Ok(Err(error))) => Write::Unknown(error.to_string()),
        }
    }

    /// The read index, if a quorum says that this node leads.
    pub async fn read_here(&self, limit: Duration) -> Option<u64> {
        let attempt = Box::pin(self.0.raft.get_read_linearizer(ReadPolicy::ReadIndex));
        match Runtime::within(limit, attempt).await? {
            Ok(linearizer) => Some(linearizer.read_log_id().index()),
            Err(
                RaftError::APIError(
                    LinearizableReadError::ForwardToLeader(_)
                    | LinearizableReadError::QuorumNotEnough(_),
                )
                | RaftError::Fatal(_),
            ) => None,
        }
    }

    /// Changes the group as the leader: takes `node` in with a vote, or out.
    pub async fn change(&self, node: u64, is_in: bool, limit: Duration) -> Result<(), String> {
        let raft = &self.0.raft;
        let changing = async {
            if is_in {
                let learner = ChangeMembers::AddNodes(BTreeMap::from([(node, peer(node))]));
                let added = Box::pin(raft.change_membership(learner, true)).await;
                added.map_err(|error| error.to_string())?;
                let voter = ChangeMembers::AddVoterIds(BTreeSet::from([node]));
                let promoted = Box::pin(raft.change_membership(voter, true)).await;
                promoted.map(drop).map_err(|error| error.to_string())
            } else {
                let gone = ChangeMembers::RemoveVoters(BTreeSet::from([node]));
                let removed = Box::pin(raft.change_membership(gone, false)).await;
                removed.map(drop).map_err(|error| error.to_string())
            }
        };
        let changed = Runtime::within(limit, Box::pin(changing)).await;
        changed.unwrap_or_else(|| Err("not in time".to_owned()))
    }

    /// Asks the leader to hand over to `node`; refused, as in production, if that has no vote:
    /// openraft would wait for it for ever.
    pub async fn hand_over(&self, node: u64) {
        if !self.status().voters.contains(&node) {
            return;
        }
        // An error only says that Raft has stopped.
        let _ = self.0.raft.trigger().transfer_leader(node).await;
    }
}

fn answered(data: Option<Box<Applied>>, index: u64) -> Write {
    match data {
        Some(applied) => Write::Applied(applied, index),
        None => Write::Unknown("the entry carried no command".to_owned()),
    }
}

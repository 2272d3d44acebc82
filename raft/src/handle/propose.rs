//! Proposing: here if this node leads, else at the leader.

use std::sync::Arc;

use libra_proto::registry::{Applied, Command};
use libra_proto::trace;
use libra_proto::types::NodeId;
use openraft::errors::{ClientWriteError, RaftError};
use openraft::impls::ProgressResponder;
use prost::Message;
use tokio::time::{Instant, timeout_at};
use tracing::field::Empty;
use tracing::{Instrument as _, Span};

use super::{Attempt, Handle, Inner, pause};
use crate::error::ProposeError;
use crate::network::forward;
use crate::type_config::{self, CommittedLeaderId, Proposal};

/// What a command came to, and at which index of the log.
pub(crate) type Written = (Applied, u64);

impl Handle {
    /// Proposes a command, to the leader if that is another node, and waits until it is applied
    /// here: what it did can be read at once. While nobody leads, or the leader cannot be reached, it
    /// tries again within the node's limit. The caller sets the command's time and proposer.
    ///
    /// # Errors
    /// See [`ProposeError`]; [`ProposeError::outcome`] says whether it may be proposed again. A
    /// leader that was sent the command and did not answer makes it unknown.
    ///
    /// # Cancel safety
    /// When the future is dropped the outcome is unknown: the command may be applied yet.
    pub async fn propose(&self, command: Command) -> Result<Applied, ProposeError> {
        let deadline = Instant::now() + self.inner.limit;
        self.propose_by(command, deadline).await
    }

    /// As [`Handle::propose`], until `deadline`: an outcome is called unknown only if the command
    /// was sent, which whoever just drops the future cannot tell.
    ///
    /// # Errors
    /// As [`Handle::propose`].
    ///
    /// # Cancel safety
    /// As [`Handle::propose`].
    pub async fn propose_by(
        &self,
        command: Command,
        deadline: Instant,
    ) -> Result<Applied, ProposeError> {
        let inner = &*self.inner;
        inner.check_acceptable(&command)?;
        let command = Arc::new(command);
        loop {
            let leader = inner.other_leader();
            let attempt = match leader {
                Some(leader) => {
                    let span = trace::child(|| forward_span(leader));
                    let asked = forward::propose(&inner.peers, leader, &command, deadline);
                    Box::pin(asked.instrument(span)).await?
                }
                None => inner.write(&command, deadline).await?,
            };
            match attempt {
                Attempt::Answer((applied, index)) => {
                    let span = trace::child(|| apply_span(index));
                    let here = inner.wait_applied_by(index, deadline);
                    return match here.instrument(span).await {
                        Ok(()) => Ok(applied),
                        Err(error) => Err(ProposeError::Unknown {
                            reason: format!("applied by the leader, and not yet here: {error}"),
                        }),
                    };
                }
                Attempt::NotLeading(_) if pause(deadline).await => inner.check_running()?,
                Attempt::NotLeading(elsewhere) => {
                    let leader = elsewhere.or(leader);
                    return Err(ProposeError::NotLeader { leader });
                }
            }
        }
    }

    /// Proposes a command of the leader's role: it is appended in `term` by this node or not at all,
    /// and counts in no other. Never passed on, never tried again.
    ///
    /// # Errors
    /// [`ProposeError::NotLeader`] when this node does not lead that term (any more); otherwise as
    /// [`Handle::propose`].
    ///
    /// # Cancel safety
    /// As [`Handle::propose`].
    pub async fn propose_as_leader(
        &self,
        term: u64,
        mut command: Command,
    ) -> Result<Applied, ProposeError> {
        let inner = &*self.inner;
        command.leader_term = term;
        inner.check_acceptable(&command)?;
        let deadline = Instant::now() + inner.limit;
        let (responder, answer) = ProgressResponder::complete_only();
        let write = inner
            .raft
            .write(Proposal(Arc::new(command)))
            .with_leader(CommittedLeaderId::new(term))
            .responder(responder);
        let written = async {
            write.await.map_err(|error| unknown(&error))?;
            answer.await.map_err(|_closed| ProposeError::Unknown {
                reason: "the registry has stopped".to_owned(),
            })
        };
        let span = trace::child(commit_span);
        let written = timeout_at(deadline, Box::pin(written)).instrument(span.clone());
        match written.await.map_err(|_elapsed| inner.too_late())?? {
            Ok(written) => {
                note_log_id(&span, written.log_id.index, term);
                applied(written.data)
            }
            Err(error) => match inner.detour_of_write(error)? {
                Attempt::Answer(never) => match never {},
                Attempt::NotLeading(leader) => Err(ProposeError::NotLeader { leader }),
            },
        }
    }
}

/// What a refusal never is.
pub(crate) enum Never {}

impl Inner {
    /// Proposes for another node: answers only what this node does as the leader.
    pub(crate) async fn propose_for(
        &self,
        command: Command,
        deadline: Instant,
    ) -> Result<Attempt<Written>, ProposeError> {
        self.check_acceptable(&command)?;
        let command = Arc::new(command);
        loop {
            match self.write(&command, deadline).await? {
                // Only just elected, or just not any more: it will be known soon.
                Attempt::NotLeading(None) if self.leads() && pause(deadline).await => {
                    self.check_running()?;
                }
                attempt @ (Attempt::Answer(_) | Attempt::NotLeading(_)) => return Ok(attempt),
            }
        }
    }

    fn leads(&self) -> bool {
        self.named_leader() == Some(self.me())
    }

    /// Whether it leads, and no quorum has answered it within its lease.
    fn is_alone(&self) -> bool {
        self.leads() && self.leader().is_none()
    }

    /// One attempt to write as the leader. Without a quorum behind it nothing is appended: it would
    /// not be known for long what becomes of it.
    async fn write(
        &self,
        command: &Arc<Command>,
        deadline: Instant,
    ) -> Result<Attempt<Written>, ProposeError> {
        if self.is_alone() {
            return Ok(Attempt::NotLeading(None));
        }
        // openraft's futures are large, and callers keep this one in theirs.
        let attempt = Box::pin(self.raft.client_write(Proposal(Arc::clone(command))));
        let span = trace::child(commit_span);
        let written = timeout_at(deadline, attempt).instrument(span.clone());
        match written.await {
            Err(_elapsed) => Err(self.too_late()),
            Ok(Ok(written)) => {
                let index = written.log_id.index;
                note_log_id(&span, index, written.log_id.committed_leader_id().term);
                applied(written.data).map(|applied| Attempt::Answer((applied, index)))
            }
            Ok(Err(RaftError::APIError(error))) => match self.detour_of_write(error)? {
                Attempt::Answer(never) => match never {},
                Attempt::NotLeading(leader) => Ok(Attempt::NotLeading(leader)),
            },
            Ok(Err(RaftError::Fatal(error))) => Err(unknown(&error)),
        }
    }

    fn too_late(&self) -> ProposeError {
        ProposeError::Unknown {
            reason: format!("no answer within {:?}", self.limit),
        }
    }

    fn check_acceptable(&self, command: &Command) -> Result<(), ProposeError> {
        self.check_running()?;
        let (bytes, limit) = (command.encoded_len(), self.max_command_bytes);
        if bytes > limit {
            return Err(ProposeError::TooLarge { bytes, limit });
        }
        let space = &self.space;
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

    fn detour_of_write(
        &self,
        error: type_config::ClientWriteError,
    ) -> Result<Attempt<Never>, ProposeError> {
        match error {
            // Refused before anything was appended.
            ClientWriteError::ForwardToLeader(forward) => Ok(self.detour(&forward)),
            ClientWriteError::LogEntryDiscarded(_)
            | ClientWriteError::ChangeMembershipError(_)
            | ClientWriteError::PreconditionFailed(_) => Err(unknown(&error)),
        }
    }
}

/// The way to the leader and back.
fn forward_span(leader: NodeId) -> Span {
    tracing::debug_span!(target: trace::TARGET, "raft.forward", otel.kind = "client", node_id = leader.0)
}

/// From appending to being applied at the leader.
fn commit_span() -> Span {
    tracing::debug_span!(target: trace::TARGET, "raft.commit", log_index = Empty, term = Empty)
}

/// Until it is applied here too.
fn apply_span(index: u64) -> Span {
    tracing::debug_span!(target: trace::TARGET, "raft.apply", log_index = index)
}

fn note_log_id(span: &Span, index: u64, term: u64) {
    span.record("log_index", index);
    span.record("term", term);
}

fn unknown(error: &impl ToString) -> ProposeError {
    ProposeError::Unknown {
        reason: error.to_string(),
    }
}

fn applied(data: Option<Box<Applied>>) -> Result<Applied, ProposeError> {
    data.map(|applied| *applied)
        .ok_or_else(|| ProposeError::Unknown {
            reason: "the entry carried no command".to_owned(),
        })
}

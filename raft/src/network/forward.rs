//! What a node asks another: the leader to propose, to read, to change the group; any to say who it
//! is.
//!
//! **Invariant:** nothing is sent twice. What may have reached the leader and was not answered is
//! unknown, never "not done".

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use libra_proto::raft as wire;
use libra_proto::registry::{Applied, Command};
use libra_proto::trace;
use libra_proto::types::NodeId;
use prost::Message;
use tokio::time::{Instant, timeout, timeout_at};
use tonic::{Code, ConnectError, Request, Status};

use super::peers::{Lane, Peers};
use crate::error::ProposeError;
use crate::handle::Attempt;

/// Whether a failed request surely had no effect: nobody was reached, or who was had nothing to do
/// with it.
fn had_no_effect(status: &Status) -> bool {
    if status.code() == Code::FailedPrecondition {
        return true;
    }
    let mut source = status.source();
    while let Some(error) = source {
        if error.is::<ConnectError>() {
            return true;
        }
        source = error.source();
    }
    false
}

fn timeout_ms(deadline: Instant) -> u32 {
    let left = deadline.saturating_duration_since(Instant::now());
    u32::try_from(left.as_millis()).unwrap_or(u32::MAX)
}

fn leader_of(not_leader: &wire::NotLeader) -> Option<NodeId> {
    (not_leader.leader != 0).then_some(NodeId(not_leader.leader))
}

fn unknown(reason: impl Into<String>) -> ProposeError {
    ProposeError::Unknown {
        reason: reason.into(),
    }
}

/// Has the leader propose a command.
pub(crate) async fn propose(
    peers: &Peers,
    leader: NodeId,
    command: &Arc<Command>,
    deadline: Instant,
) -> Result<Attempt<(Applied, u64)>, ProposeError> {
    let Ok((mut client, envelope)) = peers.member(leader.0, Lane::Requests) else {
        return Ok(Attempt::NotLeading(None));
    };
    let mut request = Request::new(wire::ProposeRequest {
        envelope: Some(envelope),
        hops: 0,
        command: command.encode_to_vec(),
        timeout_ms: timeout_ms(deadline),
    });
    trace::inject(request.metadata_mut());
    match timeout_at(deadline, client.propose(request)).await {
        Ok(Ok(response)) => proposed(response.into_inner()),
        Ok(Err(status)) if had_no_effect(&status) => Ok(Attempt::NotLeading(None)),
        Ok(Err(status)) => Err(unknown(format!(
            "node {leader} did not answer: {}: {}",
            status.code(),
            status.message()
        ))),
        Err(_elapsed) => Err(unknown(format!("node {leader} did not answer in time"))),
    }
}

fn proposed(response: wire::ProposeResponse) -> Result<Attempt<(Applied, u64)>, ProposeError> {
    use wire::propose_response::Result as Answer;
    match response.result {
        Some(Answer::Proposed(proposed)) => match Applied::decode(proposed.applied.as_slice()) {
            Ok(applied) => Ok(Attempt::Answer((applied, proposed.index))),
            Err(error) => Err(unknown(format!("the leader's answer: {error}"))),
        },
        Some(Answer::NotLeader(not_leader)) => Ok(Attempt::NotLeading(leader_of(&not_leader))),
        Some(Answer::Stopped(wire::Stopped {})) => Ok(Attempt::NotLeading(None)),
        Some(Answer::Unknown(reason)) => Err(unknown(reason)),
        Some(Answer::TooLarge(too_large)) => Err(ProposeError::TooLarge {
            bytes: usize::try_from(too_large.bytes).unwrap_or(usize::MAX),
            limit: usize::try_from(too_large.limit).unwrap_or(usize::MAX),
        }),
        Some(Answer::DiskFull(full)) => Err(ProposeError::DiskFull {
            path: full.path.into(),
            free_bytes: full.free_bytes,
            needed_bytes: full.needed_bytes,
        }),
        None => Err(unknown("the leader's answer is of a newer version")),
    }
}

/// The read index as the leader knows it; none when it gave none.
pub(crate) async fn read_index(peers: &Peers, leader: u64, patience: Duration) -> Option<u64> {
    use wire::read_index_response::Result as Answer;
    let (mut client, envelope) = peers.member(leader, Lane::Requests).ok()?;
    let request = wire::ReadIndexRequest {
        envelope: Some(envelope),
        timeout_ms: timeout_ms(Instant::now() + patience),
    };
    let answer = timeout(patience, client.read_index(request)).await.ok()?;
    match answer.ok()?.into_inner().result? {
        Answer::Index(index) => Some(index),
        Answer::NotLeader(_) | Answer::TimedOut(_) | Answer::Stopped(_) => None,
    }
}

/// What came of asking the leader to change the group.
#[derive(Debug)]
pub(crate) enum Asked {
    Done { index: u64 },
    NotLeading,
    Refused { reason: String },
    Later { reason: String },
}

/// Has the leader change the group.
pub(crate) async fn change_members(
    peers: &Peers,
    leader: NodeId,
    change: wire::change_members_request::Change,
    deadline: Instant,
) -> Asked {
    use wire::change_members_response::Result as Answer;
    let Ok((mut client, envelope)) = peers.member(leader.0, Lane::Requests) else {
        return Asked::NotLeading;
    };
    let request = wire::ChangeMembersRequest {
        envelope: Some(envelope),
        hops: 0,
        timeout_ms: timeout_ms(deadline),
        change: Some(change),
    };
    let answer = match timeout_at(deadline, client.change_members(request)).await {
        Ok(Ok(response)) => response.into_inner().result,
        Ok(Err(status)) => {
            let reason = format!("node {leader}: {}: {}", status.code(), status.message());
            return Asked::Later { reason };
        }
        Err(_elapsed) => {
            let reason = format!("node {leader} did not answer in time");
            return Asked::Later { reason };
        }
    };
    match answer {
        Some(Answer::Index(index)) => Asked::Done { index },
        Some(Answer::NotLeader(_)) => Asked::NotLeading,
        Some(Answer::Refused(reason)) => Asked::Refused { reason },
        Some(Answer::Later(reason)) => Asked::Later { reason },
        None => Asked::Later {
            reason: "the leader's answer is of a newer version".to_owned(),
        },
    }
}

/// Asks whoever is at an address who it is.
pub(crate) async fn hello(
    peers: &Peers,
    address: &str,
    request: wire::HelloRequest,
    patience: Duration,
) -> Result<wire::HelloResponse, String> {
    let mut client = peers
        .at(address, Lane::Requests)
        .map_err(|error| error.to_string())?;
    match timeout(patience, client.hello(request)).await {
        Ok(Ok(response)) => Ok(response.into_inner()),
        Ok(Err(status)) => Err(status.message().to_owned()),
        Err(_elapsed) => Err(format!("no answer within {patience:?}")),
    }
}

/// Asks whoever is at an address to be let into its group.
pub(crate) async fn join(
    peers: &Peers,
    address: &str,
    request: wire::JoinRequest,
    patience: Duration,
) -> Result<wire::join_response::Result, String> {
    let mut client = peers
        .at(address, Lane::Requests)
        .map_err(|error| error.to_string())?;
    match timeout(patience, client.join(request)).await {
        Ok(Ok(response)) => response
            .into_inner()
            .result
            .ok_or_else(|| "an answer of a newer version".to_owned()),
        Ok(Err(status)) => Err(status.message().to_owned()),
        Err(_elapsed) => Err(format!("no answer within {patience:?}")),
    }
}

//! openraft's messages as prost messages, and back. Entries, votes and memberships look as they do
//! on disk ([`crate::store::codec`]).

use libra_proto::raft as wire;
use openraft::raft::StreamAppendError;

use crate::store::codec::{
    Damage, entry_from_message, entry_to_disk, log_id_from_disk, log_id_to_disk, vote_from_disk,
    vote_to_disk,
};
use crate::type_config::{
    AppendRequest, LogId, StreamAppendResult, TransferLeaderRequest, Vote, VoteRequest,
    VoteResponse,
};

/// What a message lacks, or has that it must not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    #[error("a message without {field}")]
    Missing { field: &'static str },
    #[error("a message with a damaged entry")]
    Entry(#[from] Damage),
}

fn missing(field: &'static str) -> Malformed {
    Malformed::Missing { field }
}

pub(crate) fn vote_from(vote: Option<&wire::Vote>) -> Result<Vote, Malformed> {
    vote.map(vote_from_disk).ok_or_else(|| missing("vote"))
}

fn id_to(id: Option<LogId>) -> Option<wire::LogId> {
    id.as_ref().map(log_id_to_disk)
}

fn id_from(id: Option<&wire::LogId>) -> Option<LogId> {
    id.map(log_id_from_disk)
}

pub(crate) fn append_to(
    request: &AppendRequest,
    envelope: Option<wire::Envelope>,
) -> wire::AppendRequest {
    wire::AppendRequest {
        envelope,
        vote: Some(vote_to_disk(&request.vote)),
        prev_log_id: id_to(request.prev_log_id),
        entries: request.entries.iter().map(entry_to_disk).collect(),
        leader_commit: id_to(request.leader_commit),
    }
}

pub(crate) fn append_from(request: wire::AppendRequest) -> Result<AppendRequest, Malformed> {
    let first = request.prev_log_id.as_ref().map_or(0, |id| id.index + 1);
    let entries = (first..)
        .zip(request.entries)
        .map(|(index, entry)| entry_from_message(index, entry))
        .collect::<Result<_, _>>()?;
    Ok(AppendRequest {
        vote: vote_from(request.vote.as_ref())?,
        prev_log_id: id_from(request.prev_log_id.as_ref()),
        entries,
        leader_commit: id_from(request.leader_commit.as_ref()),
    })
}

pub(crate) fn appended_to(result: &StreamAppendResult) -> wire::AppendResponse {
    use wire::append_response::Result as Answer;
    let answer = match result {
        Ok(log_id) => Answer::Matched(wire::Matched {
            log_id: id_to(*log_id),
        }),
        Err(StreamAppendError::Conflict(log_id)) => Answer::Conflict(log_id_to_disk(log_id)),
        Err(StreamAppendError::HigherVote(vote)) => Answer::HigherVote(vote_to_disk(vote)),
    };
    wire::AppendResponse {
        result: Some(answer),
    }
}

pub(crate) fn appended_from(
    response: &wire::AppendResponse,
) -> Result<StreamAppendResult, Malformed> {
    use wire::append_response::Result as Answer;
    match &response.result {
        Some(Answer::Matched(matched)) => Ok(Ok(id_from(matched.log_id.as_ref()))),
        Some(Answer::Conflict(id)) => Ok(Err(StreamAppendError::Conflict(log_id_from_disk(id)))),
        Some(Answer::HigherVote(vote)) => {
            Ok(Err(StreamAppendError::HigherVote(vote_from_disk(vote))))
        }
        None => Err(missing("result")),
    }
}

pub(crate) fn vote_request_to(
    request: &VoteRequest,
    pre_vote: bool,
    envelope: wire::Envelope,
) -> wire::VoteRequest {
    wire::VoteRequest {
        envelope: Some(envelope),
        vote: Some(vote_to_disk(&request.vote)),
        last_log_id: id_to(request.last_log_id),
        leadership_transfer: request.leadership_transfer,
        pre_vote,
    }
}

pub(crate) fn vote_request_from(request: &wire::VoteRequest) -> Result<VoteRequest, Malformed> {
    let vote = vote_from(request.vote.as_ref())?;
    let mut asked = VoteRequest::new(vote, id_from(request.last_log_id.as_ref()));
    asked.leadership_transfer = request.leadership_transfer;
    Ok(asked)
}

pub(crate) fn vote_response_to(response: &VoteResponse) -> wire::VoteResponse {
    wire::VoteResponse {
        vote: Some(vote_to_disk(&response.vote)),
        granted: response.vote_granted,
        last_log_id: id_to(response.last_log_id),
    }
}

pub(crate) fn vote_response_from(response: &wire::VoteResponse) -> Result<VoteResponse, Malformed> {
    let vote = vote_from(response.vote.as_ref())?;
    let last_log_id = id_from(response.last_log_id.as_ref());
    Ok(VoteResponse::new(vote, last_log_id, response.granted))
}

pub(crate) fn transfer_to(
    request: &TransferLeaderRequest,
    envelope: wire::Envelope,
) -> wire::TransferLeaderRequest {
    wire::TransferLeaderRequest {
        envelope: Some(envelope),
        from_leader: Some(vote_to_disk(request.from_leader())),
        to_node: *request.to_node_id(),
        last_log_id: id_to(request.last_log_id().copied()),
    }
}

pub(crate) fn transfer_from(
    request: &wire::TransferLeaderRequest,
) -> Result<TransferLeaderRequest, Malformed> {
    let vote = vote_from(request.from_leader.as_ref())?;
    let last_log_id = id_from(request.last_log_id.as_ref());
    Ok(TransferLeaderRequest::new(
        vote,
        request.to_node,
        last_log_id,
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use libra_proto::registry::Command;
    use openraft::entry::RaftEntry;
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::type_config::{Entry, Proposal, log_id, vote};

    fn log_ids() -> impl Strategy<Value = Option<LogId>> {
        proptest::option::of((1..9_u64, 0..99_u64).prop_map(|(term, index)| log_id(term, index)))
    }

    fn votes() -> impl Strategy<Value = Vote> {
        (0..9_u64, 1..4_u64, any::<bool>()).prop_map(|(term, node, done)| vote(term, node, done))
    }

    proptest! {
        #[test]
        fn appends_read_back(
            vote in votes(),
            prev_log_id in log_ids(),
            leader_commit in log_ids(),
            times in proptest::collection::vec(any::<u64>(), 0..5),
        ) {
            let first = prev_log_id.map_or(0, |id| id.index + 1);
            let entry = |(index, proposed_at_ms)| {
                let command = Command { proposed_at_ms, ..Command::default() };
                Entry::new_normal(log_id(3, index), Proposal(Arc::new(command)))
            };
            let entries: Vec<_> = (first..).zip(times).map(entry).collect();
            let request = AppendRequest { vote, prev_log_id, entries, leader_commit };
            let bytes = append_to(&request, None).encode_to_vec();
            let read = append_from(wire::AppendRequest::decode(bytes.as_slice()).unwrap()).unwrap();
            prop_assert_eq!(read.vote, request.vote);
            prop_assert_eq!(read.prev_log_id, request.prev_log_id);
            prop_assert_eq!(read.leader_commit, request.leader_commit);
            prop_assert_eq!(read.entries, request.entries);
        }

        #[test]
        fn answers_read_back(vote in votes(), id in log_ids(), granted in any::<bool>()) {
            let conflict = id.map(|id| Err(StreamAppendError::Conflict(id)));
            let results = [Some(Ok(id)), conflict, Some(Err(StreamAppendError::HigherVote(vote)))];
            for result in results.into_iter().flatten() {
                prop_assert_eq!(appended_from(&appended_to(&result)), Ok(result));
            }
            let response = VoteResponse::new(vote, id, granted);
            prop_assert_eq!(vote_response_from(&vote_response_to(&response)), Ok(response));
            let request = VoteRequest::new(vote, id);
            let sent = vote_request_to(&request, true, wire::Envelope::default());
            prop_assert_eq!(vote_request_from(&sent), Ok(request));
        }
    }

    #[test]
    fn entries_that_do_not_follow_each_other_are_refused() {
        let entry = Entry::new_blank(log_id(1, 7));
        let request = wire::AppendRequest {
            vote: Some(vote_to_disk(&vote(1, 1, true))),
            entries: vec![entry_to_disk(&entry)],
            ..wire::AppendRequest::default()
        };
        let error = append_from(request).unwrap_err();
        assert!(matches!(error, Malformed::Entry(_)), "{error}");
        let empty = append_from(wire::AppendRequest::default()).unwrap_err();
        assert_eq!(empty, Malformed::Missing { field: "vote" });
    }
}

//! Sessions: list, show, move, close.

use std::collections::BTreeMap;

use libra_proto::admin::{
    CloseSessionRequest, CloseSessionResponse, GetSessionRequest, GetSessionResponse,
    ListSessionsRequest, ListSessionsResponse, MoveSessionRequest, MoveSessionResponse,
    RebalanceSessionsRequest, RebalanceSessionsResponse, Session, SessionMove, SessionState,
};
use libra_proto::registry::{
    MoveSession, RejectionCode, SessionRecord, Unreachable, applied, command,
};
use libra_proto::types::{NodeId, SessionId};
use libra_raft::registry::Registry;

use super::AdminService;
use super::call::Call;
use super::convert;
use super::problem::Problem;
use super::reason::Reason;
use super::statements::{page_size, pages};

/// A session that moves all the time is left where it is.
const MOVE_ATTEMPTS: usize = 5;
const ACTIVE_SHOWN: usize = 100;

impl AdminService {
    pub(super) async fn answer_list_sessions(
        &self,
        call: &Call,
        asked: ListSessionsRequest,
    ) -> Result<ListSessionsResponse, Problem> {
        let limit = page_size(asked.limit)?;
        let after = match asked.after.as_str() {
            "" => None,
            id => Some(id_of("after", id)?),
        };
        let states = states_of(&asked.states)?;
        self.catch_up(call).await?;
        Ok(self.view(|registry| {
            let all = |after: Option<&SessionId>| {
                registry
                    .sessions_after(after)
                    .map(|record| (record, convert::session(registry, record)))
                    .filter(|(record, session)| fits(&asked, &states, record, session))
                    .map(|(_, session)| session)
                    .collect::<Vec<_>>()
            };
            let total = all(None).len() as u64;
            let (sessions, more) = pages(all(after.as_ref()).into_iter(), limit);
            let last = sessions.last().map(|session| session.session_id.clone());
            ListSessionsResponse {
                next: last.filter(|_| more).unwrap_or_default(),
                sessions,
                total,
            }
        }))
    }

    pub(super) async fn answer_get_session(
        &self,
        call: &Call,
        asked: GetSessionRequest,
    ) -> Result<GetSessionResponse, Problem> {
        let id = id_of("session_id", &asked.session_id)?;
        self.catch_up(call).await?;
        let found = self.view(|registry| {
            let record = registry.session(&id)?;
            let active = registry.active_of(&id).take(ACTIVE_SHOWN);
            Some(GetSessionResponse {
                session: Some(convert::session(registry, record)),
                active_statements: active
                    .map(|record| self.shown_in_list(registry, record))
                    .collect(),
            })
        });
        found.ok_or_else(|| not_found(&id))
    }

    pub(super) async fn answer_close_session(
        &self,
        call: &Call,
        asked: CloseSessionRequest,
    ) -> Result<CloseSessionResponse, Problem> {
        let id = id_of("session_id", &asked.session_id)?;
        self.service.close_session(&id, call.patience()).await?;
        let session = Some(self.shown_session(&id)?);
        Ok(CloseSessionResponse { session })
    }

    pub(super) async fn answer_move_session(
        &self,
        call: &Call,
        asked: MoveSessionRequest,
    ) -> Result<MoveSessionResponse, Problem> {
        let id = id_of("session_id", &asked.session_id)?;
        self.catch_up(call).await?;
        let mut last = None;
        for _ in 0..MOVE_ATTEMPTS {
            let (from, present) = self.owner(&id)?;
            let epoch = if asked.epoch == 0 {
                present
            } else {
                asked.epoch
            };
            match self.give(call, &id, epoch, asked.to_node).await? {
                Ok(record) => {
                    return Ok(MoveSessionResponse {
                        moved: record.epoch > epoch,
                        session: Some(self.shown_session(&id)?),
                        from_node: from.0,
                    });
                }
                Err(rejection)
                    if asked.epoch == 0 && rejection.code() == RejectionCode::StaleEpoch =>
                {
                    last = Some(rejection);
                }
                Err(rejection) => return Err(Problem::refused(&rejection)),
            }
        }
        let moves_on = || Problem::new(Reason::StaleEpoch, format!("session `{id}` moves on"));
        Err(last.map_or_else(moves_on, |rejection| Problem::refused(&rejection)))
    }

    async fn give(
        &self,
        call: &Call,
        id: &SessionId,
        epoch: u64,
        to_node: u64,
    ) -> Result<Result<SessionRecord, libra_proto::registry::Rejection>, Problem> {
        let give = MoveSession {
            session_id: id.to_string(),
            epoch,
            to_node,
            unreachable: self.terms.unreachable(),
            not_stored: 0,
        };
        match self.propose(call, command::Kind::MoveSession(give)).await? {
            Ok(applied::Result::Session(record)) => Ok(Ok(record)),
            Ok(_) => Err(Problem::new(
                Reason::Internal,
                "a session was moved, but not answered",
            )),
            Err(rejection) => Ok(Err(rejection)),
        }
    }

    pub(super) async fn answer_rebalance_sessions(
        &self,
        call: &Call,
        asked: RebalanceSessionsRequest,
    ) -> Result<RebalanceSessionsResponse, Problem> {
        let limit = page_size(asked.limit)?;
        self.catch_up(call).await?;
        let mut moves = Vec::new();
        // What was refused is left where it is: each look leaves it out.
        let mut left_out = Vec::new();
        while moves.len() < limit {
            let unreachable = self.terms.unreachable();
            let next = self.view(|registry| next_move(registry, &unreachable, &left_out));
            let Some(next) = next else { break };
            match self.give(call, &next.id, next.epoch, next.to.0).await? {
                Ok(record) => moves.push(SessionMove {
                    session_id: next.id.to_string(),
                    from_node: next.from.0,
                    to_node: record.owner_node,
                    epoch: record.epoch,
                }),
                Err(_) => left_out.push(next.id),
            }
            if left_out.len() > limit {
                break;
            }
        }
        Ok(RebalanceSessionsResponse { moves })
    }

    fn owner(&self, id: &SessionId) -> Result<(NodeId, u64), Problem> {
        let found = self.view(|registry| {
            let session = registry.session(id)?;
            Some((NodeId(session.owner_node), session.epoch))
        });
        found.ok_or_else(|| not_found(id))
    }

    fn shown_session(&self, id: &SessionId) -> Result<Session, Problem> {
        let found = self.view(|registry| {
            let record = registry.session(id)?;
            Some(convert::session(registry, record))
        });
        found.ok_or_else(|| not_found(id))
    }
}

/// A move that evens things out.
struct Next {
    id: SessionId,
    epoch: u64,
    from: NodeId,
    to: NodeId,
}

/// From the node with the most sessions to the one with the fewest, ties by id; a session whose Spark
/// is not reached there stays, and others are tried.
fn next_move(
    registry: &Registry,
    unreachable: &[Unreachable],
    left_out: &[SessionId],
) -> Option<Next> {
    let up = registry.up_nodes().map(|node| NodeId(node.node_id));
    let load: BTreeMap<NodeId, usize> = up.map(|id| (id, registry.session_load(id))).collect();
    let mut pairs: Vec<(NodeId, NodeId)> = Vec::new();
    for (from, most) in &load {
        let fewer = load.iter().filter(|(_, fewest)| **fewest + 1 < *most);
        pairs.extend(fewer.map(|(to, _)| (*from, *to)));
    }
    let gain = |(from, to): &(NodeId, NodeId)| load[from] - load[to];
    pairs.sort_by_key(|pair| (std::cmp::Reverse(gain(pair)), *pair));
    pairs.into_iter().find_map(|(from, to)| {
        let reaches = |session: &SessionRecord| {
            let mut pairs = unreachable.iter();
            !pairs.any(|pair| pair.node_id == to.0 && pair.endpoint == session.endpoint)
        };
        let mut sessions = registry.sessions_owned_by(from).filter(|s| reaches(s));
        sessions.find_map(|session| {
            let id: SessionId = session.session_id.parse().ok()?;
            let epoch = session.epoch;
            (!left_out.contains(&id)).then_some(Next {
                id,
                epoch,
                from,
                to,
            })
        })
    })
}

fn fits(
    asked: &ListSessionsRequest,
    states: &[SessionState],
    record: &SessionRecord,
    session: &Session,
) -> bool {
    (states.is_empty() || states.contains(&session.state()))
        && (asked.owner_node == 0 || asked.owner_node == record.owner_node)
        && (asked.user.is_empty() || asked.user == record.user)
        && (asked.endpoint.is_empty() || asked.endpoint == record.endpoint)
}

fn states_of(states: &[i32]) -> Result<Vec<SessionState>, Problem> {
    let state = |number: &i32| {
        SessionState::try_from(*number)
            .ok()
            .filter(|state| *state != SessionState::Unspecified)
            .ok_or_else(|| Problem::invalid("states", number, "a state of a session"))
    };
    states.iter().map(state).collect()
}

pub(super) fn id_of(field: &str, id: &str) -> Result<SessionId, Problem> {
    id.parse()
        .map_err(|error: libra_proto::types::InvalidId| Problem::invalid(field, id, error.allowed))
}

fn not_found(id: &SessionId) -> Problem {
    let message = format!("there is no session `{id}`");
    Problem::new(Reason::SessionNotFound, message).with("session_id", id)
}

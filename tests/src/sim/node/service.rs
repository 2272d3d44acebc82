//! What clients are answered, as production's `coordinator::service`.

use std::time::Duration;

use libra_proto::registry::{
    Cancel, CreateSession, Rejection, RejectionCode, StatementRecord, StatementState, Submit,
    applied, command,
};
use libra_proto::types::{JobId, SessionId};
use libra_raft::simulation::Runtime;

use super::Node;
use super::registry::Proposed;
use super::results::has_result;
use crate::sim::disk::{Stored, from_inline};
use crate::sim::spark::ENDPOINT;

/// How long a request waits for the registry.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long one holder is waited for.
const HOLDER_LIMIT: Duration = Duration::from_millis(500);
/// Between two attempts at a proposal.
const RETRY: Duration = Duration::from_millis(25);

/// Why a request was not answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// 503: no leader, nothing was done.
    NoLeader,
    /// 503: perhaps it was done.
    Unknown,
    /// Refused for good.
    Rejected(RejectionCode),
    /// 404.
    NotFound,
    /// The result cannot be had now.
    NoResult,
}

/// A statement that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Its id.
    pub job: u64,
    /// How it stood.
    pub state: StatementState,
    /// It had been accepted before.
    pub replayed: bool,
}

/// A statement, as it was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Seen {
    /// The statement.
    pub statement: StatementRecord,
}

fn refused(rejection: &Rejection) -> Refused {
    match rejection.code() {
        RejectionCode::UnknownJob => Refused::NotFound,
        code => Refused::Rejected(code),
    }
}

impl Node {
    /// Proposes until it is known what became of it, or patience ends.
    async fn commit(&self, kind: command::Kind) -> Result<applied::Result, Refused> {
        let until = Runtime::now() + PATIENCE;
        let request_id = match &kind {
            // It shows by its operation id whether it was applied before.
            command::Kind::Submit(_) => Vec::new(),
            _ => self.0.dice.uuid().into_bytes()[..16].to_vec(),
        };
        while self.member().and_then(|member| member.leader()).is_none() {
            if Runtime::now() >= until {
                return Err(Refused::NoLeader);
            }
            Runtime::pause(RETRY).await;
        }
        loop {
            let left = until.saturating_sub(Runtime::now());
            let proposed = self.propose_within(kind.clone(), request_id.clone(), left);
            match proposed.await {
                Proposed::Applied(result) => return Ok(*result),
                Proposed::Rejected(rejection) => return Err(refused(&rejection)),
                Proposed::Unknown(_) => {
                    if Runtime::now() + RETRY >= until {
                        return Err(Refused::Unknown);
                    }
                    Runtime::pause(RETRY).await;
                }
            }
        }
    }

    /// Accepts a statement: durable, and visible everywhere, when this returns.
    pub async fn submit(
        self,
        session: String,
        code: String,
        pool: &'static str,
        timeout_ms: u64,
        key: String,
    ) -> Result<Accepted, Refused> {
        let submit = Submit {
            user: "somebody".to_owned(),
            pool: pool.to_owned(),
            kind: "sql".to_owned(),
            operation_id: self.0.dice.uuid(),
            timeout_ms,
            idempotency_body_hash: code.clone().into_bytes(),
            idempotency_key: key,
            create_if_missing: Some(CreateSession {
                session_id: session.clone(),
                user: "somebody".to_owned(),
                endpoint: ENDPOINT.to_owned(),
                owner_node: 0,
                spark_session_id: self.0.dice.uuid(),
                reopen: true,
                ..CreateSession::default()
            }),
            session_id: session,
            code,
            ..Submit::default()
        };
        match self.commit(command::Kind::Submit(submit)).await? {
            applied::Result::Submitted(submitted) => {
                let record = submitted.statement.unwrap_or_default();
                let here = self
                    .view(|registry| registry.statement(JobId(record.job)).map(|s| s.state()))
                    .flatten();
                Ok(Accepted {
                    job: record.job,
                    state: here.ok_or(Refused::NotFound)?,
                    replayed: submitted.replayed,
                })
            }
            _ => Err(Refused::Unknown),
        }
    }

    /// One statement, with everything that was acknowledged before.
    pub async fn read(self, job: u64) -> Result<Seen, Refused> {
        let reached = Runtime::within(PATIENCE, Box::pin(self.read_index())).await;
        reached.flatten().ok_or(Refused::NoLeader)?;
        let found = self.view(|registry| registry.statement(JobId(job)).cloned());
        let statement = found.flatten().ok_or(Refused::NotFound)?;
        Ok(Seen {
            statement: (*statement).clone(),
        })
    }

    /// The ids of all statements.
    pub async fn list(self) -> Result<Vec<u64>, Refused> {
        let reached = Runtime::within(PATIENCE, Box::pin(self.read_index())).await;
        reached.flatten().ok_or(Refused::NoLeader)?;
        let listed = self.view(|registry| {
            let all = registry.statements_before(None, None);
            all.map(|statement| statement.job).collect()
        });
        listed.ok_or(Refused::NoLeader)
    }

    /// Asks for a statement's end; answers with how it stands, and whether that was asked for while
    /// it had not ended.
    pub async fn cancel(self, job: u64) -> Result<Seen, Refused> {
        let found = self.clone().read(job).await?;
        if found.statement.state().has_ended() {
            return Ok(found);
        }
        self.commit(command::Kind::Cancel(Cancel { job })).await?;
        let found = self.view(|registry| registry.statement(JobId(job)).cloned());
        let statement = found.flatten().ok_or(Refused::NotFound)?;
        Ok(Seen {
            statement: (*statement).clone(),
        })
    }

    /// Proposes a command of an operator's.
    pub async fn operate(self, kind: command::Kind) -> Result<(), Refused> {
        self.commit(kind).await.map(drop)
    }

    /// The result of a statement, from whichever holder has it.
    pub async fn result(self, job: u64) -> Result<Vec<Stored>, Refused> {
        let seen = self.clone().read(job).await?;
        let statement = seen.statement;
        if !has_result(statement.state()) {
            return Err(Refused::NoResult);
        }
        let Some(manifest) = statement.result else {
            return Err(Refused::NoResult);
        };
        if !manifest.inline.is_empty() {
            return from_inline(&manifest.inline).ok_or(Refused::NoResult);
        }
        if let Some(parts) = self.holds(job, &manifest) {
            return Ok(parts);
        }
        for holder in &manifest.holders {
            let wanted = manifest.clone();
            let fetched =
                self.world()
                    .ask(self.id(), holder.node_id, HOLDER_LIMIT, |peer| async move {
                        peer.holds(job, &wanted)
                    });
            if let Some(Some(parts)) = fetched.await {
                return Ok(parts);
            }
        }
        Err(Refused::NoResult)
    }

    /// Whether the session is known here.
    #[must_use]
    pub fn knows_session(&self, id: &SessionId) -> bool {
        self.view(|registry| registry.session(id).is_some()) == Some(true)
    }
}

//! What clients do: submit, read, wait.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use futures::StreamExt as _;
use libra_coordinator::service::{Consistency, ServiceError, Submission};
use libra_proto::registry::{StatementRecord, StatementState};
use libra_proto::types::{JobId, SessionId};
use tokio::time::Instant;

use super::world::{NODES, World};

impl World {
    /// Submits a statement at a node, once.
    pub(crate) async fn submit(
        &self,
        at: u64,
        session: &str,
        code: &str,
    ) -> Result<Result<Arc<StatementRecord>, ServiceError>> {
        let submission = Submission {
            session: session.parse()?,
            user: "anonymous".parse()?,
            code: code.to_owned(),
            kind: None,
            pool: None,
            description: None,
            timeout_seconds: None,
            idempotency_key: String::new(),
            body_hash: Vec::new(),
            place: None,
        };
        self.tell(format!("submit at node {at}: {code}"));
        self.at(at, |inside| async move {
            let patience = inside.service.patience(Instant::now());
            let submitted = Box::pin(inside.service.submit(submission, patience)).await?;
            Ok(submitted.statement.record)
        })
        .await
    }

    /// Submits a statement that has to be accepted.
    pub(crate) async fn accepted(&self, at: u64, session: &str, code: &str) -> Result<JobId> {
        let record = self.submit(at, session, code).await??;
        let job = JobId(record.job);
        self.tell(format!("{job} is accepted"));
        Ok(job)
    }

    /// Reads a statement at a node, linearizably.
    pub(crate) async fn read(
        &self,
        at: u64,
        job: JobId,
    ) -> Result<Result<Arc<StatementRecord>, ServiceError>> {
        self.at(at, move |inside| async move {
            let patience = inside.service.patience(Instant::now());
            let consistency = Consistency::Linearizable(patience);
            let found = inside.service.statement(job, None, consistency).await?;
            Ok(found.record)
        })
        .await
    }

    /// Waits until a node says that the statement has succeeded.
    pub(crate) async fn succeeds(&self, at: u64, job: JobId) -> Result<Arc<StatementRecord>> {
        let what = format!("{job} has succeeded, says node {at}");
        let ended = || async {
            let record = self.read(at, job).await??;
            let state = record.state();
            ensure!(
                !state.has_ended() || state == StatementState::Succeeded,
                "{job} ended {state:?}: {:?}",
                record.error
            );
            Ok(state == StatementState::Succeeded)
        };
        self.until(&what, ended).await?;
        Ok(self.read(at, job).await??)
    }

    /// Submits a statement that ends well, seen from the same node.
    pub(crate) async fn runs(&self, at: u64, session: &str, code: &str) -> Result<JobId> {
        let job = self.accepted(at, session, code).await?;
        self.succeeds(at, job).await?;
        Ok(job)
    }

    /// Checks that two nodes at least hold the result, and that all holders give the same bytes.
    ///
    /// Others would fetch it: there a thread of the result store waits for the network, for which
    /// simulated time waits in turn. The suites of real processes read from everywhere.
    pub(crate) async fn holders_give_the_same(&self, job: JobId) -> Result<()> {
        let at = self.leader_among(&NODES).await?;
        let record = self.read(at, job).await??;
        let holders = record.result.iter().flat_map(|result| &result.holders);
        let holders: Vec<_> = holders.map(|holder| holder.node_id).collect();
        ensure!(holders.len() >= 2, "{job} is held by {holders:?}");
        let first = self.bytes(holders[0], job).await?;
        ensure!(!first.is_empty(), "{job} has no bytes");
        for id in &holders[1..] {
            ensure!(self.bytes(*id, job).await? == first, "other bytes at {id}");
        }
        self.tell(format!("{holders:?} give the same bytes"));
        Ok(())
    }

    /// The whole result as a node that holds it gives it.
    async fn bytes(&self, at: u64, job: JobId) -> Result<Vec<u8>> {
        let bytes = self.at(at, move |inside| async move {
            let patience = inside.service.patience(Instant::now());
            let consistency = Consistency::Linearizable(patience);
            let open = inside.service.result(job, None, consistency).await?;
            let mut bytes = Vec::new();
            if let Some(reader) = open.reader {
                let mut parts = Box::pin(reader.arrow_stream());
                while let Some(part) = parts.next().await {
                    bytes.extend_from_slice(&part?);
                }
            }
            anyhow::Ok(bytes)
        });
        bytes.await?
    }

    /// Who owns a session, and in which epoch, as a node has it.
    pub(crate) async fn owner(&self, at: u64, session: &str) -> Result<(u64, u64)> {
        let id: SessionId = session.parse()?;
        let owner = self.look(at, move |registry| {
            let session = registry.session(&id);
            session.map_or((0, 0), |session| (session.owner_node, session.epoch))
        });
        owner.await
    }

    /// A session that a node owns, made by trying ids; that it works is seen.
    pub(crate) async fn session_of(&self, owner: u64) -> Result<String> {
        for turn in 0..12 {
            let session = format!("of-{owner}-{turn}");
            self.runs(owner, &session, "SELECT 1").await?;
            if self.owner(owner, &session).await?.0 == owner {
                return Ok(session);
            }
        }
        anyhow::bail!("no session came to node {owner}")
    }

    /// Waits until Spark runs a statement with that text in it.
    pub(crate) async fn begun(&self, text: &str) -> Result<()> {
        let what = format!("Spark runs {text}");
        self.until(&what, || async { Ok(!self.ran(text).is_empty()) })
            .await
    }

    /// A statement that Spark takes so long for, told apart by a word.
    pub(crate) fn long(word: &str, takes: Duration) -> String {
        let ms = takes.as_millis();
        format!("/* stub: rows=300 row_bytes=30 delay_ms={ms} */ SELECT '{word}'")
    }

    /// Checks that the statement with that word ran once, and no operation twice.
    pub(crate) fn ran_once(&self, word: &str) -> Result<()> {
        let runs = self.ran(word);
        ensure!(runs.len() == 1, "{word} ran {} times: {runs:?}", runs.len());
        let twice = self.ran_twice();
        ensure!(twice.is_empty(), "these ran twice: {twice:?}");
        self.tell(format!("{word} ran once"));
        Ok(())
    }
}

//! Reading, awaiting and cancelling statements.

use libra_proto::registry::{StatementRecord, StatementState, applied, command};
use libra_proto::types::{JobId, SessionId};
use libra_raft::registry::Registry;
use tokio::time::{Instant, timeout_at};

use super::{Consistency, Patience, Service, ServiceError, StatementSnapshot, Waiter};

/// Which statements a list shows.
#[derive(Debug, Clone, Default)]
pub struct StatementFilter {
    /// Only those of this session.
    pub session: Option<SessionId>,
    /// Only those in this state.
    pub state: Option<StatementState>,
    /// Only those of this pool.
    pub pool: Option<String>,
    /// Only those accepted before this one.
    pub after: Option<JobId>,
    /// At most so many, from 1.
    pub limit: usize,
}

/// A part of the list of statements, newest first.
#[derive(Debug, Clone)]
pub struct StatementPage {
    /// The statements.
    pub statements: Vec<StatementSnapshot>,
    /// Where the list goes on, if it does.
    pub next: Option<JobId>,
}

impl StatementFilter {
    fn fits(&self, record: &StatementRecord) -> bool {
        self.state.is_none_or(|state| record.state() == state)
            && self.pool.as_ref().is_none_or(|pool| record.pool == *pool)
    }
}

impl Service {
    /// One statement; `session`, if given, must be its own.
    ///
    /// # Errors
    /// When there is no such statement, or no leader.
    pub async fn statement(
        &self,
        job: JobId,
        session: Option<&SessionId>,
        consistency: Consistency,
    ) -> Result<StatementSnapshot, ServiceError> {
        self.catch_up(consistency).await?;
        self.look_up(job, session)
    }

    /// One statement, as soon as it has ended or `until` has passed.
    ///
    /// # Errors
    /// When there is no such statement, no leader at the beginning or at the end, or too many wait.
    pub async fn await_statement(
        &self,
        job: JobId,
        session: Option<&SessionId>,
        until: Instant,
        consistency: Consistency,
    ) -> Result<StatementSnapshot, ServiceError> {
        let found = self.statement(job, session, consistency).await?;
        if found.has_ended() || until <= Instant::now() {
            return Ok(found);
        }
        let found = self.until_ended(job, session, until).await?;
        if found.has_ended() {
            // Final: nothing newer can be known elsewhere.
            return Ok(found);
        }
        let consistency = match consistency {
            Consistency::Stale => Consistency::Stale,
            Consistency::Linearizable(_) => {
                Consistency::Linearizable(self.patience(Instant::now()))
            }
        };
        self.statement(job, session, consistency).await
    }

    /// Waits here until the statement has ended, or `until`.
    pub(super) async fn until_ended(
        &self,
        job: JobId,
        session: Option<&SessionId>,
        until: Instant,
    ) -> Result<StatementSnapshot, ServiceError> {
        let mut waiter = self.inner.waits.waiter(job, None)?;
        loop {
            let found = self.look_up(job, session)?;
            if found.has_ended() {
                return Ok(found);
            }
            tokio::select! {
                changed = timeout_at(until, waiter.changed()) => match changed {
                    Err(_) => return Ok(found),
                    Ok(changed) => changed.map_err(|_| no_leader())?,
                },
                // Whoever waits asks again, elsewhere.
                () = self.drained() => return Ok(found),
            }
        }
    }

    /// Stands at a statement and its session to hear of every change.
    ///
    /// # Errors
    /// When too many wait.
    pub fn waiter(&self, job: JobId, session: &SessionId) -> Result<Waiter, ServiceError> {
        self.inner.waits.waiter(job, Some(session))
    }

    /// Waits for the next change that `waiter` stands for.
    ///
    /// # Errors
    /// When the registry has stopped.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next_change(&self, waiter: &mut Waiter) -> Result<(), ServiceError> {
        waiter.changed().await.map_err(|_| no_leader())
    }

    /// Statements, newest first.
    ///
    /// # Errors
    /// When there is no such session, or no leader.
    pub async fn statements(
        &self,
        filter: &StatementFilter,
        consistency: Consistency,
    ) -> Result<StatementPage, ServiceError> {
        self.catch_up(consistency).await?;
        self.view(|registry| {
            if let Some(id) = &filter.session
                && registry.session(id).is_none()
            {
                return Err(ServiceError::UnknownSession {
                    session_id: id.to_string(),
                });
            }
            Ok(self.page(registry, filter))
        })
    }

    fn page(&self, registry: &Registry, filter: &StatementFilter) -> StatementPage {
        let all = registry.statements_before(filter.after, filter.session.as_ref());
        let mut fitting = all.filter(|record| filter.fits(record));
        let page = fitting.by_ref().take(filter.limit);
        let statements: Vec<_> = page.map(|r| self.statement_snapshot(registry, r)).collect();
        let more = fitting.next().is_some();
        let last = statements.last().map(StatementSnapshot::job);
        StatementPage {
            next: last.filter(|_| more),
            statements,
        }
    }

    /// Asks for the end of a statement; one that has ended stays as it is.
    ///
    /// # Errors
    /// When there is no such statement, or no leader.
    pub async fn cancel(
        &self,
        job: JobId,
        session: Option<&SessionId>,
        patience: Patience,
    ) -> Result<StatementSnapshot, ServiceError> {
        let consistency = Consistency::Linearizable(patience);
        let found = self.statement(job, session, consistency).await?;
        if found.has_ended() {
            return Ok(found);
        }
        let cancel = libra_proto::registry::Cancel { job: job.0 };
        match self
            .propose(command::Kind::Cancel(cancel), patience)
            .await?
        {
            applied::Result::Statement(_)
            | applied::Result::Done(_)
            | applied::Result::Jobs(_)
            | applied::Result::Session(_)
            | applied::Result::Submitted(_)
            | applied::Result::Rejected(_)
            | applied::Result::Pool(_)
            | applied::Result::Settings(_)
            | applied::Result::Restored(_) => self.look_up(job, session),
        }
    }

    /// Whether its owner tries to reach Spark again, as far as this node has been told.
    #[must_use]
    pub fn is_reconnecting(&self, job: JobId) -> bool {
        self.inner.live.signs(job).reconnecting
    }

    pub(super) fn look_up(
        &self,
        job: JobId,
        session: Option<&SessionId>,
    ) -> Result<StatementSnapshot, ServiceError> {
        let ours =
            |record: &StatementRecord| session.is_none_or(|id| record.session_id == id.as_str());
        let found = self.view(|registry| {
            let record = registry.statement(job).filter(|record| ours(record))?;
            Some(self.statement_snapshot(registry, record))
        });
        found.ok_or_else(|| ServiceError::UnknownStatement {
            job,
            session_id: session.map(ToString::to_string),
        })
    }
}

fn no_leader() -> ServiceError {
    ServiceError::NoLeader {
        outcome_unknown: false,
    }
}

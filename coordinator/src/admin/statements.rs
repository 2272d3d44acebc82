//! Statements: list, show, cancel.

use std::collections::BTreeSet;

use libra_proto::admin::{
    CancelStatementsRequest, CancelStatementsResponse, CancelledStatement, GetStatementRequest,
    GetStatementResponse, ListStatementsRequest, ListStatementsResponse, Statement,
    StatementFilter, StatementState,
};
use libra_proto::registry::{CancelBatch, StatementRecord, command};
use libra_proto::types::{JobId, SessionId};
use libra_raft::registry::Registry;

use super::AdminService;
use super::call::Call;
use super::convert;
use super::problem::Problem;
use super::reason::Reason;

const PAGE_USUAL: usize = 100;
const PAGE_MOST: usize = 1_000;
const CANCELLED_USUAL: usize = 1_000;
const CANCELLED_MOST: usize = 10_000;
/// How many one command cancels.
const BATCH: usize = 500;

impl AdminService {
    pub(super) async fn answer_list_statements(
        &self,
        call: &Call,
        asked: ListStatementsRequest,
    ) -> Result<ListStatementsResponse, Problem> {
        let limit = page_size(asked.limit)?;
        let before = match asked.after.as_str() {
            "" => None,
            job => Some(job_of("after", job)?),
        };
        let filter = Filter::of(asked.filter.unwrap_or_default())?;
        self.catch_up(call).await?;
        Ok(self.view(|registry| {
            let all = registry.statements_before(before, filter.session.as_ref());
            let fitting = all.filter(|record| filter.fits(record, registry.clock_ms()));
            let (statements, more) = pages(
                fitting.map(|record| self.shown_in_list(registry, record)),
                limit,
            );
            let last = statements.last().map(|statement| statement.job_id.clone());
            ListStatementsResponse {
                next: last.filter(|_| more).unwrap_or_default(),
                statements,
            }
        }))
    }

    pub(super) async fn answer_get_statement(
        &self,
        call: &Call,
        asked: GetStatementRequest,
    ) -> Result<GetStatementResponse, Problem> {
        let job = job_of("job_id", &asked.job_id)?;
        self.catch_up(call).await?;
        let found = self.view(|registry| {
            let record = registry.statement(job)?;
            let statement = convert::statement(registry, record);
            Some(self.with_live_signs(statement, job))
        });
        let statement = Some(found.ok_or_else(|| not_found(job))?);
        Ok(GetStatementResponse { statement })
    }

    pub(super) fn shown_in_list(&self, registry: &Registry, record: &StatementRecord) -> Statement {
        let statement = convert::statement_in_list(registry, record);
        self.with_live_signs(statement, JobId(record.job))
    }

    fn with_live_signs(&self, statement: Statement, job: JobId) -> Statement {
        Statement {
            reconnecting: self.service.is_reconnecting(job),
            ..statement
        }
    }

    pub(super) async fn answer_cancel_statements(
        &self,
        call: &Call,
        asked: CancelStatementsRequest,
    ) -> Result<CancelStatementsResponse, Problem> {
        let limit = size("limit", asked.limit, CANCELLED_USUAL, CANCELLED_MOST)?;
        let filter = asked.filter.unwrap_or_default();
        if asked.all == (filter != StatementFilter::default()) {
            let allowed = "something to go by, or `all` and nothing";
            return Err(Problem::invalid("filter", "", allowed));
        }
        let filter = Filter::of(filter)?;
        self.catch_up(call).await?;
        if let Some(job) = self.view(|registry| filter.unknown(registry)) {
            return Err(not_found(job));
        }
        let (chosen, remaining) = self.view(|registry| filter.to_be_cancelled(registry, limit));
        if !asked.dry_run {
            let active: Vec<u64> = chosen.iter().filter(|s| !s.1).map(|s| s.0.0).collect();
            for batch in active.chunks(BATCH) {
                let jobs = batch.to_vec();
                let cancel = command::Kind::CancelBatch(CancelBatch { jobs });
                self.commit(call, cancel).await?;
            }
            if !active.is_empty() {
                tracing::info!(statements = active.len(), "statements cancelled on request");
            }
        }
        let shown = chosen.into_iter().map(|(job, _, shown)| {
            let state = self.view(|registry| registry.statement(job).map(|record| record.state()));
            let after = state.map_or(shown.before(), convert::statement_state);
            CancelledStatement {
                after: after.into(),
                ..shown
            }
        });
        Ok(CancelStatementsResponse {
            statements: shown.collect(),
            remaining,
        })
    }
}

/// A filter that was understood.
#[derive(Debug)]
struct Filter {
    jobs: BTreeSet<JobId>,
    session: Option<SessionId>,
    states: Vec<StatementState>,
    rest: StatementFilter,
}

impl Filter {
    fn of(told: StatementFilter) -> Result<Self, Problem> {
        let jobs = told.job_ids.iter().map(|id| job_of("filter.job_ids", id));
        let session = match told.session_id.as_str() {
            "" => None,
            id => Some(super::sessions::id_of("filter.session_id", id)?),
        };
        let state = |number: &i32| {
            StatementState::try_from(*number)
                .ok()
                .filter(|state| *state != StatementState::Unspecified)
                .ok_or_else(|| Problem::invalid("filter.states", number, "a state of a statement"))
        };
        Ok(Self {
            jobs: jobs.collect::<Result<_, _>>()?,
            session,
            states: told.states.iter().map(state).collect::<Result<_, _>>()?,
            rest: told,
        })
    }

    fn fits(&self, record: &StatementRecord, now_ms: u64) -> bool {
        let is_or_any = |wanted: &str, is: &str| wanted.is_empty() || wanted == is;
        let rest = &self.rest;
        let state = convert::statement_state(record.state());
        let running_for = rest.running_longer_than_ms;
        let runs = state == StatementState::Running;
        (self.jobs.is_empty() || self.jobs.contains(&JobId(record.job)))
            && is_or_any(&rest.session_id, &record.session_id)
            && is_or_any(&rest.pool, &record.pool)
            && is_or_any(&rest.user, &record.user)
            && (self.states.is_empty() || self.states.contains(&state))
            && now_ms.saturating_sub(record.submitted_at_ms) >= rest.older_than_ms
            && (running_for == 0
                || (runs && now_ms.saturating_sub(record.started_at_ms) >= running_for))
    }

    /// A statement that is named and not known.
    fn unknown(&self, registry: &Registry) -> Option<JobId> {
        let mut jobs = self.jobs.iter();
        jobs.find(|job| registry.statement(**job).is_none())
            .copied()
    }

    /// What is to be cancelled, the oldest first, each with whether it has ended (those that are
    /// named are answered all the same), and how many more there are.
    fn to_be_cancelled(
        &self,
        registry: &Registry,
        limit: usize,
    ) -> (Vec<(JobId, bool, CancelledStatement)>, u64) {
        let named = !self.jobs.is_empty();
        let now = registry.clock_ms();
        let mut found: Vec<_> = registry
            .statements_before(None, self.session.as_ref())
            .filter(|record| named || !record.state().has_ended())
            .filter(|record| named || record.cancel_requested_at_ms == 0)
            .filter(|record| self.fits(record, now))
            .map(|record| (JobId(record.job), record.state().has_ended(), shown(record)))
            .collect();
        found.reverse();
        let remaining = found.len().saturating_sub(limit) as u64;
        found.truncate(limit);
        (found, remaining)
    }
}

fn shown(record: &StatementRecord) -> CancelledStatement {
    let state = convert::statement_state(record.state());
    CancelledStatement {
        job_id: JobId(record.job).to_string(),
        session_id: record.session_id.clone(),
        pool: record.pool.clone(),
        user: record.user.clone(),
        before: state.into(),
        after: state.into(),
    }
}

pub(super) fn page_size(asked: u32) -> Result<usize, Problem> {
    size("limit", asked, PAGE_USUAL, PAGE_MOST)
}

fn size(field: &str, asked: u32, usual: usize, most: usize) -> Result<usize, Problem> {
    match asked as usize {
        0 => Ok(usual),
        size if size <= most => Ok(size),
        size => Err(Problem::invalid(field, size, format!("at most {most}"))),
    }
}

/// The first `limit`, and whether there are more.
pub(super) fn pages<T>(mut all: impl Iterator<Item = T>, limit: usize) -> (Vec<T>, bool) {
    let page: Vec<T> = all.by_ref().take(limit).collect();
    let more = all.next().is_some();
    (page, more)
}

fn job_of(field: &str, id: &str) -> Result<JobId, Problem> {
    id.parse()
        .map_err(|error: libra_proto::types::InvalidId| Problem::invalid(field, id, error.allowed))
}

fn not_found(job: JobId) -> Problem {
    let message = format!("there is no statement `{job}`");
    Problem::new(Reason::StatementNotFound, message).with("job_id", job)
}

#[cfg(test)]
mod tests {
    use super::*;
    use libra_proto::registry;

    fn record(job: u64, state: registry::StatementState) -> StatementRecord {
        StatementRecord {
            job,
            session_id: "a".to_owned(),
            user: "ann".to_owned(),
            pool: "default".to_owned(),
            state: state.into(),
            submitted_at_ms: 1_000,
            started_at_ms: if state == registry::StatementState::Queued {
                0
            } else {
                4_000
            },
            ..StatementRecord::default()
        }
    }

    #[test]
    fn all_that_is_given_must_fit() {
        let running = record(7, registry::StatementState::Running);
        let queued = record(8, registry::StatementState::Queued);
        let filter = |change: fn(&mut StatementFilter)| {
            let mut filter = StatementFilter::default();
            change(&mut filter);
            Filter::of(filter).unwrap()
        };
        type Case = (fn(&mut StatementFilter), bool, bool);
        let cases: [Case; 10] = [
            (|_| {}, true, true),
            (
                |f| f.job_ids = vec!["job-7".into(), "job-9".into()],
                true,
                false,
            ),
            (|f| f.session_id = "b".into(), false, false),
            (|f| f.pool = "default".into(), true, true),
            (|f| f.user = "bob".into(), false, false),
            (|f| f.states = vec![1], false, true),
            (|f| f.states = vec![1, 2], true, true),
            (|f| f.older_than_ms = 9_001, false, false),
            (|f| f.running_longer_than_ms = 6_000, true, false),
            (|f| f.running_longer_than_ms = 6_001, false, false),
        ];
        for (n, (change, runs, waits)) in cases.into_iter().enumerate() {
            let filter = filter(change);
            let fits = [&running, &queued].map(|record| filter.fits(record, 10_000));
            assert_eq!(fits, [runs, waits], "{n}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (filter, field) in [
            (
                StatementFilter {
                    job_ids: vec!["17".to_owned()],
                    ..StatementFilter::default()
                },
                "filter.job_ids",
            ),
            (
                StatementFilter {
                    states: vec![0],
                    ..StatementFilter::default()
                },
                "filter.states",
            ),
            (
                StatementFilter {
                    session_id: "a b".to_owned(),
                    ..StatementFilter::default()
                },
                "filter.session_id",
            ),
        ] {
            let problem = Filter::of(filter).unwrap_err();
            assert_eq!(problem.reason(), Reason::InvalidRequest);
            assert!(format!("{problem:?}").contains(field), "{problem:?}");
        }
        assert_eq!(page_size(0).unwrap(), PAGE_USUAL);
        assert_eq!(page_size(1_000).unwrap(), 1_000);
        assert!(page_size(1_001).is_err());
    }

    #[test]
    fn a_page_says_whether_there_is_more() {
        assert_eq!(pages([1, 2, 3].into_iter(), 2), (vec![1, 2], true));
        assert_eq!(pages([1, 2].into_iter(), 2), (vec![1, 2], false));
        assert_eq!(pages([1].into_iter(), 2), (vec![1], false));
    }
}

//! Slots, counted from outside: from what was committed alone, by rules of its own.

use std::collections::{BTreeMap, BTreeSet};

use libra_proto::registry::command::Kind;
use libra_proto::registry::{StatementState, applied};
use libra_tests::sandbox::{Committed, MemoryRegistry};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Is {
    Queued,
    Running,
    /// Ended, but its operation may still run.
    LeftBehind,
}

#[derive(Debug, Clone)]
pub(crate) struct Statement {
    pub(crate) is: Is,
    pub(crate) session: String,
    endpoint: String,
    pool: String,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    pub(crate) slots: u32,
    pub(crate) statements: BTreeMap<u64, Statement>,
    /// 0 = no limit.
    limits: BTreeMap<String, u32>,
    endpoints: BTreeMap<String, String>,
    pub(crate) submitted: u64,
    pub(crate) granted: u64,
}

impl Model {
    pub(crate) fn follow(&mut self, journal: Vec<Committed>) {
        for committed in journal {
            self.step(committed);
        }
    }

    fn step(&mut self, Committed { kind, applied }: Committed) {
        let result = applied.result.unwrap();
        let changed = matches!(&result, applied::Result::Done(done) if done.changed);
        match (kind, result) {
            (Kind::PutSettings(put), applied::Result::Settings(_)) => {
                self.slots = put.settings.unwrap().slots;
            }
            (Kind::PutPool(put), _) => {
                let pool = put.pool.unwrap();
                self.limits.insert(pool.name, pool.max_running);
            }
            (Kind::CreateSession(create), _) => {
                self.endpoints.insert(create.session_id, create.endpoint);
            }
            (Kind::Submit(submit), applied::Result::Submitted(submitted)) => {
                let record = submitted.statement.unwrap();
                self.submitted += 1;
                let statement = Statement {
                    is: Is::Queued,
                    endpoint: self.endpoints[&submit.session_id].clone(),
                    session: submit.session_id,
                    pool: submit.pool,
                };
                self.statements.insert(record.job, statement);
                if record.state() == StatementState::Running {
                    self.start(record.job);
                }
            }
            (Kind::StartBatch(batch), applied::Result::Jobs(started)) => {
                assert!(started.jobs.iter().all(|job| batch.jobs.contains(job)));
                self.granted += started.jobs.len() as u64;
                for job in started.jobs {
                    self.start(job);
                }
            }
            (Kind::Cancel(cancel), applied::Result::Statement(_))
                if self.is(cancel.job) == Some(Is::Queued) =>
            {
                self.statements.remove(&cancel.job);
            }
            (Kind::Finish(finish), _) if changed => {
                assert_eq!(self.is(finish.job), Some(Is::Running));
                if finish.needs_cleanup {
                    self.statements.get_mut(&finish.job).unwrap().is = Is::LeftBehind;
                } else {
                    self.statements.remove(&finish.job);
                }
            }
            (Kind::CleanupDone(cleanup), _) if changed => {
                assert_eq!(self.is(cleanup.job), Some(Is::LeftBehind));
                self.statements.remove(&cleanup.job);
            }
            (Kind::ResetSession(reset), _) if changed => {
                self.statements
                    .retain(|_, statement| statement.session != reset.session_id);
            }
            _ => {}
        }
    }

    /// The only place where a slot is taken: within the slots, and within the pool's limit.
    fn start(&mut self, job: u64) {
        let statement = self.statements[&job].clone();
        assert_eq!(statement.is, Is::Queued, "job-{job} was started twice");
        assert!(
            self.taken(&statement.endpoint) < self.slots,
            "job-{job} was started without a free slot"
        );
        assert!(
            self.has_room(&statement),
            "job-{job} is over its pool's limit"
        );
        self.statements.get_mut(&job).unwrap().is = Is::Running;
    }

    fn is(&self, job: u64) -> Option<Is> {
        self.statements.get(&job).map(|statement| statement.is)
    }

    pub(crate) fn all(&self, is: Is) -> Vec<u64> {
        let all = self.statements.iter();
        all.filter(|(_, statement)| statement.is == is)
            .map(|(job, _)| *job)
            .collect()
    }

    fn held(&self) -> impl Iterator<Item = &Statement> {
        let all = self.statements.values();
        all.filter(|statement| statement.is != Is::Queued)
    }

    fn taken(&self, endpoint: &str) -> u32 {
        let held = self.held().filter(|held| held.endpoint == endpoint);
        u32::try_from(held.count()).unwrap()
    }

    fn has_room(&self, statement: &Statement) -> bool {
        let Statement { endpoint, pool, .. } = statement;
        let own = self
            .held()
            .filter(|held| held.endpoint == *endpoint && held.pool == *pool);
        let limit = self.limits[pool];
        limit == 0 || u32::try_from(own.count()).unwrap() < limit
    }

    /// The registry counts the same.
    pub(crate) fn agrees_with(&self, registry: &MemoryRegistry) {
        let endpoints: BTreeSet<&String> = self.endpoints.values().collect();
        for endpoint in endpoints {
            let demand = registry.view(|registry| registry.demand(endpoint));
            assert_eq!(demand.taken, self.taken(endpoint), "{endpoint}");
            for pool in &demand.pools {
                let held = self.held();
                let own = held.filter(|h| h.endpoint == *endpoint && h.pool == pool.name);
                assert_eq!(
                    pool.running as usize,
                    own.count(),
                    "{endpoint} {}",
                    pool.name
                );
            }
        }
    }

    /// No slot is free that a waiting statement might have.
    pub(crate) fn is_conserving(&self) -> bool {
        !self.statements.values().any(|statement| {
            statement.is == Is::Queued
                && self.taken(&statement.endpoint) < self.slots
                && self.has_room(statement)
        })
    }
}

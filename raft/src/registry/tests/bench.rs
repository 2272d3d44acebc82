//! A registry on the bench: commands in, answers out, every step held against the invariants.

use libra_proto::admin::Event;
use libra_proto::registry::command::Kind;
use libra_proto::registry::*;
use libra_proto::types::{Change, JobId, SessionId};

use super::nodes_bench::register;
use crate::registry::Registry;

pub(super) const ENDPOINT: &str = "sc://spark:15002";

/// The term of all entries.
pub(super) const TERM: u64 = 1;

#[derive(Default)]
pub(super) struct Bench {
    pub(super) registry: Registry,
    pub(super) changes: Vec<Change>,
    /// What the last command told operators.
    pub(super) events: Vec<Event>,
    pub(super) now: u64,
}

impl Bench {
    /// Settings of that mode, the pools `default` and `narrow` (one at a time).
    pub(super) fn new(mode: Mode, slots: u32) -> Self {
        let mut bench = Self {
            now: 1_000,
            ..Self::default()
        };
        bench.done(put_settings(settings(mode, slots), 0));
        bench.done(Kind::SeedPools(SeedPools {
            pools: vec![pool("default", 0), pool("narrow", 1)],
        }));
        bench
    }

    /// ISOLATED with session `a` open.
    pub(super) fn with_open_session(slots: u32) -> Self {
        let mut bench = Self::new(Mode::Isolated, slots);
        bench.open("a", "spark-a");
        bench
    }

    pub(super) fn open(&mut self, session: &str, spark: &str) {
        self.done(create(session, spark));
        let epoch = self.session(session).epoch;
        self.done(open(session, epoch, spark));
    }

    /// Registers nodes of those ids, each with boot `boot-<id>` and store `store-<id>`.
    pub(super) fn register(&mut self, nodes: &[u64]) {
        for node in nodes {
            self.done(register(*node, &format!("boot-{node}")));
        }
    }

    pub(super) fn command(&self, kind: Kind) -> Command {
        Command {
            proposed_at_ms: self.now,
            proposer_node: 1,
            kind: Some(kind),
            ..Command::default()
        }
    }

    pub(super) fn apply(&mut self, kind: Kind) -> applied::Result {
        let command = self.command(kind);
        self.apply_command(&command)
    }

    pub(super) fn apply_command(&mut self, command: &Command) -> applied::Result {
        let before = self.registry.records.clone();
        self.changes.clear();
        self.events.clear();
        let index = self.registry.applied_index() + 1;
        let (changes, events) = (&mut self.changes, &mut self.events);
        let applied = self
            .registry
            .apply_and_tell(index, TERM, command, changes, events);
        self.registry.check_invariants().unwrap();
        let result = applied.result.unwrap();
        if matches!(result, applied::Result::Rejected(_)) {
            assert_eq!(self.changes, []);
            assert_eq!(self.events, []);
            assert_eq!(self.registry.records.sessions, before.sessions);
            assert_eq!(self.registry.records.statements, before.statements);
            assert_eq!(self.registry.records.nodes, before.nodes);
            assert_eq!(self.registry.records.requests, before.requests);
        }
        result
    }

    /// Applies what must not be refused.
    pub(super) fn done(&mut self, kind: Kind) -> applied::Result {
        let result = self.apply(kind);
        assert!(
            !matches!(result, applied::Result::Rejected(_)),
            "{result:?}"
        );
        result
    }

    /// Applies what must be refused.
    pub(super) fn refused(&mut self, kind: Kind) -> Rejection {
        match self.apply(kind) {
            applied::Result::Rejected(rejection) => rejection,
            other => panic!("not refused: {other:?}"),
        }
    }

    pub(super) fn code(&mut self, kind: Kind) -> RejectionCode {
        self.refused(kind).code()
    }

    /// Whether the command says that it changed something.
    pub(super) fn changed(&mut self, kind: Kind) -> bool {
        match self.done(kind) {
            applied::Result::Done(done) => done.changed,
            other => panic!("no plain answer: {other:?}"),
        }
    }

    pub(super) fn submitted(&mut self, kind: Kind) -> Submitted {
        match self.done(kind) {
            applied::Result::Submitted(submitted) => submitted,
            other => panic!("not submitted: {other:?}"),
        }
    }

    pub(super) fn jobs(&mut self, kind: Kind) -> Vec<u64> {
        match self.done(kind) {
            applied::Result::Jobs(list) => list.jobs,
            other => panic!("no list of jobs: {other:?}"),
        }
    }

    /// Submits to session `a` and pool `default`.
    pub(super) fn run(&mut self, operation: &str) -> StatementRecord {
        self.submitted(submit("a", operation)).statement.unwrap()
    }

    pub(super) fn session(&self, id: &str) -> &SessionRecord {
        self.registry.session(&sid(id)).unwrap()
    }

    pub(super) fn statement(&self, job: u64) -> &StatementRecord {
        self.registry.statement(JobId(job)).unwrap()
    }

    pub(super) fn state(&self, job: u64) -> StatementState {
        self.statement(job).state()
    }

    /// How many statements of the pool could start if slots were free.
    pub(super) fn eligible(&self, pool: &str) -> u32 {
        let demand = self.registry.demand(ENDPOINT);
        let found = demand.pools.iter().find(|found| found.name == pool);
        found.map_or(0, |found| found.eligible)
    }

    pub(super) fn error_class(&self, job: u64) -> &str {
        &self.statement(job).error.as_ref().unwrap().error_class
    }
}

pub(super) fn sid(id: &str) -> SessionId {
    id.parse().unwrap()
}

pub(super) fn settings(mode: Mode, slots: u32) -> Settings {
    Settings {
        version: 0,
        mode: mode.into(),
        slots,
        max_queued: 10,
        max_sessions: 3,
        queued_bytes: 1_000,
        scheduler_mode: SchedulingMode::Fair.into(),
        retention_ms: 10_000,
        retention_statements: 20,
        active_per_session: 0,
        active_per_user: 0,
        result_replicas: 1,
    }
}

pub(super) fn put_settings(settings: Settings, expected_version: u64) -> Kind {
    Kind::PutSettings(PutSettings {
        settings: Some(settings),
        expected_version,
    })
}

pub(super) fn pool(name: &str, max_running: u32) -> PoolRecord {
    PoolRecord {
        name: name.to_owned(),
        weight: 2,
        min_share: 1,
        scheduling_mode: SchedulingMode::Fair.into(),
        max_running,
        paused: false,
    }
}

pub(super) fn create_session(session: &str, spark: &str) -> CreateSession {
    CreateSession {
        session_id: session.to_owned(),
        user: "alice".to_owned(),
        endpoint: ENDPOINT.to_owned(),
        owner_node: 1,
        spark_session_id: spark.to_owned(),
        idle_timeout_ms: 5_000,
        ..CreateSession::default()
    }
}

pub(super) fn create(session: &str, spark: &str) -> Kind {
    Kind::CreateSession(create_session(session, spark))
}

pub(super) fn reopen(session: &str, spark: &str) -> Kind {
    Kind::CreateSession(CreateSession {
        reopen: true,
        ..create_session(session, spark)
    })
}

pub(super) fn incarnation(spark: &str) -> Incarnation {
    Incarnation {
        spark_session_id: spark.to_owned(),
        server_side_session_id: format!("server-{spark}"),
        ..Incarnation::default()
    }
}

pub(super) fn open(session: &str, epoch: u64, spark: &str) -> Kind {
    Kind::OpenSession(OpenSession {
        session_id: session.to_owned(),
        epoch,
        incarnation: Some(incarnation(spark)),
    })
}

pub(super) fn reset(session: &str, epoch: u64, old: &str, new: &str) -> Kind {
    Kind::ResetSession(ResetSession {
        session_id: session.to_owned(),
        epoch,
        old_spark_session_id: old.to_owned(),
        new_spark_session_id: new.to_owned(),
        reason: "SESSION_CHANGED".to_owned(),
        never_sent: Vec::new(),
    })
}

pub(super) fn fail(session: &str, epoch: u64, class: &str) -> Kind {
    Kind::FailSession(FailSession {
        session_id: session.to_owned(),
        epoch,
        error: Some(error(class)),
    })
}

pub(super) fn close(session: &str) -> Kind {
    Kind::CloseSession(CloseSession {
        session_id: session.to_owned(),
        reason: "asked".to_owned(),
        if_idle_since_ms: 0,
    })
}

pub(super) fn closed(session: &str, epoch: u64) -> Kind {
    Kind::SessionClosed(SessionClosed {
        session_id: session.to_owned(),
        epoch,
    })
}

pub(super) fn submit_to(session: &str, pool: &str, operation: &str) -> Submit {
    Submit {
        session_id: session.to_owned(),
        user: "alice".to_owned(),
        pool: pool.to_owned(),
        code: "SELECT 1".to_owned(),
        kind: "sql".to_owned(),
        operation_id: operation.to_owned(),
        ..Submit::default()
    }
}

pub(super) fn submit(session: &str, operation: &str) -> Kind {
    Kind::Submit(submit_to(session, "default", operation))
}

pub(super) fn error(class: &str) -> StatementError {
    StatementError {
        error_class: class.to_owned(),
        message: "said Spark".to_owned(),
        ..StatementError::default()
    }
}

pub(super) fn finish(job: u64, epoch: u64, state: StatementState) -> Finish {
    let error = (state == StatementState::Failed).then(|| error("TABLE_NOT_FOUND"));
    let result = (state == StatementState::Succeeded).then(|| ResultManifest {
        rows: 3,
        epoch,
        ..ResultManifest::default()
    });
    Finish {
        job,
        epoch,
        state: state.into(),
        result,
        error,
        needs_cleanup: false,
    }
}

pub(super) fn ends(job: u64, state: StatementState) -> Kind {
    Kind::Finish(finish(job, 1, state))
}

/// Ends with its slot kept.
pub(super) fn ends_unknown(job: u64) -> Kind {
    Kind::Finish(Finish {
        needs_cleanup: true,
        ..finish(job, 1, StatementState::Failed)
    })
}

pub(super) fn start(jobs: &[u64]) -> Kind {
    Kind::StartBatch(StartBatch {
        jobs: jobs.to_vec(),
    })
}

pub(super) fn cancel(job: u64) -> Kind {
    Kind::Cancel(Cancel { job })
}

pub(super) fn time_out(jobs: &[u64]) -> Kind {
    Kind::TimeOut(TimeOut {
        jobs: jobs.to_vec(),
    })
}

pub(super) fn cleanup_done(job: u64, epoch: u64) -> Kind {
    Kind::CleanupDone(CleanupDone { job, epoch })
}

//! Commands, as the rest of a node would propose them.

use libra_proto::registry::command::Kind;
use libra_proto::registry::{
    Cancel, CleanupDone, CreateSession, Finish, Incarnation, Mode, OpenSession, PoolRecord,
    PutPool, PutSettings, SchedulingMode, Settings, StatementError, StatementState, Submit,
};
use uuid::Uuid;

/// Settings of mode ISOLATED with that many slots.
#[must_use]
pub fn settings(slots: u32, order: SchedulingMode, version: u64) -> Kind {
    Kind::PutSettings(PutSettings {
        settings: Some(Settings {
            version: 0,
            mode: Mode::Isolated.into(),
            slots,
            max_queued: 100_000,
            max_sessions: 1_000,
            queued_bytes: 1 << 40,
            scheduler_mode: order.into(),
            retention_ms: 1 << 40,
            retention_statements: 100_000,
            active_per_session: 0,
            active_per_user: 0,
            result_replicas: 1,
        }),
        expected_version: version,
    })
}

/// A pool that is FAIR inside, without a limit of its own.
#[must_use]
pub fn pool(name: &str, weight: u32, min_share: u32) -> PoolRecord {
    PoolRecord {
        name: name.to_owned(),
        weight,
        min_share,
        scheduling_mode: SchedulingMode::Fair.into(),
        max_running: 0,
        paused: false,
    }
}

/// Makes a pool, or sets it anew.
#[must_use]
pub fn put_pool(pool: PoolRecord) -> Kind {
    Kind::PutPool(PutPool { pool: Some(pool) })
}

/// Makes a session on that endpoint and opens it: two commands.
#[must_use]
pub fn open_session(session: &str, endpoint: &str) -> [Kind; 2] {
    let spark_session_id = Uuid::new_v4().to_string();
    let create = CreateSession {
        session_id: session.to_owned(),
        user: "anonymous".to_owned(),
        endpoint: endpoint.to_owned(),
        owner_node: 1,
        spark_session_id: spark_session_id.clone(),
        ..CreateSession::default()
    };
    let open = OpenSession {
        session_id: session.to_owned(),
        epoch: 1,
        incarnation: Some(Incarnation {
            spark_session_id,
            server_side_session_id: Uuid::new_v4().to_string(),
            ..Incarnation::default()
        }),
    };
    [Kind::CreateSession(create), Kind::OpenSession(open)]
}

/// A statement of that user.
#[must_use]
pub fn submit(session: &str, user: &str, pool: &str) -> Kind {
    Kind::Submit(Submit {
        session_id: session.to_owned(),
        user: user.to_owned(),
        pool: pool.to_owned(),
        code: "SELECT 1".to_owned(),
        kind: "sql".to_owned(),
        operation_id: Uuid::new_v4().to_string(),
        ..Submit::default()
    })
}

/// The end of a statement: succeeded, or failed, perhaps with an operation left behind in Spark.
#[must_use]
pub fn finish(job: u64, succeeded: bool, needs_cleanup: bool) -> Kind {
    let error = StatementError {
        error_class: "DIVIDE_BY_ZERO".to_owned(),
        ..StatementError::default()
    };
    let state = if succeeded {
        StatementState::Succeeded
    } else {
        StatementState::Failed
    };
    Kind::Finish(Finish {
        job,
        epoch: 1,
        state: state.into(),
        result: None,
        error: (!succeeded).then_some(error),
        needs_cleanup,
    })
}

/// A cancel.
#[must_use]
pub fn cancel(job: u64) -> Kind {
    Kind::Cancel(Cancel { job })
}

/// What was left behind in Spark is gone.
#[must_use]
pub fn cleanup_done(job: u64) -> Kind {
    Kind::CleanupDone(CleanupDone { job, epoch: 1 })
}

//! Rules of Spark's that take too long, or too much, for the conformance suite; and that the
//! engine is what it says: deterministic.

mod random;

use super::*;

const CALLER: &str = "6b1d3c1e-0000-4000-8000-000000000001";
const OPERATION: &str = "6b1d3c1e-0000-4000-8000-00000000000a";
const ABANDONED: &str = "INVALID_HANDLE.OPERATION_ABANDONED";
const NOT_FOUND: &str = "INVALID_HANDLE.OPERATION_NOT_FOUND";

fn engine(change: impl FnOnce(&mut Settings)) -> Engine {
    let mut settings = Settings::default();
    change(&mut settings);
    Engine::new(settings, 7)
}

fn caller() -> Caller {
    Caller {
        user_id: "u".into(),
        session_id: CALLER.into(),
        observed: None,
    }
}

fn request(id: &str, sql: &str) -> Execute {
    Execute {
        caller: caller(),
        operation_id: Some(id.into()),
        code: sql.into(),
        statement: Some(compile(sql)),
        reattachable: true,
        tags: Vec::new(),
    }
}

/// Reads a stream as far as it goes at that moment: kinds, and how it ended if it did.
fn read(
    engine: &mut Engine,
    now: Millis,
    id: StreamId,
) -> (Vec<Kind>, Option<Result<(), RpcError>>) {
    let mut kinds = Vec::new();
    loop {
        match engine.poll(now, id) {
            Step::Send(sent) => kinds.extend(sent.into_iter().map(|outgoing| outgoing.kind)),
            Step::Wait(_) => return (kinds, None),
            Step::End(how) => return (kinds, Some(how)),
        }
    }
}

fn run(engine: &mut Engine, now: Millis, id: &str, sql: &str) -> Result<Vec<Kind>, String> {
    let class = |error: RpcError| error.class().unwrap_or("none").to_owned();
    let attached = engine.execute(now, request(id, sql)).map_err(class)?;
    match read(engine, now, attached.stream) {
        (kinds, Some(Ok(()))) => Ok(kinds),
        (_, Some(Err(error))) => Err(class(error)),
        (kinds, None) => Err(format!("still running after {kinds:?}")),
    }
}

fn release(engine: &mut Engine, now: Millis, id: &str) {
    engine.release(now, &caller(), id, &Release::All).unwrap();
}

#[test]
fn a_released_id_is_remembered_for_as_long_as_it_is_asked_for() {
    let mut engine = engine(|settings| settings.operation_memory_ms = 1_000);
    run(&mut engine, 0, OPERATION, "SELECT 1").unwrap();
    release(&mut engine, 0, OPERATION);
    for now in [900, 1_800, 2_700] {
        assert_eq!(
            run(&mut engine, now, OPERATION, "SELECT 1").unwrap_err(),
            ABANDONED
        );
    }
    run(&mut engine, 3_700, OPERATION, "SELECT 1").unwrap();
    assert_eq!(engine.ledger(3_700).of_operation(OPERATION).len(), 2);
    assert_eq!(engine.ledger(3_700).repeated_operations(), [(OPERATION, 2)]);
}

#[test]
fn servers_before_4_1_run_a_released_id_again() {
    for (profile, again) in [
        (Profile::Spark41, false),
        (Profile::Spark40, true),
        (Profile::Spark35, true),
    ] {
        let mut engine = engine(|settings| settings.profile = profile);
        run(&mut engine, 0, OPERATION, "SELECT 1").unwrap();
        release(&mut engine, 0, OPERATION);
        assert_eq!(
            run(&mut engine, 0, OPERATION, "SELECT 1").is_ok(),
            again,
            "{profile:?}"
        );
        let status = engine.status(0, &caller(), None).unwrap_err();
        assert_eq!(
            status,
            RpcError::Unimplemented {
                method: "GetStatus"
            }
        );
    }
}

#[test]
fn spark_3_5_refuses_a_living_id_with_the_same_plan() {
    let mut engine = engine(|settings| settings.profile = Profile::Spark35);
    run(&mut engine, 0, OPERATION, "SELECT 1").unwrap();
    let again = run(&mut engine, 0, OPERATION, "SELECT 1").unwrap_err();
    assert_eq!(again, "INVALID_HANDLE.OPERATION_ALREADY_EXISTS");
}

#[test]
fn sail_runs_every_id_again_and_drops_what_its_client_left() {
    let mut engine = engine(|settings| settings.profile = Profile::Sail);
    for _ in 0..3 {
        run(&mut engine, 0, OPERATION, "SELECT 1").unwrap();
    }
    assert_eq!(engine.ledger(0).of_operation(OPERATION).len(), 3);
    let left = engine
        .execute(0, request(OPERATION, "/* stub: hang */ SELECT 1"))
        .unwrap();
    engine.leave(0, left.stream);
    let reattach = engine.reattach(0, &caller(), OPERATION, None).unwrap_err();
    assert_eq!(reattach.class(), Some(NOT_FOUND));
    assert_eq!(
        engine.ledger(0).executions()[3].outcome,
        Some(Outcome::Cancelled)
    );
    assert!(
        run(
            &mut engine,
            0,
            OPERATION,
            "SET spark.sql.ansi.enabled=false"
        )
        .is_err()
    );
}

#[test]
fn a_tombstone_outlives_the_memory_until_there_are_too_many() {
    let mut engine = engine(|settings| {
        settings.operation_memory_ms = 1;
        settings.tombstones = 2;
        settings.detached_timeout_ms = 1_000;
        settings.maintenance_interval_ms = 1_000;
    });
    let ids: Vec<String> = (0..3)
        .map(|n| OPERATION.replace("00a", &format!("00{n}")))
        .collect();
    for (at, id) in ids.iter().enumerate() {
        run(&mut engine, at as u64, id, "SELECT 1").unwrap();
    }
    engine.advance(5_000);
    run(&mut engine, 5_000, &ids[0], "SELECT 1").unwrap();
    for id in &ids[1..] {
        assert_eq!(
            run(&mut engine, 5_000, id, "SELECT 1").unwrap_err(),
            ABANDONED
        );
        let reattach = engine.reattach(5_000, &caller(), id, None).unwrap_err();
        assert_eq!(reattach.class(), Some(ABANDONED));
    }
}

#[test]
fn a_detached_operation_is_cancelled_at_the_first_maintenance_after_its_time() {
    let mut engine = engine(|settings| {
        settings.sender_max_stream_ms = 120_000;
        settings.detached_timeout_ms = 300_000;
        settings.maintenance_interval_ms = 30_000;
    });
    let attached = engine
        .execute(10, request(OPERATION, "/* stub: hang */ SELECT 1"))
        .unwrap();
    engine.leave(20, attached.stream);
    engine.advance(449_999);
    assert_eq!(engine.ledger(449_999).executions()[0].outcome, None);
    engine.advance(450_000);
    let execution = engine.ledger(450_000).executions()[0].clone();
    assert_eq!(
        (execution.ended_ms, execution.outcome),
        (Some(450_000), Some(Outcome::Cancelled))
    );
}

#[test]
fn a_crash_ends_everything_and_the_next_driver_knows_nothing() {
    let mut engine = engine(|_| {});
    let other = OPERATION.replace("00a", "00b");
    let running = engine
        .execute(0, request(&other, "/* stub: hang */ SELECT 1"))
        .unwrap();
    engine
        .execute(
            0,
            request(OPERATION, "/* stub: delay_ms=100 crash */ SELECT 1"),
        )
        .unwrap();
    engine.advance(99);
    assert_eq!(engine.incarnation(), 1);
    engine.advance(1_000);
    assert_eq!(engine.incarnation(), 2);
    assert!(engine.take_effects().contains(&Effect::DriverDied));
    let (_, end) = read(&mut engine, 1_000, running.stream);
    assert_eq!(end, Some(Err(RpcError::Unavailable)));
    for execution in engine.ledger(1_000).executions() {
        assert_eq!(
            (execution.ended_ms, execution.outcome),
            (Some(100), Some(Outcome::DriverDied))
        );
    }
    let observed = Caller {
        observed: Some(running.server_id),
        ..caller()
    };
    let gone = engine.reattach(1_000, &observed, &other, None).unwrap_err();
    assert_eq!(gone.class(), Some("INVALID_HANDLE.SESSION_NOT_FOUND"));
    let changed = engine
        .interrupt(1_000, &observed, &Interrupt::All)
        .unwrap_err();
    assert_eq!(changed.class(), Some("INVALID_HANDLE.SESSION_CHANGED"));
}

#[test]
fn the_ledger_knows_when_a_statement_ended_even_if_nobody_looked() {
    let mut engine = engine(|_| {});
    let sql = "/* stub: rows=30 batch_rows=10 delay_ms=100 batch_delay_ms=50 */ SELECT 1";
    let attached = engine.execute(1_000, request(OPERATION, sql)).unwrap();
    let (kinds, _) = read(&mut engine, 1_149, attached.stream);
    assert_eq!(kinds, [Kind::Schema, Kind::Progress(1), Kind::Batch(0)]);
    let (kinds, end) = read(&mut engine, 9_000, attached.stream);
    assert_eq!(
        kinds,
        [
            Kind::Batch(1),
            Kind::Batch(2),
            Kind::Metrics,
            Kind::Complete
        ]
    );
    assert_eq!(end, Some(Ok(())));
    let execution = engine.ledger(9_000).executions()[0].clone();
    assert_eq!(
        (execution.started_ms, execution.ended_ms),
        (1_000, Some(1_250))
    );
    assert_eq!(execution.outcome, Some(Outcome::Succeeded));
}

#[test]
fn an_error_comes_after_its_rows() {
    let mut engine = engine(|_| {});
    let sql = "/* stub: rows=20 batch_rows=10 error=DIVIDE_BY_ZERO sqlstate=22012 */ SELECT 1";
    let attached = engine.execute(0, request(OPERATION, sql)).unwrap();
    let (kinds, end) = read(&mut engine, 0, attached.stream);
    assert_eq!(kinds[2..], [Kind::Batch(0), Kind::Batch(1)]);
    assert_eq!(end.unwrap().unwrap_err().class(), Some("DIVIDE_BY_ZERO"));
}

#[test]
fn a_bad_directive_is_refused_with_what_is_allowed() {
    for bad in ["/* stub: rowz=1 */ SELECT 1", "/* stub: rows=x */ SELECT 1"] {
        let mut engine = engine(|_| {});
        assert_eq!(
            run(&mut engine, 0, OPERATION, bad).unwrap_err(),
            "STUB_BAD_DIRECTIVE"
        );
    }
}

#[test]
fn equal_calls_give_equal_answers() {
    let play = || {
        let mut engine = engine(|_| {});
        let attached = engine
            .execute(5, request(OPERATION, "SELECT id FROM range(9)"))
            .unwrap();
        let first = engine.poll(5, attached.stream);
        let details = engine.reattach(9, &caller(), "x", None).unwrap_err();
        (attached.server_id, first, details)
    };
    assert_eq!(play(), play());
}

#[test]
fn a_driver_restart_leaves_only_maintenance_on_the_agenda() {
    let mut engine = engine(|_| {});
    run(&mut engine, 0, OPERATION, "SELECT 1").unwrap();
    engine.restart(50);
    assert_eq!(engine.next_due(), Some(50 + 30_000));
}

#[test]
fn a_second_reader_before_the_thread_starts_kills_the_operation() {
    let sql = "SELECT 1";
    let mut engine = engine(|settings| settings.start_delay_ms = 10);
    let first = engine.execute(0, request(OPERATION, sql)).unwrap();
    let second = engine.execute(9, request(OPERATION, sql)).unwrap_err();
    let orphaned = "SPARK_CONNECT_ILLEGAL_STATE.EXECUTION_STATE_OPERATION_ORPHANED";
    assert_eq!(second.class(), Some(orphaned));
    let (kinds, end) = read(&mut engine, 9, first.stream);
    assert!(kinds.is_empty());
    assert_eq!(
        end.unwrap().unwrap_err().class(),
        Some("INVALID_CURSOR.DISCONNECTED")
    );
    assert_eq!(run(&mut engine, 20, OPERATION, sql).unwrap_err(), ABANDONED);
    let (_, states) = engine
        .status(20, &caller(), Some(vec![OPERATION.into()]))
        .unwrap();
    assert_eq!(states[0].1, OperationState::Cancelled);
    assert!(engine.ledger(20).executions().is_empty(), "it never ran");
    let other = OPERATION.replace("00a", "00b");
    let alone = engine.execute(30, request(&other, sql)).unwrap();
    assert_eq!(read(&mut engine, 40, alone.stream).0.len(), 5);
    assert_eq!(engine.ledger(40).executions()[0].started_ms, 40);
}

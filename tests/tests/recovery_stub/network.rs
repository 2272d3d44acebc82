//! The connection to Spark is lost, silent, slow or refused, and Spark lives on.

use std::time::{Duration, Instant};

use anyhow::Result;
use libra_tests::harness::{State, until};
use libra_tests::stub::engine::{Outcome, Settings};
use libra_tests::stub::faults::{Fault, Lose, Method};
use libra_tests::stub::net::Mode;

use super::{
    SOON, TOLD, accepted, apart, assert_succeeded, begun, class, ended, on_its_way, outcome, ran,
    reconnecting, together,
};

fn fault(method: Method) -> Fault {
    Fault {
        method,
        delay_ms: 0,
        lose: Lose::Nothing,
        cut_after: None,
        times: 1,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reset_and_silent_connection_shows_reconnecting_until_it_heals() -> Result<()> {
    let (stub, libra) = together(Settings::default(), 2).await?;
    let statement = accepted(&libra, "rows=3 delay_ms=6000").await?;
    begun(&stub, &statement).await?;
    stub.net().set_mode(Mode::BlackHole);
    stub.net().reset_connections();
    reconnecting(&libra, &statement, true).await?;
    stub.net().set_mode(Mode::Open);
    reconnecting(&libra, &statement, false).await?;
    assert_succeeded(&ended(&libra, &statement.job_id).await?);
    assert_eq!(ran(&stub, &statement.code), 1);
    Ok(())
}

/// Takes 20 s: nothing but the connection's own pings can notice that silence.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_falls_silent_is_noticed_and_the_statement_goes_on() -> Result<()> {
    let (stub, libra) = together(Settings::default(), 2).await?;
    let statement = accepted(&libra, "rows=3 delay_ms=3000").await?;
    begun(&stub, &statement).await?;
    stub.net().set_mode(Mode::BlackHole);
    reconnecting(&libra, &statement, true).await?;
    stub.net().set_mode(Mode::Open);
    assert_succeeded(&ended(&libra, &statement.job_id).await?);
    assert_eq!(ran(&stub, &statement.code), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_answer_is_waited_for() -> Result<()> {
    let (stub, libra) = together(Settings::default(), 2).await?;
    stub.faults().add(Fault {
        delay_ms: 4_000,
        ..fault(Method::ExecutePlan)
    });
    let statement = accepted(&libra, "rows=3").await?;
    on_its_way(&libra, &statement).await?;
    assert_eq!(ran(&stub, &statement.code), 0, "the answer was not slow");
    assert_succeeded(&ended(&libra, &statement.job_id).await?);
    assert_eq!(ran(&stub, &statement.code), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_request_a_lost_answer_and_a_cut_stream_make_one_run() -> Result<()> {
    let (stub, libra) = together(Settings::default(), 2).await?;
    let lost = |lose| Fault {
        lose,
        ..fault(Method::ExecutePlan)
    };
    let cut = Fault {
        cut_after: Some(5),
        ..fault(Method::ExecutePlan)
    };
    for fault in [lost(Lose::Request), lost(Lose::Answer), cut] {
        stub.faults().add(fault.clone());
        let statement = accepted(&libra, "rows=5000 batch_rows=500").await?;
        let ended = ended(&libra, &statement.job_id).await?;
        assert_succeeded(&ended);
        assert_eq!(ended.result.map(|result| result.row_count), Some(5_000));
        assert_eq!(ran(&stub, &statement.code), 1, "{fault:?}");
    }
    Ok(())
}

/// The request of the killed coordinator arrives after the new one has sent the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_comes_late_from_the_dead_runs_nothing() -> Result<()> {
    let (stub, mut libra) = together(Settings::default(), 2).await?;
    stub.faults().add(Fault {
        delay_ms: 6_000,
        ..fault(Method::ExecutePlan)
    });
    let statement = accepted(&libra, "rows=3 delay_ms=8000").await?;
    on_its_way(&libra, &statement).await?;
    assert_eq!(ran(&stub, &statement.code), 0, "the request was not late");
    libra.kill()?;
    libra.start().await?;
    begun(&stub, &statement).await?;
    assert_succeeded(&ended(&libra, &statement.job_id).await?);
    assert_eq!(ran(&stub, &statement.code), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_spark_that_refuses_for_3_s_is_gone_and_the_slot_comes_back_with_it() -> Result<()> {
    let (stub, libra) = together(Settings::default(), 1).await?;
    let running = accepted(&libra, "hang").await?;
    begun(&stub, &running).await?;
    let queued = accepted(&libra, "rows=3").await?;

    stub.net().set_mode(Mode::Refuse);
    stub.net().reset_connections();
    let refused = Instant::now();
    let lost = ended(&libra, &running.job_id).await?;
    let told = refused.elapsed();
    assert_eq!(class(&lost), "LIBRA_OUTCOME_UNKNOWN");
    assert!(told < TOLD, "told after {told:?}");
    assert!(told > Duration::from_secs(3), "given up after {told:?}");
    let waiting = libra.api.statement(&queued.job_id).await?;
    assert_eq!(waiting.state, State::Queued, "the operation may still run");

    // It was only the connection: the operation is stopped before its slot is given away.
    stub.net().set_mode(Mode::Open);
    assert_succeeded(&ended(&libra, &queued.job_id).await?);
    assert_eq!(outcome(&stub, &running.code), Some(Outcome::Cancelled));
    assert_eq!(
        (ran(&stub, &running.code), ran(&stub, &queued.code)),
        (1, 1)
    );
    let session = libra.api.session("default").await?;
    assert!(session.resets.is_empty(), "the same driver: {session:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_connection_of_less_than_3_s_changes_nothing() -> Result<()> {
    let (stub, libra) = together(Settings::default(), 1).await?;
    let statement = accepted(&libra, "rows=3 delay_ms=5000").await?;
    begun(&stub, &statement).await?;
    stub.net().set_mode(Mode::Refuse);
    stub.net().reset_connections();
    reconnecting(&libra, &statement, true).await?;
    stub.net().set_mode(Mode::Open);
    assert_succeeded(&ended(&libra, &statement.job_id).await?);
    assert_eq!(ran(&stub, &statement.code), 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_spark_not_there_at_the_start_statements_wait_and_run_later() -> Result<()> {
    let (stub, mut libra) = apart(Settings::default(), 2).await?;
    stub.net().set_mode(Mode::Refuse);
    libra.start().await?;
    let mut waiting = Vec::new();
    for _ in 0..3 {
        waiting.push(accepted(&libra, "rows=3").await?);
    }
    until("two attempts to reach Spark", SOON, || async {
        let health = libra.api.get("/actuator/health").await?;
        Ok(health.text().contains("DOWN"))
    })
    .await?;
    for statement in &waiting {
        let seen = libra.api.statement(&statement.job_id).await?;
        assert_eq!(seen.state, State::Queued, "{seen:?}");
    }
    stub.net().set_mode(Mode::Open);
    for statement in &waiting {
        assert_succeeded(&ended(&libra, &statement.job_id).await?);
        assert_eq!(ran(&stub, &statement.code), 1);
    }
    Ok(())
}

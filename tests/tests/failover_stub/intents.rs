//! What was asked for before a node died holds after it: cancels, timeouts, what waits in line.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use libra_tests::harness::{State, Submit, until};
use libra_tests::stub::faults::{Fault, Lose, Method};

use super::{BUSY, GOAL, Role, SOON, begun, cast, ends_well, nothing_ran_twice, sql, stub, three};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_that_was_acknowledged_is_honoured_by_the_next_owner() -> Result<()> {
    for role in [Role::Owner, Role::Both] {
        let stub = stub().await?;
        let mut cluster = three(&stub).isolated(30).start().await?;
        let (session, victim) = cast(&cluster, role).await?;
        let living = cluster.api(cluster.others(victim)[0])?.clone();
        let hanging = living.submit(&session, &sql("hang")).await?;
        begun(&stub, &hanging).await?;
        let acknowledged = living.cancel(&session, &hanging.job_id).await?;
        ensure!(acknowledged.statement.job_id == hanging.job_id);
        cluster.kill9(victim)?;
        let ended = living.ended(&hanging.job_id, SOON).await?;
        assert_eq!(ended.state, State::Cancelled, "{role:?}: {:?}", ended.error);
        nothing_ran_twice(&stub).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_cancelled_while_its_owner_is_dead_ends_cancelled() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).isolated(30).start().await?;
    let (session, victim) = cast(&cluster, Role::Owner).await?;
    let living = cluster.api(cluster.others(victim)[0])?.clone();
    let hanging = living.submit(&session, &sql("hang")).await?;
    begun(&stub, &hanging).await?;
    cluster.kill9(victim)?;
    living.cancel(&session, &hanging.job_id).await?;
    let ended = living.ended(&hanging.job_id, SOON).await?;
    assert_eq!(ended.state, State::Cancelled, "{:?}", ended.error);
    Ok(())
}

/// A cancelled statement never arrived; its owner poisons the id, the answer is lost, the owner dies:
/// the poison that the next owner reattaches to has a result of its own. (Found by the simulation in
/// its own shell, seed 773.)
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_next_owner_does_not_take_a_poison_for_the_statement() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).isolated(30).start().await?;
    let (session, victim) = cast(&cluster, Role::Owner).await?;
    let living = cluster.api(cluster.others(victim)[0])?.clone();
    // Without a word on its status nobody sends it again.
    for (method, lose, times) in [
        (Method::ExecutePlan, Lose::Request, 1),
        (Method::ExecutePlan, Lose::Answer, u32::MAX),
        (Method::GetStatus, Lose::Request, u32::MAX),
    ] {
        let fault = Fault {
            method,
            delay_ms: 0,
            lose,
            cut_after: None,
            times,
        };
        stub.add_fault(&fault).await?;
    }
    let statement = living.submit(&session, &sql("rows=3")).await?;
    until("the statement to run", SOON, || async {
        let seen = living.statement(&statement.job_id).await?;
        Ok(seen.state == State::Running)
    })
    .await?;
    living.cancel(&session, &statement.job_id).await?;
    let executions = || stub.executions_of(&statement.operation_id);
    until("the poison to be in Spark", SOON, || async {
        Ok(!executions().await?.is_empty())
    })
    .await?;
    cluster.kill9(victim)?;
    stub.clear_faults().await?;
    let ended = living.ended(&statement.job_id, SOON).await?;
    assert_eq!(ended.state, State::Cancelled, "{:?}", ended.error);
    let codes: Vec<String> = executions()
        .await?
        .into_iter()
        .map(|run| run.code)
        .collect();
    ensure!(
        codes.len() == 1 && codes[0].contains("libra-seal-"),
        "{codes:?}"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_timeout_runs_on_over_a_move() -> Result<()> {
    const TIMEOUT: Duration = Duration::from_secs(5);
    let stub = stub().await?;
    let mut cluster = three(&stub).isolated(30).start().await?;
    let (session, victim) = cast(&cluster, Role::Both).await?;
    let living = cluster.api(cluster.others(victim)[0])?.clone();
    let submit = Submit {
        timeout_seconds: Some(TIMEOUT.as_secs()),
        ..sql("hang")
    };
    let began = Instant::now();
    let hanging = living.submit(&session, &submit).await?;
    begun(&stub, &hanging).await?;
    cluster.kill9(victim)?;
    let ended = living.ended(&hanging.job_id, SOON).await?;
    let class = ended.error.and_then(|error| error.error_class);
    assert_eq!(class.as_deref(), Some("LIBRA_TIMEOUT"));
    let took = began.elapsed();
    ensure!(took >= TIMEOUT && took < TIMEOUT + GOAL + BUSY, "{took:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_in_line_runs_once_its_turn_comes() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub)
        .isolated(30)
        .set("libra.scheduler.slots", 1)
        .start()
        .await?;
    let (session, victim) = cast(&cluster, Role::Both).await?;
    let living = cluster.api(cluster.others(victim)[0])?.clone();
    let first = living.submit(&session, &sql("delay_ms=3000")).await?;
    begun(&stub, &first).await?;
    let mut jobs = vec![first.job_id];
    for _ in 0..5 {
        jobs.push(living.submit(&session, &sql("delay_ms=50")).await?.job_id);
    }
    cluster.kill9(victim)?;
    for job in &jobs {
        ends_well(&cluster, &cluster.running(), job).await?;
    }
    // One slot: none began before the one before it had ended.
    let mut spans: Vec<_> = stub.executions().await?;
    spans.sort_by_key(|execution| execution.started_ms);
    for pair in spans.windows(2) {
        let ended = pair[0].ended_ms.unwrap_or(u64::MAX);
        ensure!(pair[1].started_ms >= ended, "{pair:?}");
    }
    nothing_ran_twice(&stub).await
}

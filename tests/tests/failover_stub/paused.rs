//! An owner that stops for longer than its lease and goes on as if nothing had been: a process that
//! is stopped, and one whose network to the others is gone while the one to Spark is not.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use libra_tests::harness::{Flow, passed, until, until_some};

use super::{Role, SOON, begun, cast, ends_well, nothing_ran_twice, repeats, sql, stub, three};

const STOPPED: Duration = Duration::from_secs(10);
const CUT_OFF: Duration = Duration::from_secs(6);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_was_stopped_for_ten_seconds_does_no_harm() -> Result<()> {
    for role in [Role::Owner, Role::Both].into_iter().take(repeats(2)?) {
        let stub = stub().await?;
        let cluster = three(&stub).isolated(30).start().await?;
        let (session, victim) = cast(&cluster, role).await?;
        let epoch = cluster.any()?.session(&session).await?.epoch;
        let apis: Vec<_> = cluster.others(victim);
        let living = cluster.api(apis[0])?;
        let mut jobs = Vec::new();
        // One ends while it is stopped, one after it, and one waits in line behind them.
        for directive in [
            "delay_ms=3000",
            "delay_ms=16000",
            "rows=500 batch_delay_ms=400 batch_rows=20",
        ] {
            let submitted = living.submit(&session, &sql(directive)).await?;
            begun(&stub, &submitted).await?;
            jobs.push(submitted);
        }
        cluster.stop(victim)?;
        let stopped = Instant::now();
        let moved = until_some("the session to move", SOON, || async {
            let reply = living.get(&format!("sessions/{session}")).await?;
            let session = reply.json::<libra_tests::harness::Session>(&[200]).ok();
            Ok(session.filter(|session| session.epoch > epoch))
        })
        .await?;
        println!("{role:?}: moved {:.2?} after the stop", stopped.elapsed());
        ensure!(moved.owner.node_id != victim);
        jobs.push(living.submit(&session, &sql("delay_ms=50")).await?);
        passed(STOPPED.saturating_sub(stopped.elapsed())).await;
        cluster.cont(victim)?;

        for job in &jobs {
            ends_well(&cluster, &apis, &job.job_id).await?;
        }
        let woken = cluster.api(victim)?;
        until("the woken node to serve", SOON, || async {
            Ok(woken.ready().await)
        })
        .await?;
        for job in &jobs {
            ends_well(&cluster, &cluster.ids(), &job.job_id).await?;
            let runs = stub.executions_of(&job.operation_id).await?;
            assert_eq!(runs.len(), 1, "{runs:?}");
        }
        nothing_ran_twice(&stub).await?;
        cluster.all_hold_the_same().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_only_spark_can_hear_stops_by_itself() -> Result<()> {
    for flow in [Flow::Held, Flow::Cut] {
        let stub = stub().await?;
        let cluster = three(&stub).isolated(30).proxied().start().await?;
        let (session, victim) = cast(&cluster, Role::Owner).await?;
        let others = cluster.others(victim);
        let living = cluster.api(others[0])?;
        let long = living.submit(&session, &sql("delay_ms=9000")).await?;
        begun(&stub, &long).await?;
        cluster.links().around(victim, flow);
        let cut = Instant::now();
        // What is accepted by the majority meanwhile is run by the new owner.
        let next = until_some("a submit", SOON, || async {
            let reply = living.try_submit(&session, &sql("delay_ms=50"), 0).await?;
            Ok(reply
                .json::<libra_tests::harness::Statement>(&[200, 202])
                .ok())
        })
        .await?;
        ends_well(&cluster, &others, &next.job_id).await?;
        println!(
            "{flow:?}: the next statement ended {:.2?} after the cut",
            cut.elapsed()
        );
        passed(CUT_OFF.saturating_sub(cut.elapsed())).await;
        cluster.links().heal();
        for job in [&long, &next] {
            ends_well(&cluster, &cluster.ids(), &job.job_id).await?;
            let runs = stub.executions_of(&job.operation_id).await?;
            assert_eq!(runs.len(), 1, "{runs:?}");
        }
        nothing_ran_twice(&stub).await?;
        cluster.all_hold_the_same().await?;
    }
    Ok(())
}

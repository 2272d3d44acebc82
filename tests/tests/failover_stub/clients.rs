//! What clients notice of a node that dies: one retry, no error.

use std::time::Duration;

use anyhow::{Result, ensure};
use libra_tests::harness::{Marker, Statement, Submit};
use libra_tests::kill::Once;
use reqwest::Method;

use super::{Role, SOON, begun, cast, nothing_ran_twice, repeats, sql, stub, succeeded, three};

const CLIENTS: usize = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_retries_once_sees_no_error_when_nodes_are_killed() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).isolated(CLIENTS).start().await?;
    let load = Once::begin(&cluster.apis(), CLIENTS, true);
    for turn in 0..repeats(3)? {
        load.come_round(SOON).await?;
        let leader = cluster.leader().await?;
        let victim = if turn % 2 == 0 {
            leader
        } else {
            cluster.others(leader)[0]
        };
        cluster.kill9(victim)?;
        load.come_round(SOON).await?;
        cluster.restart(victim).await?;
    }
    let met = load.finish().await?;
    println!(
        "{} requests, {} retried, {} statements; p50 {:.2?}, p99 {:.2?}, max {:.2?}",
        met.requests,
        met.retried,
        met.succeeded,
        met.quantile(0.5),
        met.quantile(0.99),
        met.quantile(1.0)
    );
    assert_eq!(met.failed, Vec::<String>::new());
    assert_eq!(met.wrong, Vec::<String>::new());
    nothing_ran_twice(&stub).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_poll_and_a_stream_of_events_go_on_over_a_move() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).isolated(30).start().await?;
    let (session, victim) = cast(&cluster, Role::Owner).await?;
    let living = cluster.api(cluster.others(victim)[0])?.clone();
    let running = living.submit(&session, &sql("delay_ms=6000")).await?;
    begun(&stub, &running).await?;
    let poll = {
        let (api, path) = (
            living.clone(),
            format!("statements/{}?wait=30", running.job_id),
        );
        tokio::spawn(async move { api.get(&path).await })
    };
    let stream = {
        let path = format!("sessions/{session}/statements/{}/events", running.job_id);
        let api = living.clone();
        tokio::spawn(async move { api.get(&path).await })
    };
    libra_tests::harness::passed(Duration::from_millis(300)).await;
    cluster.kill9(victim)?;
    succeeded(&poll.await??.json::<Statement>(&[200])?)?;
    let events = stream.await??.text();
    ensure!(events.matches("event: end").count() == 1, "{events}");
    ensure!(!events.contains("event: session-reset"), "{events}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submit_whose_answer_was_lost_with_its_node_is_one_statement() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).start().await?;
    for turn in 0..repeats(3)? {
        let leader = cluster.leader().await?;
        let ids = cluster.ids();
        let asked = ids[turn % ids.len()];
        let victim = if turn % 2 == 0 { asked } else { leader };
        let key = format!("lost-{}", Marker::new());
        let submit: Submit = sql("delay_ms=100");
        let send = |id: u64| {
            let request = cluster.api(id).map(|api| {
                let request = api.request(Method::POST, "sessions/default/statements");
                (
                    api.clone(),
                    request.json(&submit).header("Idempotency-Key", &key),
                )
            });
            async move {
                let (api, request) = request?;
                api.send(request).await
            }
        };
        let lost = tokio::spawn(send(asked));
        let retry = cluster
            .ids()
            .into_iter()
            .find(|id| *id != victim && *id != asked);
        let retry = retry.unwrap_or_else(|| ids[(turn + 1) % ids.len()]);
        let (api, request) = {
            let api = cluster.api(retry)?.clone();
            let request = api.request(Method::POST, "sessions/default/statements");
            (api, request.json(&submit).header("Idempotency-Key", &key))
        };
        cluster.kill9(victim)?;
        let again: Statement = api.send(request).await?.json(&[200, 202])?;
        if let Ok(first) = lost.await?
            && let Ok(first) = first.json::<Statement>(&[200, 202])
        {
            ensure!(
                first.job_id == again.job_id,
                "{} and {}",
                first.job_id,
                again.job_id
            );
        }
        succeeded(&api.ended(&again.job_id, SOON).await?)?;
        let ran = stub.executions().await?;
        let ran = ran.iter().filter(|run| run.code == submit.code).count();
        ensure!(ran == 1, "it ran {ran} times");
        cluster.restart(victim).await?;
    }
    nothing_ran_twice(&stub).await
}

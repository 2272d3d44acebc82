//! An Idempotency-Key stands for one statement in the whole cluster.

use anyhow::{Context, Result, ensure};
use futures::future::join_all;
use libra_tests::harness::{Api, Reply, Statement, Submit};
use reqwest::Method;
use serde_json::json;

use super::{SOON, assert_succeeded, nothing_ran_twice, sql, stub, three};

const PATH: &str = "sessions/default/statements";

async fn with_key(api: &Api, key: &str, submit: &Submit) -> Result<Reply> {
    let request = api.request(Method::POST, PATH).json(submit);
    api.send(request.header("Idempotency-Key", key)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_at_all_nodes_at_once_is_one_statement() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).start().await?;
    let apis = cluster.apis();
    let mut jobs = Vec::new();
    for turn in 0..20 {
        let (key, submit) = (format!("key-{turn}"), sql("delay_ms=20"));
        let twice = apis.iter().chain(&apis);
        let answers = join_all(twice.map(|api| with_key(api, &key, &submit))).await;
        let mut ids = std::collections::BTreeSet::new();
        for answer in answers {
            ids.insert(answer?.json::<Statement>(&[200, 202])?.job_id);
        }
        ensure!(ids.len() == 1, "{key} stands for {ids:?}");
        let other = with_key(&apis[turn % 3], &key, &sql("rows=2")).await?;
        other.problem(422)?;
        jobs.push((key, submit, ids.pop_first().context("no job")?));
    }
    // Another leader knows them all the same.
    let leader = cluster.leader().await?;
    cluster.kill9(leader)?;
    cluster.leader().await?;
    for (turn, (key, submit, job)) in jobs.iter().enumerate() {
        let living = cluster.running();
        let api = cluster.api(living[turn % living.len()])?;
        let again = with_key(api, key, submit).await?;
        ensure!(
            again.json::<Statement>(&[200, 202])?.job_id == *job,
            "{key}"
        );
        assert_succeeded(&api.ended(job, SOON).await?);
    }
    nothing_ran_twice(&stub).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_makes_one_session() -> Result<()> {
    let stub = stub().await?;
    let cluster = three(&stub).isolated(10).start().await?;
    let apis = cluster.apis();
    let made = apis.iter().map(|api| {
        let request = api.request(Method::POST, "sessions").json(&json!({}));
        api.send(request.header("Idempotency-Key", "the-session"))
    });
    let mut ids = std::collections::BTreeSet::new();
    for answer in join_all(made).await {
        let session: libra_tests::harness::Session = answer?.json(&[201])?;
        ids.insert(session.session_id);
    }
    ensure!(ids.len() == 1, "{ids:?}");
    assert_eq!(cluster.any()?.sessions().await?.total, 1);
    Ok(())
}

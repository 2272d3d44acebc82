//! Long polls and event streams on nodes that do not own the session.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use libra_tests::harness::{Reply, State, Statement};
use reqwest::Method;
use serde_json::json;

use super::{assert_succeeded, begun, sql, stub, three};

/// How late an end may be told at a node that is not the owner.
const TOLD_WITHIN: Duration = Duration::from_millis(700);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_poll_ends_with_the_statement_on_every_node() -> Result<()> {
    let stub = stub().await?;
    let cluster = three(&stub).start().await?;
    for asked in cluster.ids() {
        let running = cluster
            .api(asked)?
            .submit("default", &sql("delay_ms=1500"))
            .await?;
        let polls = cluster.ids().into_iter().map(|id| {
            let (api, job) = (cluster.api(id).cloned(), running.job_id.clone());
            async move {
                let reply = api?.get(&format!("statements/{job}?wait=30")).await?;
                Ok::<_, anyhow::Error>((reply.json::<Statement>(&[200])?, reply.at))
            }
        });
        let ended = try_join_all(polls).await?;
        let first = ended.iter().map(|(_, at)| *at).min().context("no poll")?;
        for (statement, at) in &ended {
            assert_succeeded(statement);
            ensure!(*at - first < TOLD_WITHIN, "told {:?} later", *at - first);
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_submit_that_waits_is_answered_with_the_end_on_every_node() -> Result<()> {
    let stub = stub().await?;
    let cluster = three(&stub).start().await?;
    for id in cluster.ids() {
        let began = Instant::now();
        let reply = cluster
            .api(id)?
            .try_submit("default", &sql("delay_ms=800"), 30)
            .await?;
        assert_succeeded(&reply.json(&[200])?);
        ensure!(began.elapsed() < Duration::from_millis(800) + TOLD_WITHIN * 3);
    }
    Ok(())
}

/// The events of a stream that has ended, each with its id.
fn events(reply: &Reply) -> Vec<(String, String)> {
    let text = reply.text();
    let blocks = text.split("\n\n").filter(|block| block.contains("event:"));
    let field = |block: &str, name: &str| {
        let mut lines = block.lines();
        let found = lines.find_map(|line| line.strip_prefix(name));
        found.unwrap_or_default().trim().to_owned()
    };
    blocks
        .map(|block| (field(block, "event:"), field(block, "id:")))
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_streams_the_events_of_a_statement_and_resumes_anothers_stream() -> Result<()> {
    let stub = stub().await?;
    stub.configure(json!({"progress_interval_ms": 100})).await?;
    let cluster = three(&stub).start().await?;
    let owner = cluster.owner_of("default").await?;
    let api = cluster.api(owner)?;
    let running = api.submit("default", &sql("delay_ms=2500")).await?;
    begun(&stub, &running).await?;
    let path = format!("sessions/default/statements/{}/events", running.job_id);
    let streams = cluster.ids().into_iter().map(|id| {
        let (api, path) = (cluster.api(id).cloned(), path.clone());
        async move { Ok::<_, anyhow::Error>(events(&api?.get(&path).await?)) }
    });
    let streams = try_join_all(streams).await?;
    for (id, stream) in cluster.ids().into_iter().zip(&streams) {
        let names: Vec<_> = stream.iter().map(|(name, _)| name.as_str()).collect();
        ensure!(names.contains(&"progress"), "node {id}: {names:?}");
        ensure!(names.last() == Some(&"end"), "node {id}: {names:?}");
        ensure!(names.iter().filter(|name| **name == "end").count() == 1);
    }
    // What another node's stream has told is not told again.
    let (_, last) = streams[0].first().context("no event")?;
    for id in cluster.ids() {
        let api = cluster.api(id)?;
        let request = api
            .request(Method::GET, &path)
            .header("Last-Event-ID", last);
        let resumed = events(&api.send(request).await?);
        ensure!(
            resumed.last().is_some_and(|(name, _)| name == "end"),
            "node {id}: {resumed:?}"
        );
        ensure!(
            resumed.iter().all(|(_, id)| id != last),
            "node {id} tells {last} again"
        );
    }
    let ended = cluster.api(1)?.statement(&running.job_id).await?;
    assert_eq!(ended.state, State::Succeeded);
    Ok(())
}

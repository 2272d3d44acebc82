//! A node that is cut off from most others: it refuses in time what it cannot know, shows what it
//! has where that is asked for, and serves again by itself.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use libra_tests::harness::{Api, Flow, Reply, passed, until};

use super::{SOON, assert_succeeded, sql, stub, three};

/// What a request may wait for a leader by the contract, and what may come on top of it.
const REFUSED_WITHIN: Duration = Duration::from_millis(2_000 + 700);

/// GETs and POSTs that must not be answered from what the node has.
async fn refuses(api: &Api, job: &str) -> Result<()> {
    for path in [
        "sessions",
        "statements",
        "pools",
        &format!("statements/{job}"),
    ] {
        let (reply, took) = timed(api.get(path)).await?;
        refused(&reply, took, path)?;
    }
    let (reply, took) = timed(api.try_submit("default", &sql("rows=1"), 0)).await?;
    refused(&reply, took, "a submit")?;
    ensure!(
        reply.problem(503)?.outcome.is_none(),
        "nothing was sent: {}",
        reply.text()
    );
    Ok(())
}

async fn timed(answer: impl Future<Output = Result<Reply>>) -> Result<(Reply, Duration)> {
    let began = Instant::now();
    Ok((answer.await?, began.elapsed()))
}

fn refused(reply: &Reply, took: Duration, what: &str) -> Result<()> {
    let problem = reply.problem(503)?;
    ensure!(took <= REFUSED_WITHIN, "{what}: {took:?} for {problem:?}");
    let retry_after = reply.header("retry-after").map(str::parse::<u64>);
    ensure!(
        matches!(retry_after, Some(Ok(1..))),
        "{what}: {:?}",
        reply.headers
    );
    println!("{what}: {} after {took:.2?}", problem.code);
    Ok(())
}

/// The same with `?stale=true`: at once, and it says how old it is.
async fn shows_what_it_has(api: &Api, job: &str) -> Result<u64> {
    let path = format!("statements/{job}?stale=true");
    let (reply, took) = timed(api.get(&path)).await?;
    reply.expect(&[200])?;
    ensure!(
        took < Duration::from_millis(500),
        "at once, not after {took:?}"
    );
    ensure!(
        reply.header("libra-stale") == Some("true"),
        "{:?}",
        reply.headers
    );
    let index = reply.header("libra-applied-index").unwrap_or_default();
    for path in ["sessions?stale=true", "statements?stale=true", "cluster"] {
        api.get(path).await?.expect(&[200])?;
    }
    Ok(index.parse()?)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_quorum_a_node_refuses_in_time_and_with_quorum_it_serves_again() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).start().await?;
    let ended = cluster.any()?.run("default", &sql("rows=5"), SOON).await?;
    assert_succeeded(&ended);
    let job = ended.job_id;
    let leader = cluster.leader().await?;
    let followers = cluster.others(leader);
    let (left, killed) = (followers[0], followers[1]);
    let before = shows_what_it_has(cluster.api(left)?, &job).await?;

    cluster.kill9(leader)?;
    cluster.kill9(killed)?;
    let api = cluster.api(left)?.clone();
    // Until it has noticed, which takes an election timeout, it may still wait for the old leader.
    refuses(&api, &job).await?;
    refuses(&api, &job).await?;
    ensure!(!api.ready().await, "it says that it is ready");
    let after = shows_what_it_has(&api, &job).await?;
    ensure!(after >= before, "applied index {after} after {before}");

    cluster.restart(killed).await?;
    until("the node to serve again", SOON, || async {
        Ok(api.ready().await)
    })
    .await?;
    assert_succeeded(&api.statement(&job).await?);
    assert_succeeded(&api.run("default", &sql("rows=5"), SOON).await?);
    cluster.restart(leader).await?;
    cluster.all_hold_the_same().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_answers_nothing_as_new() -> Result<()> {
    let stub = stub().await?;
    let cluster = three(&stub).proxied().start().await?;
    let first = cluster.any()?.run("default", &sql("rows=5"), SOON).await?;
    let old = cluster.leader().await?;
    for flow in [Flow::Cut, Flow::Held] {
        let cut_off = cluster.leader().await?;
        cluster.links().around(cut_off, flow);
        let others = cluster.others(cut_off);
        let served = until("the others to serve", SOON, || async {
            let reply = cluster
                .api(others[0])?
                .try_submit("default", &sql("rows=1"), 0)
                .await?;
            Ok(reply.status.is_success())
        });
        served.await?;
        // It has not led for as long as the others have had a leader of their own.
        let api = cluster.api(cut_off)?;
        refuses(api, &first.job_id).await?;
        shows_what_it_has(api, &first.job_id).await?;
        cluster.links().heal();
        until("the node to serve again", SOON, || async {
            Ok(api.ready().await)
        })
        .await?;
    }
    println!("first led by {old}");
    let newest = cluster.api(1)?.statements("limit=1").await?;
    cluster
        .api(1)?
        .ended(&newest.statements[0].job_id, SOON)
        .await?;
    cluster.all_hold_the_same().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_hears_but_is_not_heard_does_not_stop_the_cluster() -> Result<()> {
    let stub = stub().await?;
    let cluster = three(&stub).proxied().start().await?;
    let leader = cluster.leader().await?;
    let followers = cluster.others(leader);
    let (mute, other) = (followers[0], followers[1]);
    for id in [leader, other] {
        cluster.links().one_way(mute, id, Flow::Held);
    }
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        let reply = cluster
            .api(other)?
            .try_submit("default", &sql("rows=1"), 5)
            .await?;
        reply.expect(&[200, 202])?;
        passed(Duration::from_millis(50)).await;
    }
    assert_eq!(
        cluster.leader().await?,
        leader,
        "it lost its leader for nothing"
    );
    cluster.links().heal();
    let api = cluster.api(mute)?;
    until("the node to serve again", SOON, || async {
        Ok(api.ready().await)
    })
    .await?;
    assert_succeeded(&api.run("default", &sql("rows=1"), SOON).await?);
    Ok(())
}

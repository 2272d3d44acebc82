//! A statement is one trace, however many nodes it takes.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libra_tests::harness::{Cluster, Reply, Statement, Submit, until, until_some};
use libra_tests::otlp::{Collector, SeenSpan, connected};
use reqwest::Method;

use super::{Cast, SOON, assert_succeeded, begun, sql, stub, three};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CLIENT: &str = "00f067aa0ba902b7";

async fn submit(cluster: &Cluster, cast: &Cast, submit: &Submit, flags: &str) -> Result<Reply> {
    let api = cluster.api(cast.asked)?;
    let path = format!("sessions/{}/statements?wait=0", cast.session);
    let request = api.request(Method::POST, &path).json(submit);
    let request = request
        .header("traceparent", format!("00-{TRACE}-{CLIENT}-{flags}"))
        .header("tracestate", "vendor=1");
    api.send(request).await
}

fn names(spans: &[SeenSpan]) -> BTreeSet<&str> {
    spans.iter().map(|span| span.name.as_str()).collect()
}

/// Waits until the trace has spans of all these names.
async fn with_names(collector: &Collector, wanted: &[&str]) -> Result<Vec<SeenSpan>> {
    let found = until_some("the whole trace", SOON, || async {
        let spans = collector.trace(TRACE);
        let there = names(&spans);
        Ok(wanted
            .iter()
            .all(|name| there.contains(name))
            .then_some(spans))
    });
    let found = found.await;
    found.with_context(|| format!("seen: {:?}", names(&collector.trace(TRACE))))
}

/// Waits until no span hangs in the air: a parent may come later than its children, from another
/// node or in another batch.
async fn until_connected(collector: &Collector) -> Result<()> {
    let whole = until("the trace to be one tree", SOON, || async {
        Ok(connected(&collector.trace(TRACE), CLIENT).is_ok())
    });
    match whole.await {
        Ok(()) => Ok(()),
        Err(_) => connected(&collector.trace(TRACE), CLIENT),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_statement_over_three_nodes_is_one_connected_tree() -> Result<()> {
    let (stub, collector) = (stub().await?, Collector::start().await?);
    let cluster = three(&stub)
        .isolated(30)
        .set("libra.scheduler.slots", 1)
        .set("libra.telemetry.otlp-endpoint", collector.endpoint())
        .start()
        .await?;
    let cast = Cast::of(&cluster).await?;

    // It has to queue.
    let before = cluster.api(cast.asked)?;
    let before = before.submit(&cast.session, &sql("delay_ms=800")).await?;
    begun(&stub, &before).await?;
    let traced = submit(&cluster, &cast, &sql("rows=300"), "01").await?;
    let answered = traced.header("traceresponse").unwrap_or_default();
    ensure!(answered.starts_with(&format!("00-{TRACE}-")), "{answered}");
    let statement: Statement = traced.json(&[202])?;
    let ended = cluster.any()?.ended(&statement.job_id, SOON).await?;
    assert_succeeded(&ended);

    let route = "POST /api/v1/sessions/{sessionId}/statements";
    let spans = with_names(
        &collector,
        &[
            route,
            "statement.submit",
            "raft.forward",
            "libra.raft.v1.Raft/Propose",
            "raft.commit",
            "raft.apply",
            "statement.queue",
            "statement.grant",
            "statement.run",
            "spark.ExecutePlan",
            "libra.peer.v1.Peer/StoreResult",
            "result.copy",
            "statement.finish",
            "spark.ReleaseExecute",
        ],
    )
    .await?;
    // The owner's `finish` is forwarded too.
    until("both proposals of the trace", SOON, || async {
        let spans = collector.trace(TRACE);
        let forwards = spans.iter().filter(|span| span.name == "raft.forward");
        Ok(forwards.count() == 2)
    })
    .await?;
    until_connected(&collector).await?;

    let of = |name: &str| {
        let found = spans.iter().find(|span| span.name == name);
        found.with_context(|| format!("no span {name}"))
    };
    let node = |id: u64| i64::try_from(id).unwrap_or_default();
    assert_eq!(of(route)?.node, node(cast.asked));
    assert_eq!(
        of(route)?.parent_id,
        CLIENT,
        "the client's span is the parent"
    );
    assert_eq!(of("statement.grant")?.node, node(cast.leader));
    for name in ["statement.run", "spark.ExecutePlan", "statement.queue"] {
        assert_eq!(of(name)?.node, node(cast.owner), "{name}");
        let parent = &of(name)?.parent_id;
        assert_eq!(*parent, of("statement.submit")?.span_id, "{name}");
    }
    let queue = of("statement.queue")?;
    ensure!(queue.end_ns - queue.start_ns > 100_000_000, "{queue:?}");
    let run = of("statement.run")?;
    assert_eq!(run.attributes["job_id"], statement.job_id);
    assert_eq!(run.attributes["session_id"], cast.session);
    assert_eq!(run.attributes["outcome"], "ended");
    let status = &of(route)?.attributes["http.response.status_code"];
    assert_eq!(status, "202");
    for span in &spans {
        let told = format!("{:?}", span.attributes);
        ensure!(!told.contains("SELECT"), "a statement's text: {span:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_trace_goes_on_at_the_next_owner() -> Result<()> {
    let (stub, collector) = (stub().await?, Collector::start().await?);
    let mut cluster = three(&stub)
        .isolated(30)
        .set("libra.telemetry.otlp-endpoint", collector.endpoint())
        .start()
        .await?;
    let cast = Cast::of(&cluster).await?;
    let long = sql("rows=300 delay_ms=4000");
    let statement: Statement = submit(&cluster, &cast, &long, "01").await?.json(&[202])?;
    begun(&stub, &statement).await?;
    with_names(&collector, &["statement.submit", "spark.ExecutePlan"]).await?;
    cluster.kill9(cast.owner)?;
    let ended = cluster.any()?.ended(&statement.job_id, SOON).await?;
    assert_succeeded(&ended);

    let wanted = ["spark.ReattachExecute", "statement.finish", "statement.run"];
    with_names(&collector, &wanted).await?;
    until_connected(&collector).await?;
    let spans = collector.trace(TRACE);
    let reattach = spans.iter().find(|span| span.name == wanted[0]);
    let reattach = reattach.context("no reattach")?;
    let owner = i64::try_from(cast.owner)?;
    ensure!(reattach.node != owner, "{reattach:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_client_decides_what_is_kept_and_a_dead_collector_holds_up_nothing() -> Result<()> {
    let (stub, collector) = (stub().await?, Collector::start().await?);
    let endpoint = collector.endpoint().to_owned();
    let mut cluster = three(&stub)
        .isolated(30)
        .set("libra.telemetry.otlp-endpoint", &endpoint)
        .set("libra.telemetry.sampling-ratio", 0)
        .start()
        .await?;
    let cast = Cast::of(&cluster).await?;
    for flags in ["00", "01"] {
        let submitted = submit(&cluster, &cast, &sql("rows=3"), flags).await?;
        let statement: Statement = submitted.json(&[200, 202])?;
        assert_succeeded(&cluster.any()?.ended(&statement.job_id, SOON).await?);
    }
    // Each node exports for itself: the owner may be first.
    with_names(&collector, &["statement.finish", "statement.submit"]).await?;
    let spans = collector.spans();
    let others = spans.iter().find(|span| span.trace_id != TRACE);
    ensure!(others.is_none(), "a ratio of 0 keeps none: {others:?}");
    let submits = spans.iter().filter(|span| span.name == "statement.submit");
    assert_eq!(submits.count(), 1, "the client said no to the first");

    drop(collector);
    for _ in 0..20 {
        let submitted = submit(&cluster, &cast, &sql("rows=3"), "01").await?;
        let statement: Statement = submitted.json(&[200, 202])?;
        assert_succeeded(&cluster.any()?.ended(&statement.job_id, SOON).await?);
    }
    let began = std::time::Instant::now();
    let status = cluster.term(cast.asked).await?;
    ensure!(status.success(), "{status}");
    let took = began.elapsed();
    ensure!(took < Duration::from_secs(15), "it took {took:?} to stop");
    Ok(())
}

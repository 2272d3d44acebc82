//! A cluster of three, operated by commands alone.

use anyhow::{Context, Result, ensure};
use libra_tests::harness::{Cluster, Profile, Submit, until};
use libra_tests::scene::{SOON, begun, session_of, sql, stub, three};
use libra_tests::stub::process::StubProcess;
use serde_json::Value;

use super::{at, at_endpoint, endpoint, json};

async fn voters(cluster: &Cluster, via: u64) -> Result<Vec<u64>> {
    let status = json(cluster, via, "status").await?;
    let nodes = status["nodes"].as_array().context("no nodes")?;
    let voters = nodes.iter().filter(|node| node["voter"] == true);
    Ok(voters.filter_map(|node| node["nodeId"].as_u64()).collect())
}

fn node(status: &Value, id: u64) -> Value {
    let nodes = status["nodes"].as_array().cloned().unwrap_or_default();
    let found = nodes.into_iter().find(|node| node["nodeId"] == id);
    found.unwrap_or_default()
}

async fn cluster_before(stub: &StubProcess) -> Result<Cluster> {
    let cluster = three(stub).isolated(20).profile(Profile::Patient);
    cluster.start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_come_and_go_by_commands() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = cluster_before(&stub).await?;
    let status = json(&cluster, 2, "status --hash").await?;
    assert_eq!(status["clusterName"], "libra");
    ensure!(
        status["stateHash"]
            .as_str()
            .is_some_and(|hash| hash.len() == 16),
        "{status}"
    );
    let local = json(&cluster, 2, "status --local").await?;
    assert_eq!(local["nodeId"], 2);
    until("node 3 to say that it is ready", SOON, || async {
        let shown = json(&cluster, 1, "nodes show 3").await?;
        Ok(shown["nodeId"] == 3 && shown["ready"] == true)
    })
    .await?;

    // Add and promote a fourth; both may be said again.
    let fourth = cluster.one_more().await?;
    cluster.spawn(fourth)?;
    let address = endpoint(&cluster, fourth)?;
    let add = format!("nodes add {fourth} {address}");
    at(&cluster, 3, &add).await?.expect(0)?;
    at(&cluster, 1, &format!("{add} --promote"))
        .await?
        .expect(0)?;
    at(&cluster, 2, &format!("nodes promote {fourth}"))
        .await?
        .expect(0)?;
    assert_eq!(voters(&cluster, 1).await?, [1, 2, 3, 4]);
    cluster.node_mut(fourth)?.until_ready(SOON).await?;

    let moved = json(&cluster, 1, &format!("nodes transfer {fourth}")).await?;
    ensure!(
        moved["done"]
            .as_str()
            .is_some_and(|done| done.contains("node 4 leads")),
        "{moved}"
    );
    assert_eq!(cluster.leader().await?, fourth);
    let written = at(&cluster, 1, "snapshot 2").await?.expect(0)?;
    ensure!(written.out.contains("node 2"), "{}", written.out);

    let session = session_of(&cluster, 1).await?;
    let drained = at(&cluster, 2, "nodes drain 1 --yes").await?.expect(0)?;
    ensure!(
        drained.out.contains("node 1 is draining"),
        "{}",
        drained.out
    );
    assert_ne!(cluster.owner_of(&session).await?, 1);
    let status = json(&cluster, 3, "nodes list").await?;
    assert_eq!(node(&status, 1)["state"], "draining");
    at(&cluster, 3, "nodes undrain 1").await?.expect(0)?;
    at(&cluster, 3, "nodes drain 1 --yes").await?.expect(0)?;

    at(&cluster, 2, "nodes remove 1 --yes").await?.expect(0)?;
    assert_eq!(voters(&cluster, 2).await?, [2, 3, 4]);
    cluster.kill9(1)?;
    let told = at(&cluster, 3, "events --kind members-changed,leader-elected")
        .await?
        .expect(0)?;
    ensure!(told.out.contains("voters 2, 3, 4"), "{}", told.out);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_and_statements_are_looked_after_by_commands() -> Result<()> {
    let stub = stub().await?;
    let cluster = cluster_before(&stub).await?;
    let session = session_of(&cluster, 1).await?;

    let shown = json(&cluster, 3, &format!("sessions show {session}")).await?;
    assert_eq!(shown["session"]["ownerNode"], 1);
    let moved = json(
        &cluster,
        2,
        &format!("sessions move {session} --to 2 --yes"),
    )
    .await?;
    assert_eq!(
        (&moved["changed"], &moved["session"]["ownerNode"]),
        (&true.into(), &2.into())
    );
    let listed = json(&cluster, 1, "sessions list --node 2").await?;
    let ids = listed["sessions"].as_array().context("no sessions")?;
    ensure!(ids.iter().any(|it| it["sessionId"] == *session), "{listed}");
    at(&cluster, 1, "sessions rebalance --yes")
        .await?
        .expect(0)?;

    // A few that run until they are told not to, and one by its id.
    let api = cluster.api(1)?;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        let job = api.submit(&session, &sql("hang")).await?;
        begun(&stub, &job).await?;
        jobs.push(job.job_id);
    }
    let list = format!("statements list --session {session} --state running");
    let running = json(&cluster, 3, &list).await?;
    assert_eq!(
        running["statements"].as_array().map(Vec::len),
        Some(3),
        "{running}"
    );
    let one = json(&cluster, 2, &format!("statements show {}", jobs[0])).await?;
    assert_eq!(one["state"], "running");
    at(&cluster, 3, &format!("statements cancel {}", jobs[0]))
        .await?
        .expect(0)?;
    let dry = json(
        &cluster,
        3,
        &format!("statements cancel --session {session} --dry-run"),
    )
    .await?;
    ensure!(
        dry["statements"].as_array().is_some_and(|it| it.len() >= 2),
        "{dry}"
    );
    let unasked = at(&cluster, 3, "statements cancel --all")
        .await?
        .expect(2)?;
    ensure!(unasked.err.contains("will not cancel"), "{}", unasked.err);
    at(
        &cluster,
        3,
        &format!("statements cancel --session {session} --yes"),
    )
    .await?
    .expect(0)?;
    until("all to be over", SOON, || async {
        let left = json(&cluster, 1, &list).await?;
        Ok(left["statements"].as_array().is_some_and(Vec::is_empty))
    })
    .await?;

    let paused = json(&cluster, 1, "pools pause low-priority").await?;
    assert_eq!(paused["pool"]["paused"], true);
    let resumed = json(&cluster, 2, "pools resume low-priority").await?;
    assert_eq!(resumed["pool"]["paused"], false);

    let closed = json(&cluster, 2, &format!("sessions close {session} --yes")).await?;
    ensure!(
        closed["done"]
            .as_str()
            .is_some_and(|done| done.contains("clos")),
        "{closed}"
    );
    let events = at(&cluster, 1, &format!("events --session {session} -o json"))
        .await?
        .expect(0)?;
    let kinds: Vec<String> = events
        .out
        .lines()
        .map(|line| Ok(serde_json::from_str::<Value>(line)?["kind"].to_string()))
        .collect::<Result<_>>()?;
    for kind in ["session-created", "session-moved", "statement-ended"] {
        ensure!(kinds.contains(&format!("\"{kind}\"")), "{kind}: {kinds:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_doctor_says_what_is_wrong() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = cluster_before(&stub).await?;
    let ran = cluster
        .api(1)?
        .run("one", &Submit::sql("SELECT 1"), SOON)
        .await?;
    libra_tests::scene::succeeded(&ran)?;
    // The stub has no plugin, this is a build for tests, and the machine is busy.
    let ignore = "doctor --ignore plugin,versions,fsync,disk";
    let well = at(&cluster, 1, ignore).await?.expect(0)?;
    ensure!(well.out.contains("3 of 3 nodes answered"), "{}", well.out);
    ensure!(well.out.contains("all is well"), "{}", well.out);

    cluster.kill9(3)?;
    let ill = at(&cluster, 1, &format!("{ignore} --output json"))
        .await?
        .expect(1)?;
    let report: Value = serde_json::from_str(&ill.out)?;
    assert_eq!(report["healthy"], false);
    let findings = report["findings"].as_array().context("no findings")?;
    let of = |check: &str| findings.iter().filter(|it| it["check"] == check).count();
    ensure!(of("nodes") > 0 && of("quorum") == 1, "{report}");
    assert_eq!(ill.err, "", "what is found is no error");

    cluster.kill9(2)?;
    let worse = at(&cluster, 1, ignore).await?.expect(1)?;
    ensure!(
        worse.out.contains("only 1 of 3 voters work"),
        "{}",
        worse.out
    );
    let last = endpoint(&cluster, 1)?;
    // A node that does nothing: no answer, which may mean anything.
    cluster.stop(1)?;
    let hung = at_endpoint(&last, "pools pause default --timeout 1s")
        .await?
        .expect(4)?;
    ensure!(hung.err.contains("it may have been done"), "{}", hung.err);
    cluster.cont(1)?;
    cluster.kill9(1)?;
    let nobody = at_endpoint(&last, "doctor").await?.expect(2)?;
    ensure!(
        nobody.err.contains("no coordinator can be reached"),
        "{}",
        nobody.err
    );
    Ok(())
}

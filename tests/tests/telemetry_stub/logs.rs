//! One line for each change of state, in the whole cluster, with the fields that are promised.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use libra_tests::harness::{Cluster, Statement, until};
use serde_json::{Map, Value, json};

use super::{Cast, SOON, assert_succeeded, begun, sql, stub, three};

type Line = Map<String, Value>;

/// All lines of all nodes that say so, each an object with what every line has.
fn lines(cluster: &Cluster, message: &str) -> Result<Vec<Line>> {
    let mut found = Vec::new();
    for id in cluster.ids() {
        for text in cluster.node(id)?.log()?.lines() {
            let Ok(line) = serde_json::from_str::<Line>(text) else {
                // The stub's and the system's own words; of Libra's there are none.
                ensure!(!text.contains("libra"), "node {id}: no JSON: {text}");
                continue;
            };
            for name in ["timestamp", "level", "target", "message", "cluster", "node"] {
                ensure!(line.contains_key(name), "node {id}: no {name}: {text}");
            }
            ensure!(line["node"] == json!(id), "node {id}: {text}");
            if line["message"] == json!(message) {
                found.push(line);
            }
        }
    }
    Ok(found)
}

fn of_job(lines: Vec<Line>, job: &str) -> Vec<Line> {
    let of = |line: &Line| line.get("job_id") == Some(&json!(job));
    lines.into_iter().filter(of).collect()
}

async fn until_said(cluster: &Cluster, message: &str, job: &str) -> Result<()> {
    until(message, SOON, || async {
        Ok(!of_job(lines(cluster, message)?, job).is_empty())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_is_told_once_in_the_cluster_with_its_fields() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub)
        .isolated(30)
        .set("libra.log.format", "json")
        .set("libra.scheduler.slots", 1)
        .start()
        .await?;
    let cast = Cast::of(&cluster).await?;
    let api = cluster.api(cast.asked)?;
    let first = api.submit(&cast.session, &sql("delay_ms=500")).await?;
    begun(&stub, &first).await?;
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let path = format!("sessions/{}/statements?wait=0", cast.session);
    let request = api
        .request(reqwest::Method::POST, &path)
        .json(&sql("rows=5"));
    let request = request.header("traceparent", format!("00-{trace}-b7ad6b7169203331-00"));
    let second: Statement = api.send(request).await?.json(&[202])?;
    assert_succeeded(&api.ended(&second.job_id, SOON).await?);
    until_said(&cluster, "statement ended", &second.job_id).await?;

    let job = second.job_id.as_str();
    let mut index = 0;
    for message in ["statement queued", "statement started", "statement ended"] {
        let told = of_job(lines(&cluster, message)?, job);
        let [line] = told.as_slice() else {
            anyhow::bail!("`{message}` was told {} times: {told:?}", told.len());
        };
        let expected: BTreeMap<&str, Value> = BTreeMap::from([
            ("node", json!(cast.owner)),
            ("session_id", json!(cast.session)),
            ("pool", json!("default")),
            ("epoch", json!(1)),
            ("trace_id", json!(trace)),
        ]);
        for (name, value) in expected {
            assert_eq!(line.get(name), Some(&value), "{message}: {line:?}");
        }
        let at = line["log_index"].as_u64().context("log_index")?;
        ensure!(at > index, "{message}: {line:?}");
        index = at;
        ensure!(
            !line.values().any(|v| v.to_string().contains("SELECT")),
            "{line:?}"
        );
    }
    // It never queued.
    assert!(of_job(lines(&cluster, "statement queued")?, &first.job_id).is_empty());

    let made = lines(&cluster, "session created")?;
    let made = made
        .iter()
        .filter(|line| line["session_id"] == json!(cast.session));
    assert_eq!(made.count(), 1);
    let led = lines(&cluster, "this node leads")?;
    let mut terms: Vec<_> = led.iter().map(|line| line["term"].to_string()).collect();
    let told = terms.len();
    terms.sort();
    terms.dedup();
    assert_eq!(terms.len(), told, "a term is led once: {led:?}");

    cluster.kill9(cast.owner)?;
    until("the end of the owner to be told", SOON, || async {
        Ok(!lines(&cluster, "session taken over")?.is_empty())
    })
    .await?;
    let down = lines(&cluster, "node down")?;
    let [line] = down.as_slice() else {
        anyhow::bail!("told {} times: {down:?}", down.len());
    };
    assert_eq!(line["node_id"], json!(cast.owner));
    assert_eq!(line["level"], json!("WARN"));
    let taken = lines(&cluster, "session taken over")?;
    let taken: Vec<_> = taken
        .iter()
        .filter(|line| line["session_id"] == json!(cast.session))
        .collect();
    ensure!(taken.len() == 1, "{taken:?}");
    assert_eq!(taken[0]["from_node"], json!(cast.owner));
    assert_eq!(taken[0]["epoch"], json!(2));
    Ok(())
}

//! The table of metrics and what nodes show are the same.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, ensure};
use libra_tests::harness::{Api, Cluster, State, Submit, until};
use reqwest::Method;
use serde_json::json;

use super::{Cast, SOON, assert_succeeded, begun, sql, stub, three};

/// A metric: its type and its labels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Family {
    kind: String,
    labels: BTreeSet<String>,
    /// Values of all its labels.
    values: BTreeSet<String>,
    samples: usize,
}

type Families = BTreeMap<String, Family>;

/// What `deploy/METRICS.md` promises.
fn documented() -> Result<Families> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/METRICS.md");
    let text = std::fs::read_to_string(path)?;
    let mut families = Families::new();
    for line in text.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, kind, labels, meaning, _] = cells.as_slice() else {
            anyhow::bail!("not four columns: {line}");
        };
        ensure!(!meaning.is_empty(), "{line}");
        let labels = labels
            .split(',')
            .map(|label| label.trim().trim_matches('`'));
        let labels = labels.filter(|label| !label.is_empty());
        let family = Family {
            kind: (*kind).to_owned(),
            labels: labels.map(str::to_owned).collect(),
            ..Family::default()
        };
        let name = name.trim_matches('`').to_owned();
        ensure!(families.insert(name, family).is_none(), "twice: {line}");
    }
    ensure!(families.len() > 40, "only {} metrics read", families.len());
    Ok(families)
}

async fn scrape(api: &Api) -> Result<String> {
    let base = api.base().trim_end_matches('/');
    let base = base.strip_suffix("/api/v1").unwrap_or(base);
    let answer = reqwest::get(format!("{base}/actuator/prometheus")).await?;
    Ok(answer.error_for_status()?.text().await?)
}

/// Reads Prometheus' text form into `families`.
fn read(text: &str, families: &mut Families) -> Result<()> {
    let mut kinds = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').context("a TYPE without a type")?;
            kinds.insert(name.to_owned(), kind.to_owned());
            continue;
        }
        if line.starts_with('#') || line.is_empty() {
            continue;
        }
        let (series, _) = line.rsplit_once(' ').context("a sample without a value")?;
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| {
            let base = name.strip_suffix(suffix)?;
            (kinds.get(base).map(String::as_str) == Some("histogram")).then_some(base)
        });
        let name = histogram.unwrap_or(name);
        let kind = kinds
            .get(name)
            .with_context(|| format!("no TYPE: {line}"))?;
        let family = families.entry(name.to_owned()).or_default();
        kind.clone_into(&mut family.kind);
        family.samples += 1;
        for pair in labels.trim_end_matches('}').split("\",") {
            let Some((label, value)) = pair.split_once("=\"") else {
                continue;
            };
            if !(histogram.is_some() && label == "le") {
                family.labels.insert(label.to_owned());
                family.values.insert(value.trim_end_matches('"').to_owned());
            }
        }
    }
    Ok(())
}

async fn shown(cluster: &Cluster) -> Result<Families> {
    let mut families = Families::new();
    for id in cluster.running() {
        read(&scrape(cluster.api(id)?).await?, &mut families)?;
    }
    Ok(families)
}

/// A little of everything: all pools, an end of each kind, a limit, a death.
async fn scripted(
    cluster: &mut Cluster,
    stub: &libra_tests::stub::process::StubProcess,
) -> Result<()> {
    let cast = Cast::of(cluster).await?;
    let api = cluster.api(cast.asked)?.clone();
    for pool in ["default", "high-priority", "low-priority", "interactive"] {
        let ended = api
            .run(&cast.session, &sql("rows=50").pool(pool), SOON)
            .await?;
        assert_succeeded(&ended);
        api.pages(&ended.job_id, 20).await?;
        api.arrow(&ended.job_id).await?;
    }
    let failed = api
        .run(&cast.session, &Submit::sql("SELEC nothing"), SOON)
        .await?;
    assert_eq!(failed.state, State::Failed);
    let long = api.submit(&cast.session, &sql("delay_ms=3000")).await?;
    begun(stub, &long).await?;
    cluster.kill9(cast.owner)?;
    assert_succeeded(&api.ended(&long.job_id, SOON).await?);
    for n in 0..40 {
        let session = json!({"sessionId": format!("secret-session-{n}"), "user": "secret-user"});
        let made = api.request(Method::POST, "sessions").json(&session);
        if api.send(made).await?.status == 429 {
            return cluster.restart(cast.owner).await;
        }
    }
    anyhow::bail!("no limit was met")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_documented_is_shown_and_what_is_shown_is_documented() -> Result<()> {
    let stub = stub().await?;
    let mut cluster = three(&stub).isolated(8).start().await?;
    scripted(&mut cluster, &stub).await?;
    let documented = documented()?;
    // What is counted by followers of the registry may come a moment later.
    let all = until("every documented metric", SOON, || async {
        let shown = shown(&cluster).await?;
        Ok(documented.keys().all(|name| shown.contains_key(name)))
    });
    // What is missing is named below.
    let _ = all.await;
    let shown = shown(&cluster).await?;
    let missing: Vec<_> = documented
        .keys()
        .filter(|n| !shown.contains_key(*n))
        .collect();
    ensure!(missing.is_empty(), "documented and not shown: {missing:?}");
    let undocumented: Vec<_> = shown
        .keys()
        .filter(|n| !documented.contains_key(*n))
        .collect();
    ensure!(
        undocumented.is_empty(),
        "shown and not documented: {undocumented:?}"
    );
    for (name, family) in &shown {
        let promised = &documented[name];
        assert_eq!(family.kind, promised.kind, "{name}");
        assert_eq!(family.labels, promised.labels, "{name}");
        let secret = family.values.iter().find(|value| value.contains("secret-"));
        ensure!(secret.is_none(), "{name} has an id in a label: {secret:?}");
        let unit = ["_seconds", "_bytes", "_total", "_entries", "_index"];
        let has_unit = unit.iter().any(|unit| name.contains(unit));
        ensure!(
            has_unit || family.kind == "gauge",
            "{name} does not say its unit"
        );
        ensure!(family.samples < 2_000, "{name}: {} samples", family.samples);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_figures_are_right() -> Result<()> {
    let stub = stub().await?;
    let cluster = three(&stub).isolated(8).start().await?;
    let cast = Cast::of(&cluster).await?;
    let leader = cluster.api(cast.leader)?;
    for _ in 0..5 {
        let ended = leader.run(&cast.session, &sql("rows=50"), SOON).await?;
        assert_succeeded(&ended);
    }
    let sample = |text: &str, series: &str| -> Option<f64> {
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{series} ")));
        line?.rsplit_once(' ')?.1.parse().ok()
    };
    let owner = cluster.api(cast.owner)?;
    until("the owner to have counted", SOON, || async {
        let text = scrape(owner).await?;
        let ended = sample(
            &text,
            "libra_pool_ended_total{pool=\"default\",state=\"succeeded\"}",
        );
        Ok(ended.is_some_and(|ended| ended >= 5.0))
    })
    .await?;
    let (at_leader, at_owner) = (scrape(leader).await?, scrape(owner).await?);
    for (text, series, expected) in [
        (&at_leader, "libra_raft_is_leader", 1.0),
        (&at_owner, "libra_raft_is_leader", 0.0),
        (&at_owner, "libra_raft_leader_known", 1.0),
        (&at_leader, "libra_raft_members{role=\"voter\"}", 3.0),
        (&at_owner, "libra_cluster_nodes{state=\"up\"}", 3.0),
        (&at_owner, "libra_cluster_nodes{state=\"down\"}", 0.0),
        (&at_owner, "libra_sessions_max", 8.0),
        (&at_owner, "libra_lease_held", 1.0),
        (&at_owner, "libra_lease_lapses_total", 0.0),
    ] {
        assert_eq!(sample(text, series), Some(expected), "{series}");
    }
    for (text, series) in [
        (&at_owner, "libra_raft_term"),
        (&at_owner, "libra_raft_fsync_seconds_count"),
        (&at_owner, "libra_raft_fsync_seconds_sum"),
        (
            &at_owner,
            "libra_spark_calls_total{call=\"ExecutePlan\",code=\"OK\"}",
        ),
        (&at_owner, "libra_results_written_bytes_total"),
        (&at_owner, "libra_lease_remaining_seconds"),
        (&at_owner, "process_resident_memory_bytes"),
        (&at_owner, "libra_disk_free_bytes"),
    ] {
        let value = sample(text, series).with_context(|| series.to_owned())?;
        ensure!(value > 0.0, "{series} {value}");
    }
    ensure!(at_leader.contains("libra_raft_member_lag_entries{node=\""));
    ensure!(!at_owner.contains("libra_raft_member_lag_entries{node=\""));
    Ok(())
}

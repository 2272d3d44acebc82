//! Pools as whoever runs a coordinator meets them: the allocation file and its mistakes, what is
//! said in the log and how often, a full queue, and metrics.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libra_tests::harness::{Api, Libra, LibraBuilder, State, Submit, until, until_some};
use libra_tests::stub::engine::Settings;
use libra_tests::stub::server::StubSpark;
use reqwest::Method;
use serde_json::json;
use tempfile::TempDir;

/// Long enough for what takes a moment, also on a machine that is busy with other things.
const SOON: Duration = Duration::from_secs(40);

fn with_pools(libra: LibraBuilder, file: &Path) -> LibraBuilder {
    libra.set(
        "spark.config.spark.scheduler.allocation.file",
        file.display(),
    )
}

/// Name, weight and minShare of all pools.
async fn pools(api: &Api) -> Result<Vec<(String, u64, u64)>> {
    let pools = api.pools().await?.pools.into_iter();
    Ok(pools
        .map(|pool| (pool.name, pool.weight, pool.min_share))
        .collect())
}

/// The lines of the log that say this.
fn lines(libra: &Libra, text: &str) -> Result<Vec<String>> {
    let log = libra.log()?;
    let lines = log.lines().filter(|line| line.contains(text));
    Ok(lines.map(str::to_owned).collect())
}

fn of(name: &str, weight: u64, min_share: u64) -> (String, u64, u64) {
    (name.to_owned(), weight, min_share)
}

const SEEDS: &str = "<allocations>
  <pool name='alpha'><weight>2</weight><minShare>3</minShare></pool>
  <pool name='beta'><minShare>9</minShare></pool>
</allocations>";

/// A coordinator of five slots that was first started with those pools, and their file.
async fn seeded(spark: &StubSpark) -> Result<(Libra, TempDir)> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("fairscheduler.xml");
    std::fs::write(&file, SEEDS)?;
    let libra = Libra::on(&spark.connection_string())
        .set("libra.session.mode", "ISOLATED")
        .set("libra.scheduler.slots", 5);
    Ok((with_pools(libra, &file).start().await?, folder))
}

#[tokio::test]
async fn the_file_makes_pools_and_what_may_surprise_is_said_once() -> Result<()> {
    let spark = StubSpark::start(Settings::default()).await?;
    let (libra, _folder) = seeded(&spark).await?;
    let wanted = [of("alpha", 2, 3), of("beta", 1, 9), of("default", 1, 0)];
    assert_eq!(pools(&libra.api).await?, wanted);
    let too_much = lines(&libra, "minShares are more than the slots")?;
    assert_eq!(too_much.len(), 1, "{too_much:?}");
    assert!(too_much[0].contains(" WARN "), "{too_much:?}");
    assert!(too_much[0].contains("total=12 slots=5"), "{too_much:?}");
    // The stub has no interceptor: that is said once, however many sessions there are.
    for session in ["a", "b", "c"] {
        let ended = libra
            .api
            .run(session, &Submit::sql("SELECT 1"), SOON)
            .await?;
        assert_eq!(ended.state, State::Succeeded, "{:?}", ended.error);
    }
    assert_eq!(lines(&libra, "task-level pools are off")?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_later_file_adds_pools_and_says_once_what_differs() -> Result<()> {
    let spark = StubSpark::start(Settings::default()).await?;
    let (mut libra, folder) = seeded(&spark).await?;
    let body = json!({"weight": 7, "minShare": 3, "schedulingMode": "FIFO"});
    let put = libra.api.request(Method::PUT, "pools/alpha").json(&body);
    libra.api.send(put).await?.expect(&[200])?;
    libra.kill()?;
    assert!(lines(&libra, "pools differ")?.is_empty());
    std::fs::write(
        folder.path().join("fairscheduler.xml"),
        "<allocations>
          <pool name='alpha'><weight>2</weight><minShare>3</minShare></pool>
          <pool name='beta'><weight>4</weight></pool>
          <pool name='gamma'><weight>5</weight></pool>
        </allocations>",
    )?;
    libra.start().await?;
    // It serves what it has before it has looked at its file again.
    until("the log to say what differs", SOON, || async {
        Ok(!lines(&libra, "pools differ")?.is_empty())
    })
    .await?;
    let kept = [of("alpha", 7, 3), of("beta", 1, 9), of("default", 1, 0)];
    let wanted = [&kept[..], &[of("gamma", 5, 0)]].concat();
    assert_eq!(pools(&libra.api).await?, wanted, "the cluster's pools hold");
    let differ = lines(&libra, "pools differ")?;
    assert_eq!(differ.len(), 1, "one line for all of them: {differ:?}");
    for word in [" WARN ", "alpha", "beta"] {
        assert!(differ[0].contains(word), "{word}: {differ:?}");
    }
    assert!(!differ[0].contains("gamma"), "{differ:?}");
    Ok(())
}

#[tokio::test]
async fn mistakes_in_the_file_stop_the_start_with_line_and_reason() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("fairscheduler.xml");
    let in_pool =
        |xml: &str| format!("<allocations>\n<pool name='a'>\n{xml}\n</pool></allocations>");
    let cases = [
        (in_pool("<wieght>1</wieght>"), 3, "<wieght> is not allowed"),
        (in_pool("<weight>0</weight>"), 3, "a whole number from 1"),
        (
            in_pool("<minShare>-1</minShare>"),
            3,
            "a whole number from 0",
        ),
        (
            "<allocations>\n<pool name='a'/>\n\n<pool name='a'/></allocations>".to_owned(),
            4,
            "pool `a` is given twice",
        ),
    ];
    for (xml, line, reason) in cases {
        std::fs::write(&file, &xml)?;
        let mut libra = with_pools(Libra::on("sc://127.0.0.1:1"), &file).prepare()?;
        libra.spawn()?;
        let status = until_some("libra to end", SOON, || {
            let exited = libra.exited();
            async { exited }
        })
        .await?;
        assert_eq!(status.code(), Some(2), "{xml}");
        let said = libra.log()?;
        let at = format!("fairscheduler.xml:{line}: ");
        ensure!(said.contains(&at) && said.contains(reason), "{xml}: {said}");
        assert_eq!(said.lines().count(), 1, "one message: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_full_queue_is_429_with_its_limit_and_others_are_open() -> Result<()> {
    let spark = StubSpark::start(Settings::default()).await?;
    let libra = Libra::on(&spark.connection_string())
        .set("libra.scheduler.slots", 1)
        .set("libra.scheduler.max-queued", 3)
        .start()
        .await?;
    let holds = Submit::sql("/* stub: hang */ SELECT 1").pool("interactive");
    let job = libra.api.submit("default", &holds).await?.job_id;
    until("the slot to be taken", SOON, || async {
        Ok(libra.api.statement(&job).await?.state == State::Running)
    })
    .await?;
    let queued = Submit::sql("SELECT 1").pool("interactive");
    for _ in 0..3 {
        let accepted = libra.api.submit("default", &queued).await?;
        assert_eq!(accepted.state, State::Queued);
    }
    let refused = libra.api.try_submit("default", &queued, 0).await?;
    let problem = refused.problem(429)?;
    assert_eq!(problem.code, "queue-full");
    let error = problem.errors.context("no errors")?.remove(0);
    assert_eq!(error.field, "libra.scheduler.max-queued");
    let allowed = format!("{:?} {:?}", error.allowed, problem.detail);
    assert!(allowed.contains('3'), "the limit is named: {allowed}");
    assert!(refused.header("retry-after").is_some());
    let elsewhere = Submit::sql("SELECT 1").pool("low-priority");
    libra.api.submit("default", &elsewhere).await?;
    Ok(())
}

#[tokio::test]
async fn metrics_tell_of_each_pool() -> Result<()> {
    let spark = StubSpark::start(Settings::default()).await?;
    let libra = Libra::on(&spark.connection_string())
        .set("libra.scheduler.slots", 2)
        .start()
        .await?;
    let api = &libra.api;
    let in_pool = |sql: &str| Submit::sql(sql).pool("interactive");
    let good = api.run("default", &in_pool("SELECT 1"), SOON).await?;
    assert_eq!(good.state, State::Succeeded);
    let bad = in_pool("/* stub: error=DIVIDE_BY_ZERO */ SELECT 1");
    assert_eq!(api.run("default", &bad, SOON).await?.state, State::Failed);
    for _ in 0..3 {
        api.submit("default", &in_pool("/* stub: hang */ SELECT 1"))
            .await?;
    }
    let last = api.submit("default", &in_pool("SELECT 2")).await?;
    api.cancel("default", &last.job_id).await?;
    let wanted = [
        r#"libra_pool_submitted_total{pool="interactive"} 6"#,
        r#"libra_pool_started_total{pool="interactive"} 4"#,
        r#"libra_pool_ended_total{pool="interactive",state="succeeded"} 1"#,
        r#"libra_pool_ended_total{pool="interactive",state="failed"} 1"#,
        r#"libra_pool_ended_total{pool="interactive",state="cancelled"} 1"#,
        r#"libra_pool_queue_time_seconds_count{pool="interactive"} 4"#,
        r#"libra_pool_running{pool="interactive"} 2"#,
        r#"libra_pool_queued{pool="interactive"} 1"#,
        // Four pools of minShare 1, 2, 2 and 4 on two slots: by name, as all are needy alike.
        r#"libra_pool_share{pool="interactive"} 0"#,
        r#"libra_pool_share{pool="default"} 1"#,
        r#"libra_pool_share{pool="high-priority"} 1"#,
    ];
    let missing = |text: &str| -> Vec<&str> {
        let lines = wanted.iter().filter(|line| !text.contains(**line));
        lines.copied().collect()
    };
    let told = until("the metrics of the pool", SOON, || async {
        let text = api.get("/actuator/prometheus").await?.text();
        Ok(missing(&text).is_empty())
    })
    .await;
    let last = api.get("/actuator/prometheus").await?.text();
    told.with_context(|| format!("{:#?} of {last}", missing(&last)))
}

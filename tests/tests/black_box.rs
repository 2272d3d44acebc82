//! The binary `libra` from outside, without any Spark: its command line, and a coordinator whose
//! Spark cannot be reached.

use std::process::{Command, Output};
use std::time::Duration;

use anyhow::Result;
use libra_tests::harness::{Libra, State, Submit, free_port, libra_binary};
use reqwest::Method;
use serde_json::json;

fn libra(args: &[&str]) -> Result<Output> {
    let dir = tempfile::tempdir()?;
    Ok(Command::new(libra_binary()?)
        .args(args)
        .current_dir(dir.path())
        .output()?)
}

fn said(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!(
        "{}{}",
        String::from_utf8_lossy(out),
        String::from_utf8_lossy(err)
    )
}

/// A coordinator whose Spark is a port that nobody listens on.
async fn without_spark() -> Result<Libra> {
    Libra::on(&format!("sc://127.0.0.1:{}", free_port()?))
        .start()
        .await
}

#[test]
fn the_command_tells_its_version_and_what_it_can_do() -> Result<()> {
    let version = libra(&["--version"])?;
    assert!(version.status.success(), "{}", said(&version));
    assert!(
        said(&version).contains(env!("CARGO_PKG_VERSION")),
        "{}",
        said(&version)
    );
    let help = libra(&["--help"])?;
    assert!(help.status.success(), "{}", said(&help));
    for command in ["serve", "dev", "health"] {
        assert!(said(&help).contains(command), "{}", said(&help));
    }
    Ok(())
}

#[test]
fn a_bad_setting_stops_the_start_and_is_named() -> Result<()> {
    for (setting, named) in [
        ("libra.scheduler.slot=8", "libra.scheduler.slot"),
        ("libra.scheduler.slots=many", "libra.scheduler.slots"),
        ("libra.session.mode=BOTH", "libra.session.mode"),
        ("spark.remote=http://127.0.0.1:15002", "spark.remote"),
    ] {
        let output = libra(&["serve", "--set", setting])?;
        assert!(!output.status.success(), "{setting} was taken");
        assert!(
            said(&output).contains(named),
            "{setting}: {}",
            said(&output)
        );
    }
    let output = libra(&["serve", "--config", "no-such-file.yml"])?;
    assert!(!output.status.success());
    assert!(
        said(&output).contains("no-such-file.yml"),
        "{}",
        said(&output)
    );
    Ok(())
}

/// For chaos tests: what they want off is off, and nothing else is.
#[tokio::test]
async fn a_safety_that_is_off_is_told_and_one_that_is_none_is_refused() -> Result<()> {
    let dir = tempfile::tempdir()?;
    let output = Command::new(libra_binary()?)
        .arg("serve")
        .env("SAFETY_OFF", "epoch-check,everything")
        .current_dir(dir.path())
        .output()?;
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(
        said(&output).contains("`everything`") && said(&output).contains("slot-referee"),
        "{}",
        said(&output)
    );
    let port = free_port()?;
    let libra = Libra::on(&format!("sc://127.0.0.1:{port}"))
        .env("SAFETY_OFF", "slot-referee,epoch-check")
        .start()
        .await?;
    let warned = libra.log()?;
    assert!(
        warned.contains("WARN") && warned.contains("slot-referee,epoch-check"),
        "{warned}"
    );
    Ok(())
}

#[test]
fn a_configuration_can_be_checked_without_a_start() -> Result<()> {
    let good = libra(&["serve", "--check", "--set", "libra.session.mode=ISOLATED"])?;
    assert_eq!(good.status.code(), Some(0), "{}", said(&good));
    assert!(said(&good).contains("nothing is wrong"), "{}", said(&good));
    let bad = libra(&["serve", "--check", "--set", "libra.session.mode=BOTH"])?;
    assert_eq!(bad.status.code(), Some(2), "{}", said(&bad));
    assert!(said(&bad).contains("libra.session.mode"), "{}", said(&bad));
    Ok(())
}

#[tokio::test]
async fn the_health_command_says_what_the_actuator_says() -> Result<()> {
    let coordinator = without_spark().await?;
    let url = coordinator.api.base();
    let ask = |probe: &str| libra(&["health", "--url", url, "--probe", probe]);
    for probe in ["liveness", "readiness"] {
        let output = ask(probe)?;
        assert_eq!(output.status.code(), Some(0), "{probe}: {}", said(&output));
        assert_eq!(said(&output), "UP\n", "{probe}");
    }
    let output = ask("whole")?;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("spark DOWN"), "{}", said(&output));
    // As in a container without certificates, which plain HTTP does not need.
    for command in [&["health"][..], &["top"], &["sql", "-e", ""]] {
        let output = Command::new(libra_binary()?)
            .args(command)
            .env("LIBRA_URL", url)
            .env("SSL_CERT_FILE", "no-such-file")
            .env("SSL_CERT_DIR", "no-such-folder")
            .output()?;
        assert_eq!(
            output.status.code(),
            Some(0),
            "{command:?}: {}",
            said(&output)
        );
    }
    let nowhere = format!("http://127.0.0.1:{}", free_port()?);
    let output = libra(&["health", "--url", &nowhere])?;
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains(&nowhere), "{}", said(&output));
    Ok(())
}

#[tokio::test]
async fn a_data_directory_in_use_is_refused() -> Result<()> {
    let first = without_spark().await?;
    let data = first.data_dir().display().to_string();
    let second = Libra::on("sc://127.0.0.1:1")
        .set("libra.node.data-dir", &data)
        .start()
        .await;
    let error = second
        .err()
        .map(|error| format!("{error:#}"))
        .unwrap_or_default();
    assert!(
        error.contains("ended with"),
        "the second was not refused: {error}"
    );
    assert!(
        error.contains(&data),
        "the reason does not name the directory: {error}"
    );
    assert!(first.api.ready().await);
    Ok(())
}

#[tokio::test]
async fn without_spark_it_serves_and_statements_wait() -> Result<()> {
    let libra = without_spark().await?;
    let api = &libra.api;
    let statement = api.submit("default", &Submit::sql("SELECT 1")).await?;
    assert!(!statement.state.ended(), "{statement:?}");
    assert_eq!(statement.job_number()?, 1);
    assert_eq!(api.get("/actuator/health/liveness").await?.status, 200);
    let cluster = api.cluster().await?;
    assert_eq!((cluster.leader, cluster.nodes.len()), (Some(1), 1));
    assert_eq!(cluster.nodes[0].role, "leader");

    let cancel = api.cancel("default", &statement.job_id).await?;
    assert!(cancel.statement.cancel_requested_at.is_some() || cancel.statement.state.ended());
    let ended = api
        .ended(&statement.job_id, Duration::from_secs(30))
        .await?;
    assert_eq!(ended.state, State::Cancelled, "{:?}", ended.error);
    Ok(())
}

#[tokio::test]
async fn bad_requests_are_problems_that_name_the_field() -> Result<()> {
    let libra = without_spark().await?;
    let api = &libra.api;
    let path = "sessions/default/statements";
    for (body, field) in [
        (json!({}), "code"),
        (json!({"code": ""}), "code"),
        (json!({"code": "SELECT 1", "pool": "no-such-pool"}), "pool"),
        (json!({"code": "SELECT 1", "kind": "python"}), "kind"),
        (json!({"code": "SELECT 1", "colour": "red"}), "colour"),
    ] {
        let reply = api
            .send(api.request(Method::POST, path).json(&body))
            .await?;
        reply.problem(400)?;
        assert!(reply.text().contains(field), "{body}: {}", reply.text());
    }
    api.get("statements/job-999").await?.problem(404)?;
    api.get("sessions/nobody").await?.problem(404)?;
    let wrong = api.send(api.request(Method::PUT, path)).await?;
    wrong.problem(405)?;
    assert!(
        wrong
            .header("allow")
            .is_some_and(|allow| allow.contains("POST"))
    );
    let taken = api
        .send(api.request(Method::POST, "sessions").json(&json!({})))
        .await?;
    assert_eq!(taken.problem(409)?.code, "mode-shared");
    Ok(())
}

#[tokio::test]
async fn the_guides_pools_are_there_by_default() -> Result<()> {
    let libra = without_spark().await?;
    let mut pools: Vec<_> = libra.api.pools().await?.pools.into_iter().collect();
    pools.sort_by(|a, b| a.name.cmp(&b.name));
    let seen: Vec<_> = pools
        .iter()
        .map(|p| (&*p.name, p.weight, p.min_share))
        .collect();
    let wanted = [
        ("default", 1, 2),
        ("high-priority", 3, 4),
        ("interactive", 2, 2),
        ("low-priority", 1, 1),
    ];
    assert_eq!(seen, wanted);
    assert!(pools.iter().all(|pool| pool.scheduling_mode == "FAIR"));
    Ok(())
}

#[tokio::test]
async fn sigterm_ends_it_well_and_it_starts_again() -> Result<()> {
    let mut libra = without_spark().await?;
    let job = libra
        .api
        .submit("default", &Submit::sql("SELECT 1"))
        .await?
        .job_id;
    let status = libra.stop().await?;
    assert!(status.success(), "{status}");
    libra.start().await?;
    let statement = libra.api.statement(&job).await?;
    assert!(!statement.state.ended(), "{statement:?}");
    Ok(())
}

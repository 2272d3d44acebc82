//! Forms of the output: tables, JSON, YAML, again and again.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use libra_tests::harness::{Libra, libra_binary, libra_on_terminal};
use libra_tests::scene::{SOON, stub};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use super::at_endpoint;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_has_three_forms_and_is_shown_again_and_again() -> Result<()> {
    let stub = stub().await?;
    let node = Libra::on(stub.connection_string()).start().await?;
    let grpc = format!("127.0.0.1:{}", node.grpc());

    let plain = at_endpoint(&grpc, "pools list").await?.expect(0)?;
    let mut lines = plain.out.lines();
    let head = lines.next().context("no head")?;
    let words: Vec<&str> = head.split_whitespace().collect();
    let titles = [
        "POOL", "STATE", "RUNNING", "QUEUED", "WEIGHT", "MINSHARE", "MAX", "ORDER",
    ];
    assert_eq!(words, titles);
    ensure!(lines.count() == 4, "{}", plain.out);
    ensure!(
        !plain.out.contains('\u{1b}'),
        "colours on a pipe: {:?}",
        plain.out
    );

    let json = at_endpoint(&grpc, "pools list -o json").await?.json()?;
    assert_eq!(json["pools"][0]["name"], "default");
    assert_eq!(json["pools"][0]["minShare"], 2);
    assert_eq!(json["pools"][0]["maxRunning"], serde_json::Value::Null);
    let yaml = at_endpoint(&grpc, "pools list --output yaml")
        .await?
        .expect(0)?;
    ensure!(yaml.out.starts_with("pools:\n"), "{}", yaml.out);
    ensure!(yaml.out.contains("minShare: 2\n"), "{}", yaml.out);

    let terminal = ["admin", "--endpoint", &grpc, "status"];
    let seen = libra_on_terminal(&terminal, "").await?.expect(0)?;
    ensure!(
        seen.out.contains("\u{1b}[32mup") || seen.out.contains("\u{1b}[38;5;10mup"),
        "{:?}",
        seen.out
    );

    watched_on_a_pipe(&grpc).await?;
    let watched = [
        "admin",
        "--endpoint",
        &grpc,
        "pools",
        "list",
        "--watch",
        "1",
    ];
    let seen = libra_on_terminal(&watched, "q").await?.expect(0)?;
    ensure!(seen.out.contains("q ends"), "{:?}", seen.out);
    ensure!(seen.out.contains("high-priority"), "{:?}", seen.out);
    ensure!(
        seen.out.ends_with("\u{1b}[?1049l"),
        "the terminal is left as it was: {:?}",
        seen.out
    );
    Ok(())
}

/// One document a line, until Ctrl-C.
async fn watched_on_a_pipe(grpc: &str) -> Result<()> {
    let mut child = Command::new(libra_binary()?)
        .args([
            "admin",
            "--endpoint",
            grpc,
            "status",
            "-o",
            "json",
            "--watch",
            "1",
        ])
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let out = child.stdout.take().context("no output")?;
    let mut lines = BufReader::new(out).lines();
    for _ in 0..2 {
        let line = timeout(SOON, lines.next_line())
            .await??
            .context("it ended")?;
        let cluster: serde_json::Value = serde_json::from_str(&line)?;
        assert_eq!(cluster["leader"], 1);
    }
    let pid = child
        .id()
        .and_then(|pid| Pid::from_raw(pid.try_into().ok()?));
    kill_process(pid.context("it is gone")?, Signal::INT)?;
    let status = timeout(Duration::from_secs(10), child.wait()).await??;
    ensure!(status.success(), "{status}");
    Ok(())
}

#[tokio::test]
async fn completions_are_of_the_whole_command() -> Result<()> {
    for (shell, part) in [
        ("bash", "_libra()"),
        ("zsh", "#compdef libra"),
        ("fish", "-l running-longer-than"),
    ] {
        let ended = libra_tests::harness::libra(&["completions", shell])
            .await?
            .expect(0)?;
        ensure!(ended.out.contains(part), "{shell}");
        for word in ["serve", "admin", "rebalance"] {
            ensure!(ended.out.contains(word), "{shell}: {word}");
        }
    }
    Ok(())
}

//! Other people's programs, run to their end.
//!
//! **Invariant:** every run has a limit, and a failure tells what the program said.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

const ENDED_WITHIN: Duration = Duration::from_secs(20);

/// Runs a program and gives what it printed.
///
/// # Errors
/// When it cannot be started, fails, or does not end in time.
pub(in super::super) async fn run(words: &[&str]) -> Result<String> {
    run_with(words, "").await
}

/// The same with something on its standard input.
///
/// # Errors
/// As [`run`].
pub(in super::super) async fn run_with(words: &[&str], input: &str) -> Result<String> {
    let told = words.join(" ");
    let (program, arguments) = words.split_first().context("no program")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| told.clone())?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read has ended; its status says why.
        let _ = stdin.write_all(input.as_bytes()).await;
    }
    let output = timeout(ENDED_WITHIN, child.wait_with_output())
        .await
        .with_context(|| format!("{told}: no end within {ENDED_WITHIN:?}"))??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{told}: {}: {}",
        output.status,
        said.trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program is there to be started.
pub(in super::super) fn exists(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

/// The first of some files that is there.
pub(in super::super) fn first_file(names: &[&str]) -> Option<String> {
    let found = names
        .iter()
        .find(|name| std::path::Path::new(name).exists());
    found.map(|name| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_failure_tells_what_was_said() {
        assert_eq!(run(&["echo", "yes"]).await.unwrap(), "yes\n");
        assert_eq!(run_with(&["cat"], "text").await.unwrap(), "text");
        let error = run(&["bash", "-c", "echo why >&2; exit 3"]).await;
        let text = format!("{:#}", error.unwrap_err());
        assert!(text.contains("why") && text.contains('3'), "{text}");
        assert!(run(&["no-such-program-at-all"]).await.is_err());
        assert!(exists("bash") && !exists("no-such-program-at-all"));
    }
}

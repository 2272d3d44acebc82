//! The command `libra` as a person or a script runs it: arguments in; exit code, standard output
//! and standard error out.
//!
//! **Invariant:** no run takes longer than its limit, and none sees a `LIBRA_*` variable of the
//! test's own environment.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::libra::libra_binary;

const ENDS_WITHIN: Duration = Duration::from_secs(60);

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The exit code.
    pub code: i32,
    /// Standard output; on a terminal standard error too.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Ended {
    /// Itself, if the exit code is this.
    ///
    /// # Errors
    /// When it is another; the error holds what was said.
    pub fn expect(self, code: i32) -> Result<Self> {
        if self.code != code {
            bail!(
                "exit code {}, not {code}: {}{}",
                self.code,
                self.out,
                self.err
            );
        }
        Ok(self)
    }

    /// Standard output as JSON, if the run succeeded.
    ///
    /// # Errors
    /// When it did not, or it is none.
    pub fn json(self) -> Result<Value> {
        let ended = self.expect(0)?;
        serde_json::from_str(&ended.out).with_context(|| ended.out.clone())
    }
}

/// A run of `libra` with these arguments, without a terminal.
///
/// # Errors
/// When it does not end within a minute.
pub async fn libra<A: AsRef<str>>(arguments: &[A]) -> Result<Ended> {
    let mut command = Command::new(libra_binary()?);
    command.args(arguments.iter().map(AsRef::as_ref));
    run(command, "").await
}

/// The same on a terminal of its own (80 columns), on which `typed` is typed. Needs script(1).
///
/// # Errors
/// When it does not end within a minute, or there is no script(1).
pub async fn libra_on_terminal<A: AsRef<str>>(arguments: &[A], typed: &str) -> Result<Ended> {
    let binary = libra_binary()?.display().to_string();
    let words = std::iter::once(binary.as_str()).chain(arguments.iter().map(AsRef::as_ref));
    let words: Vec<String> = words.map(|word| format!("'{word}'")).collect();
    let line = format!("stty cols 80 rows 40; exec {}", words.join(" "));
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    command.env("TERM", "xterm");
    run(command, typed).await
}

async fn run(mut command: Command, typed: &str) -> Result<Ended> {
    for (key, _) in std::env::vars() {
        if key.starts_with("LIBRA_") {
            command.env_remove(key);
        }
    }
    let input = if typed.is_empty() {
        Stdio::null()
    } else {
        Stdio::piped()
    };
    let said = format!("{command:?}");
    let mut child = command
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| said.clone())?;
    // Held until it has ended: the end of what is typed would be the end of the terminal.
    let mut keyboard = child.stdin.take();
    if let Some(keyboard) = &mut keyboard {
        keyboard.write_all(typed.as_bytes()).await?;
        keyboard.flush().await?;
    }
    let ended = timeout(ENDS_WITHIN, child.wait_with_output()).await;
    let ended = ended.with_context(|| format!("did not end: {said}"))??;
    drop(keyboard);
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).replace("\r\n", "\n");
    Ok(Ended {
        code: ended.status.code().context("ended by a signal")?,
        out: text(ended.stdout),
        err: text(ended.stderr),
    })
}

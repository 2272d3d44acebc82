//! A child process in a group of its own that cannot outlive the test.
//!
//! **Invariant:** only groups that this module started are ever signalled. Should the test itself
//! be killed, a guard process that reads a pipe of the test's sees its end and kills the group.

use std::fs::OpenOptions;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, kill_process, kill_process_group};

use super::wait::until_some;

pub use rustix::process::Signal;

/// Waits for the end of its standard input, then kills the group named by its argument.
const GUARD: &str = r#"trap '' INT TERM HUP; cat >/dev/null; kill -9 -- "-$1" 2>/dev/null"#;

/// A running child with its log file.
#[derive(Debug)]
pub struct GroupProcess {
    name: String,
    child: Child,
    guard: Child,
    log: PathBuf,
}

impl GroupProcess {
    /// Starts `command` in a new process group; what it prints is appended to `log`.
    ///
    /// # Errors
    /// When the log cannot be opened, or the program or its guard not be started.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let out = OpenOptions::new().create(true).append(true).open(log)?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(out.try_clone()?)
            .stderr(out)
            .process_group(0)
            .spawn()
            .with_context(|| format!("start of {name}: {command:?}"))?;
        let guard = Command::new("bash")
            .args(["-c", GUARD, "guard", &child.id().to_string()])
            .stdin(Stdio::piped())
            .process_group(0)
            .spawn();
        let guard = match guard {
            Ok(guard) => guard,
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(error).context("start of the guard (bash)");
            }
        };
        let (name, log) = (name.to_owned(), log.to_owned());
        Ok(Self {
            name,
            child,
            guard,
            log,
        })
    }

    /// The process id, which is its group's too.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the process itself.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        kill_process(Pid::from_child(&self.child), signal)
            .with_context(|| format!("{signal:?} to {}", self.name))
    }

    /// Kills the whole group with SIGKILL and waits for the process to be gone.
    ///
    /// # Errors
    /// When waiting fails.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        // A group that is gone already is what was wanted.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        self.child
            .wait()
            .with_context(|| format!("wait for {}", self.name))
    }

    /// The exit status, if it has ended.
    ///
    /// # Errors
    /// When the operating system refuses to say.
    pub fn exited(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// When it has not ended within `limit`.
    pub async fn ended(&mut self, limit: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        until_some(&what, limit, || {
            let seen = self.child.try_wait();
            async move { Ok(seen?) }
        })
        .await
    }

    /// All that it has printed so far.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn printed(&self) -> Result<String> {
        let bytes = std::fs::read(&self.log)
            .with_context(|| format!("log of {}: {}", self.name, self.log.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The last `lines` lines that it printed.
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        let printed = self.printed().unwrap_or_default();
        let all: Vec<&str> = printed.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl Drop for GroupProcess {
    fn drop(&mut self) {
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
        let _ = self.guard.kill();
        let _ = self.guard.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper() -> Command {
        let mut command = Command::new("bash");
        command.args(["-c", "echo up; sleep 600 & wait"]);
        command
    }

    fn alive(pid: u32) -> bool {
        Path::new(&format!("/proc/{pid}/cmdline")).exists()
    }

    #[tokio::test]
    async fn a_killed_process_is_gone_and_its_output_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut process = GroupProcess::start("sleeper", sleeper(), &log).unwrap();
        until_some("its first line", Duration::from_secs(10), || {
            let seen = process
                .printed()
                .map(|text| text.contains("up").then_some(()));
            async move { seen }
        })
        .await
        .unwrap();
        let pid = process.pid();
        assert!(process.exited().unwrap().is_none());
        process.kill().unwrap();
        assert!(!alive(pid));
        assert_eq!(process.tail(1), "up");
    }

    #[tokio::test]
    async fn the_guard_kills_the_group_when_the_test_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut process = GroupProcess::start("sleeper", sleeper(), &log).unwrap();
        drop(process.guard.stdin.take());
        let status = process.ended(Duration::from_secs(10)).await.unwrap();
        assert!(!status.success());
    }
}

//! Programs that must not outlive this process: each runs under a small Python program
//! (`deploy/dev/spark_guard.py`) that holds a pipe from here and ends its whole process group when
//! the pipe closes, which the kernel sees to even on kill -9.

use std::ffi::OsStr;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::timeout;

use super::DevError;

const SCRIPT: &str = include_str!("../../../deploy/dev/spark_guard.py");

/// A program to run under guard.
pub(super) struct Program {
    command: Command,
    name: String,
    grace: Duration,
    arguments: Vec<std::ffi::OsString>,
    log: PathBuf,
}

impl Program {
    /// `program`, guarded by `python`, its output appended to `log`. When it must end it has
    /// `grace` to do so by itself.
    pub(super) fn new(python: &Path, program: &Path, log: &Path, grace: Duration) -> Self {
        let mut command = Command::new(python);
        // -I: neither the user's site-packages nor PYTHON* variables may change the guard.
        command.args(["-I", "-c", SCRIPT]);
        Self {
            command,
            name: program.display().to_string(),
            grace,
            arguments: vec![program.as_os_str().to_owned()],
            log: log.to_owned(),
        }
    }

    pub(super) fn arg(&mut self, argument: impl AsRef<OsStr>) -> &mut Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub(super) fn env(&mut self, name: &str, value: impl AsRef<OsStr>) -> &mut Self {
        self.command.env(name, value);
        self
    }

    pub(super) fn without_env(&mut self, name: &str) -> &mut Self {
        self.command.env_remove(name);
        self
    }

    pub(super) fn folder(&mut self, folder: &Path) -> &mut Self {
        self.command.current_dir(folder);
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// When the guard does not start; what becomes of the program itself says its exit status.
    pub(super) fn start(mut self) -> Result<Guarded, DevError> {
        let start = |program: &str, source| DevError::Start {
            program: program.to_owned(),
            source,
        };
        self.command
            .arg(self.grace.as_secs_f64().to_string())
            .arg(&self.log)
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C goes to the terminal's foreground group: the guard must not be in it.
            .process_group(0);
        let mut guard = self
            .command
            .spawn()
            .map_err(|source| start(&self.name, source))?;
        let pipe = guard.stdin.take();
        Ok(Guarded {
            guard,
            pipe,
            grace: self.grace,
        })
    }
}

/// A running program. Dropping it ends the program, without waiting.
pub(super) struct Guarded {
    guard: Child,
    pipe: Option<ChildStdin>,
    grace: Duration,
}

/// How long the guard may take to start the program.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How much longer than the program's grace the guard itself may take.
const GUARD_LIMIT: Duration = Duration::from_secs(5);

impl Guarded {
    /// The program's process id, once, as soon as it is started; `None` if it could not be, or it
    /// was asked for before.
    pub(super) async fn pid(&mut self) -> Option<u32> {
        let mut lines = BufReader::new(self.guard.stdout.take()?).lines();
        let line = timeout(START_LIMIT, lines.next_line()).await;
        line.ok()?.ok()??.trim().parse().ok()
    }

    /// How the program has ended, if it has.
    pub(super) fn ended(&mut self) -> Option<std::io::Result<ExitStatus>> {
        self.guard.try_wait().transpose()
    }

    /// Waits until the program has ended.
    ///
    /// # Cancel safety
    /// May be called again after it was dropped.
    pub(super) async fn wait(&mut self) -> std::io::Result<ExitStatus> {
        self.guard.wait().await
    }

    /// Ends the program and waits until it is gone.
    pub(super) async fn stop(mut self) {
        drop(self.pipe.take());
        // The guard kills after the grace: if even that did not end it, nothing here will.
        let _ = timeout(self.grace + GUARD_LIMIT, self.guard.wait()).await;
    }
}

/// Only this much of a log's end is read, in bytes.
const TAIL_BYTES: i64 = 64 << 10;

/// The last lines of a log, for a message; empty if it cannot be read.
pub(super) fn tail(log: &Path, lines: usize) -> String {
    let text = read_end(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let all: Vec<_> = text.lines().collect();
    let last = all.iter().skip(all.len().saturating_sub(lines));
    last.map(|line| format!("  {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn read_end(log: &Path) -> std::io::Result<Vec<u8>> {
    let mut file = std::fs::File::open(log)?;
    // Of a shorter file the whole is read: there is nothing before its beginning.
    let _ = file.seek(SeekFrom::End(-TAIL_BYTES));
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use tempfile::TempDir;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);

    fn shell(folder: &TempDir, script: &str) -> Program {
        let log = folder.path().join("log");
        let mut program = Program::new(
            Path::new("python3"),
            Path::new("/bin/sh"),
            &log,
            Duration::from_secs(1),
        );
        program.arg("-c").arg(script);
        program
    }

    async fn until(what: &str, mut condition: impl FnMut() -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !condition() {
            assert!(Instant::now() < deadline, "{what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn is_alive(pid: &str) -> bool {
        // A zombie waits for its parent: it runs no more.
        std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[tokio::test]
    async fn output_and_status_come_through() {
        let folder = TempDir::new().unwrap();
        let mut guarded = shell(&folder, "echo out; echo err >&2; exit 7")
            .start()
            .unwrap();
        assert_eq!(guarded.wait().await.unwrap().code(), Some(7));
        assert_eq!(tail(&folder.path().join("log"), 5), "  out\n  err");
        assert_eq!(tail(&folder.path().join("log"), 1), "  err");
    }

    #[tokio::test]
    async fn the_whole_group_ends_with_the_pipe() {
        let folder = TempDir::new().unwrap();
        let pids = folder.path().join("pids");
        // A child that ignores SIGTERM, and a grandchild.
        let script = format!(
            "trap '' TERM; sleep 600 & echo $! > {0}.new; echo $$ >> {0}.new; mv {0}.new {0}; wait; wait; sleep 600",
            pids.display()
        );
        let guarded = shell(&folder, &script).start().unwrap();
        until("the program starts", || pids.exists()).await;
        let pids = std::fs::read_to_string(&pids).unwrap();
        assert!(pids.lines().all(is_alive));
        drop(guarded);
        until("the group is gone", || !pids.lines().any(is_alive)).await;
    }

    #[tokio::test]
    async fn stop_waits_for_the_end() {
        let folder = TempDir::new().unwrap();
        let started = folder.path().join("started");
        let script = format!(
            "echo $$ > {0}.new; mv {0}.new {0}; exec sleep 600",
            started.display()
        );
        let mut guarded = shell(&folder, &script).start().unwrap();
        until("the program starts", || started.exists()).await;
        let pid = std::fs::read_to_string(&started).unwrap();
        assert_eq!(guarded.pid().await, pid.trim().parse().ok());
        assert!(guarded.ended().is_none());
        guarded.stop().await;
        assert!(!is_alive(pid.trim()));
    }
}

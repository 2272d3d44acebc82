//! The processes of the coordinators, each under a guard.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

use futures::future::join_all;

use super::follow::Follower;
use super::layout::{Member, arguments};
use crate::dev::DevError;
use crate::dev::console::Console;
use crate::dev::guard::{Guarded, Program, tail};
use crate::dev::hints::NodeHint;
use crate::dev::prepare::Prepared;

/// How long a node may take to hand over and stop by itself.
const STOP_GRACE: Duration = Duration::from_secs(15);
/// How often processes and logs are looked at.
const TICK: Duration = Duration::from_millis(100);
/// Lines of a log that an error shows.
const TAIL_LINES: usize = 25;
const LOG_FILE: &str = "libra.log";
/// Where a node learns its Spark from.
const REMOTE: &str = "LIBRA_SPARK_REMOTE";

/// All nodes that were started.
pub(super) struct Nodes {
    nodes: Vec<Node>,
    console: Console,
}

struct Node {
    id: u8,
    base: String,
    pid: Option<u32>,
    /// `None` once it has ended.
    guarded: Option<Guarded>,
    follower: Follower,
    log: PathBuf,
}

/// A node that has ended.
pub(super) struct Ended {
    pub(super) id: u8,
    pub(super) status: String,
    log: PathBuf,
}

impl Ended {
    /// The failure that it is, where it was still needed.
    pub(super) fn at_its_start(&self) -> DevError {
        DevError::Node {
            id: self.id,
            status: self.status.clone(),
            log: self.log.clone(),
            tail: tail(&self.log, TAIL_LINES),
        }
    }
}

impl Nodes {
    /// Starts all of them, and waits for none to be ready.
    ///
    /// # Errors
    /// When a folder cannot be made or a guard does not start; those that run are ended then.
    pub(super) async fn start(prepared: &Prepared, console: Console) -> Result<Self, DevError> {
        let program = std::env::current_exe().map_err(|source| DevError::Start {
            program: "libra".to_owned(),
            source,
        })?;
        let mut nodes = Vec::new();
        for member in &prepared.members {
            nodes.push(start(member, &program, prepared).await?);
        }
        Ok(Self { nodes, console })
    }

    /// Where they are, to be shown.
    pub(super) fn hinted(&self) -> Vec<NodeHint> {
        let hinted = self.nodes.iter().map(|node| NodeHint {
            id: node.id,
            base: node.base.clone(),
            pid: node.pid,
        });
        hinted.collect()
    }

    /// How many were started.
    pub(super) fn count(&self) -> usize {
        self.nodes.len()
    }

    /// How many still run.
    pub(super) fn left(&self) -> usize {
        let running = self.nodes.iter().filter(|node| node.guarded.is_some());
        running.count()
    }

    /// Shows what nodes log until the next of them has ended.
    ///
    /// # Cancel safety
    /// May be called again after it was dropped: nothing is lost, nothing is shown twice.
    pub(super) async fn next_end(&mut self) -> Ended {
        loop {
            for node in &mut self.nodes {
                let lines = node.follower.lines();
                show(self.console, node.id, &lines);
                if let Some(ended) = node.ended() {
                    let lines = node.follower.rest();
                    show(self.console, node.id, &lines);
                    return ended;
                }
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Ends all of them, and waits until they are gone.
    pub(super) async fn stop(mut self) {
        let guarded = self.nodes.iter_mut().filter_map(|node| node.guarded.take());
        join_all(guarded.map(Guarded::stop)).await;
        for node in &mut self.nodes {
            let lines = node.follower.rest();
            show(self.console, node.id, &lines);
        }
    }
}

impl Node {
    fn ended(&mut self) -> Option<Ended> {
        let status = self.guarded.as_mut()?.ended()?;
        self.guarded = None;
        Some(Ended {
            id: self.id,
            status: status.map_or_else(|e| e.to_string(), told),
            log: self.log.clone(),
        })
    }
}

/// A guard tells a signal as shells do: 128 and its number.
fn told(status: ExitStatus) -> String {
    match status.code() {
        Some(code @ 129..=192) => format!("signal: {}", code - 128),
        Some(_) | None => status.to_string(),
    }
}

fn show(console: Console, id: u8, lines: &[String]) {
    for line in lines {
        console.say(&format!("[{id}] {line}"));
    }
}

async fn start(member: &Member, program: &Path, prepared: &Prepared) -> Result<Node, DevError> {
    let folder = &member.data_dir;
    let log = folder.join(LOG_FILE);
    std::fs::create_dir_all(folder)
        .and_then(|()| File::create(&log))
        .map_err(|source| DevError::Files {
            path: folder.clone(),
            source,
        })?;
    let mut guarded = Program::new(&prepared.python, program, &log, STOP_GRACE);
    let given = arguments(
        member,
        &prepared.members,
        &prepared.load,
        prepared.loaded.file.as_deref(),
        &prepared.loaded.config.log.level,
    );
    for argument in given {
        guarded.arg(argument);
    }
    guarded.env(REMOTE, prepared.behind.remote());
    let mut guarded = guarded.start()?;
    Ok(Node {
        id: member.id,
        base: format!("http://127.0.0.1:{}", member.http),
        pid: guarded.pid().await,
        guarded: Some(guarded),
        follower: Follower::new(&log),
        log,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use super::*;

    #[test]
    fn a_signal_is_told_as_one() {
        let exited = |code: i32| told(ExitStatus::from_raw(code << 8));
        assert_eq!(exited(137), "signal: 9");
        assert_eq!(exited(1), "exit status: 1");
        assert_eq!(told(ExitStatus::from_raw(9)), "signal: 9 (SIGKILL)");
    }
}

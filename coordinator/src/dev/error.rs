//! Why `libra dev` ended.

use std::num::NonZeroU8;
use std::path::PathBuf;

use thiserror::Error;

use super::install::DownloadError;
use crate::config::ConfigError;
use crate::run::RunError;

/// `libra dev` did not start, or could not go on.
#[derive(Debug, Error)]
pub enum DevError {
    /// What the machine lacks, all of it.
    #[error("this machine cannot run `libra dev` yet:\n  - {}", problems.join("\n  - "))]
    Missing {
        /// One line each, with what would help.
        problems: Vec<String>,
    },
    /// A file or folder of its own cannot be used.
    #[error("{}", path.display())]
    Files {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// Another `libra dev` uses the same data.
    #[error("another `libra dev` uses {}; stop it, or name another folder with --data-dir", path.display())]
    InUse {
        /// The data folder.
        path: PathBuf,
    },
    /// A program cannot be started.
    #[error("cannot start {program}")]
    Start {
        /// Which.
        program: String,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// A step of the installation failed.
    #[error("{step} failed; the end of {}:\n{tail}", log.display())]
    Install {
        /// Which step.
        step: &'static str,
        /// Its whole output.
        log: PathBuf,
        /// The last lines.
        tail: String,
    },
    /// pyspark cannot be downloaded.
    #[error("downloading pyspark failed")]
    Download {
        /// Why.
        #[source]
        source: DownloadError,
    },
    /// Another start installs, and does not come to an end.
    #[error("another start of libra has been installing for {minutes} minutes; see {}", log.display())]
    InstallLocked {
        /// How long this one waited.
        minutes: u64,
        /// The other's log.
        log: PathBuf,
    },
    /// Spark did not start, or ended.
    #[error("{what}; the end of {}:\n{tail}", log.display())]
    Spark {
        /// What happened.
        what: String,
        /// Spark's log.
        log: PathBuf,
        /// The last lines.
        tail: String,
    },
    /// A coordinator of a cluster ended before all were ready.
    #[error("node {id} ended at its start ({status}); the end of {}:\n{tail}", log.display())]
    Node {
        /// Which.
        id: u8,
        /// How.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The last lines.
        tail: String,
    },
    /// All coordinators of a cluster have ended.
    #[error("the last coordinator has ended")]
    NoNodes,
    /// The configuration knows nodes that are not started.
    #[error(
        "libra.cluster.peers names node {id}, and {nodes} nodes are started; remove it from the configuration, or start with other --nodes"
    )]
    OtherPeers {
        /// How many are started.
        nodes: NonZeroU8,
        /// One that is not.
        id: u64,
    },
    /// Nodes of an earlier start know each other by a port that is another's now.
    #[error("port {port} is taken, and the others know node {id} of the cluster in {} by it; free it, or name another folder with --data-dir", path.display())]
    PortOfNode {
        /// The port.
        port: u16,
        /// Whose it was.
        id: u8,
        /// The cluster's data.
        path: PathBuf,
    },
    /// It was asked to stop before it was done.
    #[error("interrupted")]
    Interrupted,
    /// The configuration cannot be used.
    #[error("configuration")]
    Config(#[from] ConfigError),
    /// The coordinator failed.
    #[error("the coordinator failed")]
    Run(#[from] RunError),
    /// The coordinator's REST API did not do what was asked.
    #[error("{what}: {problem}")]
    Rest {
        /// What was asked.
        what: String,
        /// What came instead.
        problem: String,
    },
}

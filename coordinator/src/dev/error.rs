//! Why `libra dev` ended.

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

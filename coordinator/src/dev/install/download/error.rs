//! Why a file was not downloaded.

use std::error::Error;
use std::path::PathBuf;

use http::StatusCode;
use thiserror::Error;

use super::MAX_BYTES;
use crate::dev::console::megabytes;

/// A file was not downloaded. What has arrived of it is kept, unless its content is wrong.
#[derive(Debug, Error)]
pub enum DownloadError {
    /// What pip is configured with cannot be used here.
    #[error("pip's certificates in {} cannot be read", path.display())]
    Roots {
        /// Their file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// No client can be made of what pip is configured with.
    #[error("pip's proxy or certificates cannot be used")]
    Client {
        /// Why.
        #[source]
        source: reqwest::Error,
    },
    /// The connection could not be made, or broke, as often as it was tried.
    #[error("{}", broken(*done))]
    Broken {
        /// How many bytes are kept.
        done: u64,
        /// The last reason.
        #[source]
        source: reqwest::Error,
    },
    /// The server refused, for good or as often as it was tried.
    #[error("{url}: the server answered {status}")]
    Refused {
        /// What was asked for.
        url: String,
        /// Its answer.
        status: StatusCode,
    },
    /// The server sent another part of the file than it was asked for, as often as it was tried.
    #[error("{url}: the server sent another part than it was asked for")]
    OtherPart {
        /// What was asked for.
        url: String,
    },
    /// The file has no end.
    #[error("{url} is longer than {}", megabytes(MAX_BYTES))]
    TooLong {
        /// What was asked for.
        url: String,
    },
    /// The content is not the one that the index names.
    #[error(
        "{url} has the SHA-256 {actual}, and pip's index says {expected}: it is removed, and nothing is installed"
    )]
    Wrong {
        /// What was asked for.
        url: String,
        /// What the index says.
        expected: String,
        /// What arrived.
        actual: String,
    },
    /// What arrives cannot be kept.
    #[error("{}", path.display())]
    Files {
        /// Where.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
}

impl DownloadError {
    /// Whether somebody else might get the file at the same moment.
    pub(in crate::dev::install) fn is_refusal(&self) -> bool {
        match self {
            Self::Roots { .. }
            | Self::Client { .. }
            | Self::Broken { .. }
            | Self::Refused { .. }
            | Self::OtherPart { .. } => true,
            Self::TooLong { .. } | Self::Wrong { .. } | Self::Files { .. } => false,
        }
    }

    /// Whether the same request may do better later.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            // Whoever was never connected is not put right by waiting.
            Self::Broken { done, source } => *done > 0 || !source.is_connect(),
            Self::OtherPart { .. } => true,
            Self::Refused { status, .. } => {
                status.is_server_error()
                    || [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(status)
            }
            Self::Roots { .. }
            | Self::Client { .. }
            | Self::TooLong { .. }
            | Self::Wrong { .. }
            | Self::Files { .. } => false,
        }
    }

    /// It, and what is at its bottom.
    pub(in crate::dev::install) fn with_cause(&self) -> String {
        let mut cause: &dyn Error = self;
        while let Some(source) = cause.source() {
            cause = source;
        }
        match cause.to_string() {
            cause if cause == self.to_string() => cause,
            cause => format!("{self}: {cause}"),
        }
    }
}

fn broken(done: u64) -> String {
    match done {
        0 => "the server cannot be reached".to_owned(),
        done => format!(
            "the connection broke after {}, which the next start goes on from",
            megabytes(done)
        ),
    }
}

//! Why a command ended, and what to do next.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use tonic::{Code, Status};

use super::explain::explain;
use crate::cli::report::Failure;
use crate::cli::{FAILED, USAGE};
use crate::config::Address;

/// No coordinator could be asked, or none leads: nothing was done.
const UNAVAILABLE: u8 = 3;
/// No answer in time: it may have been done.
const UNKNOWN: u8 = 4;

/// What kept a node from being asked.
#[derive(Debug)]
pub(super) struct Tried {
    pub(super) endpoint: Address,
    pub(super) why: String,
}

/// Why a command ended.
#[derive(Debug, Error)]
pub(super) enum AdminError {
    /// Nobody takes connections.
    #[error("cannot {doing}: no coordinator can be reached{}", list(tried))]
    Unreachable { doing: String, tried: Vec<Tried> },
    /// Somebody does, but speaks HTTP only.
    #[error("cannot {doing}: {endpoint} does not speak gRPC, but HTTP: it is an address of REST")]
    RestPort { doing: String, endpoint: Address },
    /// No answer within the time given.
    #[error("cannot {doing}: {endpoint} gave no answer within {} s", timeout.as_secs())]
    NoAnswer {
        doing: String,
        endpoint: Address,
        timeout: Duration,
    },
    /// The cluster's answer is no.
    #[error("cannot {doing}: {}", explain(status).reason)]
    Refused { doing: String, status: Box<Status> },
    /// The answer lacks what it must have.
    #[error("cannot {doing}: the answer has no {lacks}")]
    Incomplete { doing: String, lacks: &'static str },
    /// The one who was asked said no.
    #[error("not done: nothing was changed")]
    Declined,
    /// Nobody could be asked whether it is really meant.
    #[error("will not {doing} unasked, and there is no terminal to ask on")]
    NobodyToAsk { doing: String },
    /// Arguments that do not go together.
    #[error("{what}")]
    Arguments { what: String, next: String },
    /// A file of this machine.
    #[error("cannot {doing} {}", path.display())]
    File {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The file is there already.
    #[error("{} is there already", path.display())]
    Exists { path: PathBuf },
    /// What arrived is not what was sent.
    #[error("{} is damaged: {what}", path.display())]
    Damaged { path: PathBuf, what: String },
    /// Standard output or the terminal.
    #[error("cannot write the answer")]
    Output(#[source] io::Error),
    /// It has no form in JSON.
    #[error("cannot write the answer as JSON")]
    Json(#[source] serde_json::Error),
    /// It has no form in YAML.
    #[error("cannot write the answer as YAML: {0}")]
    Yaml(String),
}

fn list(tried: &[Tried]) -> String {
    let line = |tried: &Tried| format!("\n  {}: {}", tried.endpoint, tried.why);
    tried.iter().map(line).collect()
}

impl AdminError {
    pub(super) fn of_json(source: serde_json::Error) -> Self {
        Self::Json(source)
    }

    pub(super) fn of_yaml(source: impl ToString) -> Self {
        Self::Yaml(source.to_string())
    }

    /// The exit code, as `libra admin --help` documents it.
    pub(super) fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } | Self::RestPort { .. } => UNAVAILABLE,
            Self::NoAnswer { .. } => UNKNOWN,
            Self::Refused { status, .. } => match status.code() {
                Code::InvalidArgument => USAGE,
                Code::Unavailable => UNAVAILABLE,
                Code::DeadlineExceeded | Code::Cancelled => UNKNOWN,
                Code::Ok
                | Code::Unknown
                | Code::NotFound
                | Code::AlreadyExists
                | Code::PermissionDenied
                | Code::ResourceExhausted
                | Code::FailedPrecondition
                | Code::Aborted
                | Code::OutOfRange
                | Code::Unimplemented
                | Code::Internal
                | Code::DataLoss
                | Code::Unauthenticated => FAILED,
            },
            Self::NobodyToAsk { .. } | Self::Arguments { .. } => USAGE,
            Self::Incomplete { .. }
            | Self::Declined
            | Self::File { .. }
            | Self::Exists { .. }
            | Self::Damaged { .. }
            | Self::Output(_)
            | Self::Json(_)
            | Self::Yaml(_) => FAILED,
        }
    }

    /// What to do about it, if something can be said.
    pub(super) fn next_step(&self) -> Option<String> {
        let next = match self {
            Self::Unreachable { .. } => {
                "is `libra serve` running there? --endpoint or LIBRA_ADMIN_ENDPOINT names the gRPC \
                 addresses of nodes (libra.node.grpc), several of them separated by commas"
            }
            Self::RestPort { .. } => {
                "give the node's gRPC address (libra.node.grpc, port 9090 if nothing else is set) \
                 by --endpoint or LIBRA_ADMIN_ENDPOINT"
            }
            Self::NoAnswer { .. } => {
                "it may have been done, or may be yet: look with `libra admin status`, or ask \
                 again, which does no harm; --timeout gives it more time"
            }
            Self::Refused { status, .. } => return explain(status).next,
            Self::NobodyToAsk { .. } => "give --yes if it is really meant",
            Self::Arguments { next, .. } => next,
            Self::Exists { .. } => "choose another name, or replace it with --force",
            Self::Damaged { .. } => "make the backup anew; this file cannot be restored from",
            Self::Incomplete { .. } => {
                "coordinator and command are of different versions: use the `libra` of the cluster"
            }
            Self::Declined
            | Self::File { .. }
            | Self::Output(_)
            | Self::Json(_)
            | Self::Yaml(_) => return None,
        };
        Some(next.to_owned())
    }

    /// Whether the reader of standard output has gone, which is no failure: `… | head`.
    pub(super) fn reader_has_gone(&self) -> bool {
        matches!(self, Self::Output(source) if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl From<AdminError> for Failure {
    fn from(error: AdminError) -> Self {
        Self::advised(error.exit_code(), &error, error.next_step().as_deref())
    }
}

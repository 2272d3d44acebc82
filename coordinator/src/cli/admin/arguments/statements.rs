//! `libra admin statements …`.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::duration::time;
use super::{SureArguments, WatchArguments};

#[derive(Debug, Subcommand)]
pub(in crate::cli::admin) enum StatementsCommand {
    /// Lists statements, newest first.
    List(ListStatements),
    /// Shows one statement, with its whole text.
    Show(ShowStatement),
    /// Cancels statements: some by their ids, or all that fit.
    Cancel(CancelArguments),
}

#[derive(Debug, Args)]
pub(in crate::cli::admin) struct FilterArguments {
    /// Only those of this session.
    #[arg(long)]
    pub(in crate::cli::admin) session: Option<String>,
    /// Only those of this pool.
    #[arg(long)]
    pub(in crate::cli::admin) pool: Option<String>,
    /// Only those of this user.
    #[arg(long)]
    pub(in crate::cli::admin) user: Option<String>,
    /// Only those in one of these states; several with commas between.
    #[arg(long, value_enum, value_name = "STATE", value_delimiter = ',')]
    pub(in crate::cli::admin) state: Vec<StateOfStatement>,
    /// Only those that were accepted at least so long ago, such as 90s, 5m, 2h.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(in crate::cli::admin) older_than: Option<Duration>,
    /// Only those that run, for at least so long.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(in crate::cli::admin) running_longer_than: Option<Duration>,
}

/// How a statement is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli::admin) enum StateOfStatement {
    Queued,
    Running,
    Succeeded,
    Failed,
    Cancelled,
}

#[derive(Debug, Args)]
pub(in crate::cli::admin) struct ListStatements {
    /// Only these, such as job-17.
    #[arg(value_name = "JOB")]
    pub(in crate::cli::admin) job: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli::admin) filter: FilterArguments,
    /// At most so many; 0 = all.
    #[arg(long, value_name = "NUMBER", default_value = "100")]
    pub(in crate::cli::admin) limit: usize,
    #[command(flatten)]
    pub(in crate::cli::admin) watch: WatchArguments,
}

#[derive(Debug, Args)]
pub(in crate::cli::admin) struct ShowStatement {
    /// Its id, such as job-17.
    #[arg(value_name = "JOB")]
    pub(in crate::cli::admin) job: String,
    #[command(flatten)]
    pub(in crate::cli::admin) watch: WatchArguments,
}

#[derive(Debug, Args)]
pub(in crate::cli::admin) struct CancelArguments {
    /// These, such as job-17.
    #[arg(value_name = "JOB")]
    pub(in crate::cli::admin) job: Vec<String>,
    #[command(flatten)]
    pub(in crate::cli::admin) filter: FilterArguments,
    /// All that have not ended.
    #[arg(long, conflicts_with = "job")]
    pub(in crate::cli::admin) all: bool,
    /// At most so many, the oldest first; up to 10000.
    #[arg(long, value_name = "NUMBER", default_value = "1000")]
    pub(in crate::cli::admin) limit: u32,
    /// Only says which ones would be cancelled.
    #[arg(long)]
    pub(in crate::cli::admin) dry_run: bool,
    #[command(flatten)]
    pub(in crate::cli::admin) sure: SureArguments,
}

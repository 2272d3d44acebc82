//! `libra admin sessions …`.

use clap::{Args, Subcommand, ValueEnum};

use super::{SureArguments, WatchArguments};

#[derive(Debug, Subcommand)]
pub(in crate::cli::admin) enum SessionsCommand {
    /// Lists sessions, by id.
    List(ListSessions),
    /// Shows one session, and its statements that have not ended.
    Show(ShowSession),
    /// Gives a session to another node; its running statements go on, reattached there.
    Move(MoveArguments),
    /// Moves sessions from the nodes with the most to those with the fewest.
    Rebalance(RebalanceArguments),
    /// Closes a session; its statements that have not ended are cancelled.
    Close(CloseArguments),
}

#[derive(Debug, Args)]
pub(in crate::cli::admin) struct ListSessions {
    /// Only those in one of these states; several with commas between.
    #[arg(long, value_enum, value_name = "STATE", value_delimiter = ',')]
    pub(in crate::cli::admin) state: Vec<StateOfSession>,
    /// Only those of this node.
    #[arg(long, value_name = "NODE")]
    pub(in crate::cli::admin) node: Option<u64>,
    /// Only those of this user.
    #[arg(long)]
    pub(in crate::cli::admin) user: Option<String>,
    /// Only those on this Spark endpoint, such as sc://host:15002.
    #[arg(long, value_name = "ENDPOINT")]
    pub(in crate::cli::admin) spark: Option<String>,
    /// At most so many; 0 = all.
    #[arg(long, value_name = "NUMBER", default_value = "100")]
    pub(in crate::cli::admin) limit: usize,
    #[command(flatten)]
    pub(in crate::cli::admin) watch: WatchArguments,
}

/// How a session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(in crate::cli::admin) enum StateOfSession {
    Starting,
    Idle,
    Busy,
    Closing,
    Closed,
    Failed,
}

#[derive(Debug, Args)]
pub(in crate::cli::admin) struct SessionArguments {
    /// The session's id.
    #[arg(value_name = "SESSION")]
    pub(in crate::cli::admin) session: String,
}

#[derive(Debug, Args)]
pub(in crate::cli::admin) struct ShowSession {
    #[command(flatten)]
    pub(in crate::cli::admin) session: SessionArguments,
    #[command(flatten)]
    pub(in crate::cli::admin) watch: WatchArguments,
}

#[derive(Debug, Args)]
pub(in crate::cli::admin) struct MoveArguments {
    #[command(flatten)]
    pub(in crate::cli::admin) session: SessionArguments,
    /// To this node; without it to the one with the fewest, if that evens things out.
    #[arg(
        long,
        value_name = "NODE",
        default_value = "0",
        hide_default_value = true
    )]
    pub(in crate::cli::admin) to: u64,
    /// Only while it is in this epoch; else somebody else has moved it meanwhile.
    #[arg(long, default_value = "0", hide_default_value = true)]
    pub(in crate::cli::admin) epoch: u64,
    #[command(flatten)]
    pub(in crate::cli::admin) sure: SureArguments,
}

#[derive(Debug, Args)]
pub(in crate::cli::admin) struct RebalanceArguments {
    /// At most so many moves, up to 1000.
    #[arg(long, value_name = "NUMBER", default_value = "100")]
    pub(in crate::cli::admin) limit: u32,
    #[command(flatten)]
    pub(in crate::cli::admin) sure: SureArguments,
}

#[derive(Debug, Args)]
pub(in crate::cli::admin) struct CloseArguments {
    #[command(flatten)]
    pub(in crate::cli::admin) session: SessionArguments,
    #[command(flatten)]
    pub(in crate::cli::admin) sure: SureArguments,
}

//! `libra admin pools …`.

use clap::{Args, Subcommand, ValueEnum};

use super::{SureArguments, WatchArguments};

#[derive(Debug, Subcommand)]
pub(in crate::cli::admin) enum PoolsCommand {
    /// Lists the pools, by name.
    List(ListPools),
    /// Makes a pool, or changes what is given of one.
    Set(SetArguments),
    /// Removes a pool that holds no statements.
    Remove(RemovePool),
    /// Lets a pool start nothing more; it goes on to queue, and what runs goes on.
    Pause(NamedPool),
    /// Lets a pool start statements again.
    Resume(NamedPool),
}

#[derive(Debug, Args)]
pub(in crate::cli::admin) struct ListPools {
    #[command(flatten)]
    pub(in crate::cli::admin) watch: WatchArguments,
}

/// The order inside a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "UPPER")]
pub(in crate::cli::admin) enum Order {
    /// By acceptance.
    Fifo,
    /// Evenly between users, then sessions, then by acceptance.
    Fair,
}

#[derive(Debug, Args)]
pub(in crate::cli::admin) struct SetArguments {
    #[command(flatten)]
    pub(in crate::cli::admin) pool: NamedPool,
    /// Its share beside the other pools, from 1 [of a new pool: 1].
    #[arg(long, value_name = "NUMBER")]
    pub(in crate::cli::admin) weight: Option<u32>,
    /// The slots that it gets before others get more than theirs [of a new pool: 0].
    #[arg(long, value_name = "NUMBER")]
    pub(in crate::cli::admin) min_share: Option<u32>,
    /// The order inside it [of a new pool: FAIR].
    #[arg(long, value_enum, ignore_case = true)]
    pub(in crate::cli::admin) scheduling_mode: Option<Order>,
    /// At most so many of its statements run at once; 0 takes the limit away.
    #[arg(long, value_name = "NUMBER")]
    pub(in crate::cli::admin) max_running: Option<u32>,
}

#[derive(Debug, Args)]
pub(in crate::cli::admin) struct RemovePool {
    #[command(flatten)]
    pub(in crate::cli::admin) pool: NamedPool,
    #[command(flatten)]
    pub(in crate::cli::admin) sure: SureArguments,
}

#[derive(Debug, Args)]
pub(in crate::cli::admin) struct NamedPool {
    /// The pool's name.
    #[arg(value_name = "POOL")]
    pub(in crate::cli::admin) name: String,
}

//! `libra admin nodes …`.

use clap::{Args, Subcommand};

use super::{SureArguments, WatchArguments};
use crate::config::Address;

#[derive(Debug, Subcommand)]
pub(in crate::cli::admin) enum NodesCommand {
    /// Lists the nodes, how they are and what they do.
    List(ListNodes),
    /// Shows what one node says about itself: build, disk, clock, Spark endpoints, settings, lease.
    Show(ShowNode),
    /// Takes a node into the cluster, without a vote yet; it need not run.
    ///
    /// Start it with the others' addresses in libra.cluster.peers; it takes the registry over by
    /// itself. Then promote it.
    Add(AddArguments),
    /// Gives a node a vote, when it has caught up.
    Promote(NodeArguments),
    /// Takes a node out of the cluster; its sessions move to others first.
    Remove(SureNodeArguments),
    /// Moves a node's sessions and leadership to others; it takes none until it is undrained or
    /// started again.
    Drain(SureNodeArguments),
    /// Lets a node take sessions again.
    Undrain(NodeArguments),
    /// Hands leadership to a node.
    Transfer(TransferArguments),
}

#[derive(Debug, Args)]
pub(in crate::cli::admin) struct ListNodes {
    #[command(flatten)]
    pub(in crate::cli::admin) watch: WatchArguments,
}

#[derive(Debug, Args)]
pub(in crate::cli::admin) struct ShowNode {
    /// The node's id; without it the one that is asked.
    #[arg(value_name = "NODE", default_value = "0", hide_default_value = true)]
    pub(in crate::cli::admin) node: u64,
    #[command(flatten)]
    pub(in crate::cli::admin) watch: WatchArguments,
}

#[derive(Debug, Args)]
pub(in crate::cli::admin) struct AddArguments {
    /// Its id (libra.node.id), which no other node has or had.
    #[arg(value_name = "NODE", value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli::admin) node: u64,
    /// Its gRPC address, as the other nodes reach it.
    #[arg(value_name = "HOST:PORT")]
    pub(in crate::cli::admin) address: Address,
    /// Gives it a vote too, when it has caught up; it has to run for that.
    #[arg(long)]
    pub(in crate::cli::admin) promote: bool,
}

#[derive(Debug, Args)]
pub(in crate::cli::admin) struct NodeArguments {
    /// The node's id.
    #[arg(value_name = "NODE", value_parser = clap::value_parser!(u64).range(1..))]
    pub(in crate::cli::admin) node: u64,
}

#[derive(Debug, Args)]
pub(in crate::cli::admin) struct SureNodeArguments {
    #[command(flatten)]
    pub(in crate::cli::admin) node: NodeArguments,
    #[command(flatten)]
    pub(in crate::cli::admin) sure: SureArguments,
}

#[derive(Debug, Args)]
pub(in crate::cli::admin) struct TransferArguments {
    /// The node's id; without it the voter that lacks the fewest entries.
    #[arg(value_name = "NODE", default_value = "0", hide_default_value = true)]
    pub(in crate::cli::admin) node: u64,
}

//! `libra admin`: what an operator asks of a cluster, over gRPC, by any of its nodes.
//!
//! Exit codes: 0 done; 1 it failed or was refused; 2 wrong arguments, or nobody to ask whether it
//! is meant; 3 no coordinator that leads could be reached; 4 no answer in time, it may have been
//! done. `doctor`: 0 all well, 1 findings, 2 it could not check.
//!
//! - [`arguments`] declares, [`run`] does; one command for each call of `libra.admin.v1.Admin`.
//! - [`client`] asks one node after the other; [`error`] and [`explain`] tell what went wrong.
//! - [`view`] is what answers look like, [`output`] writes it as tables, JSON or YAML, [`watch`]
//!   again and again.
//! - [`doctor`] checks a cluster.
//!
//! **Invariant:** nothing that cannot be taken back is done without `--yes` or a yes on a terminal,
//! and standard output holds the answer and nothing else.

mod arguments;
mod client;
mod confirm;
mod doctor;
mod error;
#[cfg(test)]
mod every_call_tests;
mod explain;
mod output;
mod run;
mod view;
mod watch;

use super::report::Failure;
pub(super) use arguments::AdminArguments;
use arguments::AdminCommand;
use client::Client;
use error::AdminError;
use output::Sink;

/// Runs the command.
pub(super) async fn admin(arguments: AdminArguments) -> Result<(), Failure> {
    let AdminArguments {
        connection,
        command,
    } = arguments;
    let mut client = Client::new(connection.endpoint, connection.timeout);
    let sink = Sink::new(connection.output);
    if let AdminCommand::Doctor(arguments) = command {
        return doctor::doctor(&mut client, &sink, &arguments).await;
    }
    match dispatch(&mut client, &sink, command).await {
        Err(error) if error.reader_has_gone() => Ok(()),
        other => other.map_err(Failure::from),
    }
}

async fn dispatch(
    client: &mut Client,
    sink: &Sink,
    command: AdminCommand,
) -> Result<(), AdminError> {
    match command {
        AdminCommand::Status(arguments) => run::nodes::status(client, sink, &arguments).await,
        AdminCommand::Nodes(command) => run::nodes::nodes(client, sink, command).await,
        AdminCommand::Sessions(command) => run::sessions::sessions(client, sink, command).await,
        AdminCommand::Statements(command) => {
            run::statements::statements(client, sink, command).await
        }
        AdminCommand::Pools(command) => run::pools::pools(client, sink, command).await,
        AdminCommand::Snapshot(arguments) => run::nodes::snapshot(client, sink, &arguments).await,
        AdminCommand::Events(arguments) => run::events::events(client, sink, arguments).await,
        AdminCommand::Backup(arguments) => run::backup::backup(client, sink, &arguments).await,
        AdminCommand::Restore(arguments) => run::restore::restore(client, sink, &arguments).await,
        // Has exit codes of its own, and is not dispatched here.
        AdminCommand::Doctor(_) => Ok(()),
    }
}

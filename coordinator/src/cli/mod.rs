//! The command `libra`: arguments, signals, exit codes.
//!
//! | Exit code | Meaning |
//! |---|---|
//! | 0 | done, or stopped as asked |
//! | 1 | it failed while running; `libra health`: the coordinator is not well |
//! | 2 | wrong arguments or configuration |
//! | 3, 4 | of `libra admin`: nobody could be asked; no answer in time |
//! | 130 | `libra sql` was interrupted |
//! | 70 | the disk failed: the node stopped at once, so as not to acknowledge what is not stored |
//!
//! **Invariant:** whatever goes wrong ends in one clear message on standard error and a documented
//! exit code, never in a panic.

mod admin;
mod arguments;
mod completions;
mod health;
mod report;
mod rest;
mod serve;
mod shutdown;
mod sql;
mod top;

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Cli, Command};
use report::Failure;

/// It failed while running.
const FAILED: u8 = 1;
/// Wrong arguments or configuration.
const USAGE: u8 = 2;

/// Runs the command with the process's arguments.
#[must_use]
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version come this way too, and go to standard output.
            let _ = e.print();
            return ExitCode::from(if e.use_stderr() { USAGE } else { 0 });
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(run(cli.command)),
        Err(e) => Err(Failure::new(FAILED, &e)),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

async fn run(command: Command) -> Result<(), Failure> {
    // One provider of cryptography for all that speaks TLS; an error means that there is one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match command {
        Command::Serve(arguments) => Box::pin(serve::serve(arguments)).await,
        Command::Dev(arguments) => Box::pin(serve::dev(arguments)).await,
        Command::Sql(arguments) => Box::pin(sql::sql(arguments)).await,
        Command::Top(arguments) => Box::pin(top::top(arguments)).await,
        Command::Admin(arguments) => Box::pin(admin::admin(*arguments)).await,
        Command::Completions(arguments) => completions::completions(arguments.shell),
        Command::Health(arguments) => Box::pin(health::health(arguments)).await,
    }
}

/// Says a line on standard error.
fn tell(line: &str) {
    // Nothing can be said of a standard error that is closed.
    let _ = writeln!(io::stderr(), "{line}");
}

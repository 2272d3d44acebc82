//! `libra-failover`: kills the owner of sessions, the leader, and a node that is both, again and
//! again, and prints the table of times with what they are made of. Exits with 0 if all goals are
//! met; 1 = one was missed, 2 = nothing can be said.
//!
//! Needs `libra` and `stub-spark` beside it, of the same profile:
//! `cargo build --release -p libra-coordinator -p libra-tests --bins`

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser;
use libra_tests::bench::failover::{self, Options};

/// Measures how long statements take to go on when nodes die.
#[derive(Debug, Parser)]
#[command(name = "libra-failover")]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let printed = match failover::run(&arguments.options).await {
        Ok(report) => write!(io::stdout(), "{report}").map(|()| report.is_good()),
        Err(error) => Err(io::Error::other(format!("{error:?}"))),
    };
    match printed {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Where standard error is gone, the exit status still speaks.
            let _ = writeln!(io::stderr(), "{error}");
            ExitCode::from(2)
        }
    }
}

//! `libra-queue`: measures what a queue of 10 000 statements costs, prints every raw row, and holds
//! the figures to the goals. Exits with 0 if all goals are met; 1 = one was missed, 2 = nothing can
//! be said.
//!
//! Needs `libra` and `stub-spark` beside it, of the same profile:
//! `cargo build --release -p libra-coordinator -p libra-tests --bins`

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser;
use libra_tests::bench::queue::{self, Options};

/// Measures what a long queue costs.
#[derive(Debug, Parser)]
#[command(name = "libra-queue")]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let printed = match queue::run(&arguments.options).await {
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

//! `libra-chaos`: breaks a cluster of real processes in every way that this machine allows, and
//! says what its users saw. Exits with 0 only if all promises were kept; 1 = one was broken (or,
//! with `--strict`, a time missed), 2 = the run cannot say.
//!
//! Needs `libra` (with the feature `failpoints`, where a safety is to be taken off) and
//! `stub-spark` beside it:
//! `cargo build -p libra-coordinator -p libra-tests --bins --features libra-coordinator/failpoints`

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use libra_tests::chaos::{Delay, Options, Prove, Session, Verdict, check, enter};

/// Breaks a cluster and says what its users saw.
#[derive(Debug, Parser)]
#[command(name = "libra-chaos", args_conflicts_with_subcommands = true)]
struct Arguments {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Checks a history file again.
    Check {
        /// The file.
        history: PathBuf,
    },
    /// Takes one safety off after the other: each has to be found out.
    Prove {
        #[command(flatten)]
        what: Prove,
        #[command(flatten)]
        options: Box<Options>,
    },
    /// Holds the packets of a queue; started by the program itself.
    #[command(hide = true)]
    Delay(Delay),
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    match arguments.command {
        Some(Command::Check { history }) => {
            let row = check(&history)?;
            writeln!(io::stdout(), "{row}\nverdict: {}", row.verdict)?;
            Ok(row.verdict.exit_code().into())
        }
        Some(Command::Delay(delay)) => {
            runtime()?.block_on(delay.run())?;
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Prove { what, options }) => {
            let entrance = enter(&options)?;
            runtime()?.block_on(async {
                let mut session = Session::open(entrance, &options).await?;
                let mut stdout = io::stdout();
                let told = |proof: &str| drop(writeln!(stdout, "{proof}"));
                let proofs = session.prove(&options, &what, told).await?;
                let all = proofs.iter().all(|proof| proof.found_out());
                Ok(if all {
                    ExitCode::SUCCESS
                } else {
                    ExitCode::FAILURE
                })
            })
        }
        None => {
            let options = arguments.options;
            let entrance = enter(&options)?;
            runtime()?.block_on(async {
                let mut session = Session::open(entrance, &options).await?;
                let mut stdout = io::stdout();
                let told = |row: &_| drop(writeln!(stdout, "{row}"));
                let report = session.run(&options, told).await?;
                writeln!(io::stdout(), "{report}")?;
                let missed = options.strict && !report.in_time();
                Ok(match report.verdict() {
                    Verdict::Pass if missed => ExitCode::FAILURE,
                    verdict => verdict.exit_code().into(),
                })
            })
        }
    }
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
        let short = Arguments::parse_from(["libra-chaos", "--short"]);
        assert!(short.command.is_none() && short.options.times() == 2);
        let proof = ["libra-chaos", "prove", "--only", "fsync", "--seed", "1"];
        assert!(matches!(
            Arguments::parse_from(proof).command,
            Some(Command::Prove { .. })
        ));
    }
}

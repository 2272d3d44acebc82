//! `libra-bench`: measures, prints every raw row, and holds the figures to the goals. Exits with 0
//! if all goals are met; 1 = one was missed, 2 = nothing can be said.
//!
//! Needs `libra` and `stub-spark` beside it, of the same profile:
//! `cargo build --release -p libra-coordinator -p libra-tests --bins`

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use libra_tests::bench::report::Report;
use libra_tests::bench::{big, cluster, spark, stub, table};

/// Measures Libra.
#[derive(Debug, Parser)]
#[command(name = "libra-bench")]
struct Arguments {
    /// Prints one JSON object instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Debug, Subcommand)]
enum Benchmark {
    /// Direct Spark Connect and Libra in turn, on one real server.
    Spark(spark::Options),
    /// The coordinator alone, on the stub.
    Stub(stub::Options),
    /// Three nodes beside one, on the stub.
    Cluster(cluster::Options),
    /// One very large result, and many sessions at once, on a real server.
    Big(big::Options),
    /// The guide's table of concurrent statements, on real servers of its own.
    Table(table::Options),
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match measure(&arguments.benchmark).await {
        Ok(report) => print(&report, arguments.json).map(|()| report.is_good()),
        Err(error) => Err(error),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Where standard error is gone, the exit status still speaks.
            let _ = writeln!(io::stderr(), "{error:?}");
            ExitCode::from(2)
        }
    }
}

async fn measure(benchmark: &Benchmark) -> anyhow::Result<Report> {
    match benchmark {
        Benchmark::Spark(options) => spark::run(options).await,
        Benchmark::Stub(options) => stub::run(options).await,
        Benchmark::Cluster(options) => Box::pin(cluster::run(options)).await,
        Benchmark::Big(options) => big::run(options).await,
        Benchmark::Table(options) => Box::pin(table::run(options)).await,
    }
}

fn print(report: &Report, json: bool) -> anyhow::Result<()> {
    let mut stdout = io::stdout();
    if json {
        writeln!(stdout, "{}", serde_json::to_string(report)?)?;
    } else {
        write!(stdout, "{report}")?;
    }
    Ok(())
}

//! `libra-kill`: kills one coordinator again and again under load, and says whether anything was
//! lost, ran twice, or went back. Exits with 0 only if all promises were kept; 1 = one was broken,
//! 2 = the run cannot say.
//!
//! Needs `libra` (with the feature `failpoints`) and `stub-spark` beside it:
//! `cargo build -p libra-coordinator -p libra-tests --bins --features libra-coordinator/failpoints`

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::SystemTime;

use clap::Parser;
use libra_tests::harness::SharedSpark;
use libra_tests::kill::{Against, Options, POINTS, run};

/// Kills a coordinator again and again under load.
#[derive(Debug, Parser)]
#[command(name = "libra-kill")]
struct Arguments {
    /// How many kills.
    #[arg(long, default_value_t = 100)]
    kills: usize,
    /// At least so many of them at each fail point.
    #[arg(long, default_value_t = 5)]
    per_point: usize,
    /// Clients that work at once.
    #[arg(long, default_value_t = 10)]
    clients: usize,
    /// Statements that run at once.
    #[arg(long, default_value_t = 6)]
    slots: usize,
    /// Fewer acknowledged statements for each kill are no pass.
    #[arg(long, default_value_t = 5)]
    least_per_kill: usize,
    /// Replays the schedule and the work of an earlier run.
    #[arg(long)]
    seed: Option<u64>,
    /// Uses the real Spark of LIBRA_TEST_SPARK and LIBRA_TEST_SPARK_UI instead of the stub.
    #[arg(long)]
    real: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let now = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let seed = match arguments.seed {
        Some(seed) => seed,
        None => u64::from(now()?.subsec_nanos()),
    };
    let mut stdout = io::stdout();
    let points: Vec<&str> = POINTS.iter().map(|(name, _)| *name).collect();
    writeln!(stdout, "seed {seed}; points: {}", points.join(", "))?;
    let against = if arguments.real {
        Against::Spark(SharedSpark::find()?)
    } else {
        Against::Stub
    };
    let report = run(&Options {
        seed,
        kills: arguments.kills,
        per_point: arguments.per_point,
        clients: arguments.clients,
        slots: arguments.slots,
        least_per_kill: arguments.least_per_kill,
        against,
    })
    .await?;
    writeln!(stdout, "{report}")?;
    Ok(report.verdict.exit_code().into())
}

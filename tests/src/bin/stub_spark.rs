//! `stub-spark`: the stub Spark Connect server as a process.
//!
//! Prints one JSON line with its ports once it serves, and ends when its standard input closes, so
//! that it never outlives the test that started it.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use anyhow::Context;
use clap::Parser;
use libra_tests::stub::control;
use libra_tests::stub::engine::Settings;
use libra_tests::stub::server::StubSpark;
use tokio::net::TcpListener;

/// A Spark Connect server without a Spark.
#[derive(Debug, Parser)]
#[command(name = "stub-spark")]
struct Arguments {
    /// Where Spark Connect listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Where the control port listens.
    #[arg(long, default_value = "127.0.0.1:0")]
    control: SocketAddr,
    /// Settings as a JSON object; what is not in it has Spark's default.
    #[arg(long, default_value = "{}")]
    settings: String,
    /// Decides every id that the stub mints.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let settings: Settings =
        serde_json::from_str(&arguments.settings).context("--settings is not what it should be")?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let control = TcpListener::bind(arguments.control)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.control))?;
    let control_address = control.local_addr()?;
    let stub = StubSpark::start_on(listener, settings, arguments.seed)?;
    let ports = serde_json::json!({
        "spark": stub.connection_string(),
        "spark_port": stub.address().port(),
        "control_port": control_address.port(),
    });
    let mut stdout = io::stdout();
    writeln!(stdout, "{ports}")?;
    stdout.flush()?;
    tokio::select! {
        served = control::serve(&stub, control) => served?,
        closed = tokio::task::spawn_blocking(wait_for_end_of_input) => closed??,
    }
    Ok(())
}

fn wait_for_end_of_input() -> io::Result<()> {
    io::copy(&mut io::stdin().lock().by_ref(), &mut io::sink()).map(|_| ())
}

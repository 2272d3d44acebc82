//! `libra-queue`: prints what a queue of 10 000 statements costs. Build it with `--release`.

use std::io::Write as _;

use libra_tests::sandbox::queue_figures;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let queued = match std::env::args().nth(1) {
        Some(count) => count.parse()?,
        None => 10_000,
    };
    let figures = queue_figures(queued).await?;
    writeln!(std::io::stdout(), "{figures}")?;
    Ok(())
}

//! Promise 1 in small: a coordinator killed at every fail point, twice, and at random, under load.
//! The long run is the program `libra-kill`.

use anyhow::Result;
use libra_tests::harness::SharedSpark;
use libra_tests::kill::{Against, Options, Report, Verdict, run};

/// Another seed is another run; a failed run names its own.
fn seed() -> Result<u64> {
    match std::env::var("LIBRA_TEST_SEED") {
        Ok(seed) => Ok(seed.parse()?),
        Err(_) => Ok(3),
    }
}

#[expect(clippy::print_stdout, reason = "shown when the test fails")]
fn assert_passed(report: &Report) {
    println!("{report}");
    assert_eq!(report.verdict, Verdict::Pass, "seed {}", report.seed);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stub_kills_lose_nothing_and_run_nothing_twice() -> Result<()> {
    let report = run(&Options {
        seed: seed()?,
        kills: 17,
        per_point: 2,
        clients: 8,
        slots: 5,
        least_per_kill: 3,
        against: Against::Stub,
    })
    .await?;
    assert_passed(&report);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_twenty_kills_on_spark_lose_nothing_and_run_nothing_twice() -> Result<()> {
    let report = run(&Options {
        seed: seed()?,
        kills: 20,
        per_point: 2,
        clients: 5,
        slots: 4,
        least_per_kill: 2,
        against: Against::Spark(SharedSpark::find()?),
    })
    .await?;
    assert_passed(&report);
    Ok(())
}

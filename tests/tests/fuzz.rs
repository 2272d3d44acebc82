//! Every fuzz target, for a bounded time, on what chance makes of its seeds. `LIBRA_TEST_SEED`
//! repeats a run that has failed, `LIBRA_TEST_FUZZ_SECONDS` gives each target more time.

use std::time::Duration;

use anyhow::{Context, Result};
use libra_tests::fuzz::{TARGETS, run, target};

/// For each target: 26 s for all of them, one after the other.
const SECONDS: f64 = 2.0;

fn number<T: std::str::FromStr>(name: &str) -> Option<T> {
    std::env::var(name).ok()?.parse().ok()
}

#[expect(clippy::print_stdout, reason = "shown when the test fails")]
fn fuzz(name: &str) -> Result<()> {
    let seed = number("LIBRA_TEST_SEED").unwrap_or_else(|| uuid::Uuid::new_v4().as_u64_pair().0);
    let seconds = number("LIBRA_TEST_FUZZ_SECONDS").unwrap_or(SECONDS);
    println!("LIBRA_TEST_SEED={seed}");
    let target = target(name).context("no such target")?;
    let inputs = run(target, seed, Duration::from_secs_f64(seconds))?;
    println!("{name}: {inputs} inputs");
    Ok(())
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() -> Result<()> {
                fuzz(stringify!($name))
            }
        )*

        #[test]
        fn every_target_is_run() {
            let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(names, [$(stringify!($name)),*]);
        }
    };
}

targets! {
    config_file settings allocations endpoint ids bodies query accept arrow result_file variant
    commands snapshot
}

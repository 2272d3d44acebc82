//! Whole clusters on simulated time, by seed: that they are the same each time, that they keep every
//! promise, and that each safety that is taken off is seen. `tests/run sim` runs many more seeds.
//!
//! Safeties are taken off for a whole process: what is tested here with one of them off is tested by
//! the command, in a process of its own.

use std::process::Command;

use libra_proto::safety::Safety;
use libra_tests::sim::report::failure;
use libra_tests::sim::run;

#[test]
fn equal_seeds_are_the_same_event_by_event() {
    let (first, second) = (run(2, false), run(2, false));
    assert!(first.is_green(), "{}", failure(&first, &[]));
    assert_eq!(
        first.trace_hash, second.trace_hash,
        "{first}; then {second}"
    );
    assert_eq!(first.tally, second.tally);
    let other = run(3, false);
    assert_ne!(first.trace_hash, other.trace_hash);
}

/// Seeds that once found something, in the product or in the simulation itself.
#[test]
fn seeds_that_found_something_are_green() {
    for seed in [0, 11, 28, 348, 606, 773, 1861, 9237, 11421, 74326] {
        let outcome = run(seed, false);
        assert!(outcome.is_green(), "{}", failure(&outcome, &[]));
    }
}

/// Each of them turns red with the very first seeds.
#[test]
fn a_safety_that_is_off_is_seen_and_the_seed_replays() {
    for safety in [
        Safety::SlotReferee,
        Safety::CopiesBeforeEnd,
        Safety::ReadIndex,
    ] {
        let simulate = |range: &str| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_libra-sim"));
            command.args(["--safety-off", safety.name(), "--jobs", "1"]);
            let output = command.args(range.split(' ')).output().unwrap();
            (
                output.status.success(),
                String::from_utf8_lossy(&output.stdout).into_owned(),
            )
        };
        let (green, text) = simulate("--seeds 0..20");
        assert!(!green, "{}: nothing is seen: {text}", safety.name());
        let replay = text.lines().find_map(|line| {
            let command = line.trim().strip_prefix("replay: libra-sim ")?;
            command.split(' ').nth(1)
        });
        let (green, again) = simulate(&format!("--seed {}", replay.unwrap()));
        assert!(
            !green,
            "{}: the seed does not replay: {again}",
            safety.name()
        );
    }
}

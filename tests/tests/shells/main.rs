//! Whole coordinators, with their real shells (tonic, ractor, openraft, the result store), in one
//! simulated network before the stub: links that are cut one way or both, crashes, power cuts.
//!
//! `SEED=7` plays that seed in the test's own process; `SEEDS=100` plays so many.

mod net;
mod node;
mod scenarios;
mod seeds;
mod spark;
mod work;
mod world;

use anyhow::{Result, ensure};
use scenarios as on;
use seeds::{play, process, told};

#[test]
fn the_leader_is_cut_off() -> Result<()> {
    play("the_leader_is_cut_off", on::the_leader_is_cut_off)
}

#[test]
fn the_owner_crashes() -> Result<()> {
    play("the_owner_crashes", on::the_owner_crashes)
}

#[test]
fn the_owner_is_cut_off_both_ways() -> Result<()> {
    let name = "the_owner_is_cut_off_both_ways";
    play(name, on::the_owner_is_cut_off_both_ways)
}

#[test]
fn the_owner_is_not_heard() -> Result<()> {
    play("the_owner_is_not_heard", on::the_owner_is_not_heard)
}

#[test]
fn the_owner_does_not_hear() -> Result<()> {
    play("the_owner_does_not_hear", on::the_owner_does_not_hear)
}

#[test]
fn spark_is_cut_off() -> Result<()> {
    play("spark_is_cut_off", on::spark_is_cut_off)
}

#[test]
fn the_power_fails() -> Result<()> {
    play("the_power_fails", on::the_power_fails)
}

#[test]
fn the_same_seed_is_the_same_run() -> Result<()> {
    let story = told("the_owner_crashes", 7)?;
    ensure!(story.len() > 10, "{story:?}");
    ensure!(
        told("the_owner_crashes", 7)? == story,
        "seed 7 told two stories"
    );
    ensure!(
        told("the_owner_crashes", 8)? != story,
        "seed 8 tells that of 7"
    );
    Ok(())
}

/// The test of the tests: what they are to see, they see.
#[test]
fn a_power_cut_is_seen_where_nothing_was_synced() -> Result<()> {
    let output = process("the_power_fails", 1, "sync-before-ack")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success(), "nothing was lost");
    ensure!(said.contains("starts again"), "it failed too early: {said}");
    Ok(())
}

//! A cluster of real processes before the stub: what is true of one coordinator is true of any of
//! several, one of them gone included.
//!
//! `LIBRA_TEST_REPEATS` says how often what is measured is repeated.
//!
//! **Invariant:** what ran is counted by the stub's ledger, and no test looks inside Libra.
#![expect(
    clippy::print_stdout,
    reason = "shown by the test runner when a test fails, or when it is asked for"
)]

mod anywhere;
mod backups;
mod clients;
mod formation;
mod keys;
mod leader;
mod membership;
mod operators;
mod polls;
mod quorum;
mod spread;
mod wiped;

use libra_tests::harness::{State, Statement};
use libra_tests::scene::{SOON, begun, nothing_ran_twice, repeats, session_of, sql, stub, three};

#[track_caller]
fn assert_succeeded(statement: &Statement) {
    assert_eq!(statement.state, State::Succeeded, "{:?}", statement.error);
}

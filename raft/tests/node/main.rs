//! A node of the registry through its public API: what it keeps, what it refuses, how fast it is.
#![expect(clippy::unwrap_used, reason = "tests")]

mod commits;
mod failures;
mod guards;
mod handle;
mod kill;
mod power;
mod restart;
mod support;

//! A running statement, from the grant to the release of its operation in Spark.
//!
//! `machine` decides, without I/O; `runner` does what it says, and `ending` the last of it;
//! `leaving` is for a node that cannot store the result; `spans` says what of it is traced;
//! `cleanup` winds up operations whose statement has ended without word from Spark.
//!
//! **Invariant:** nothing here starts a statement that the registry does not have as `running`
//! under this session's epoch, and none is released in Spark before its end is applied.

mod cleanup;
mod ending;
mod failure;
mod leaving;
pub mod machine;
mod runner;
pub(crate) mod spans;

pub(crate) use cleanup::{Cleaned, clean_up};
pub(crate) use runner::{Outcome, Ports, Runner};

//! What the suites need: a harness of real processes, and a stub Spark Connect server.
//!
//! **Invariant:** nothing here is part of the product; the product never depends on it.

pub mod bench;
pub mod harness;
pub mod kill;
pub mod sandbox;
pub mod stub;

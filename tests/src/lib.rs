//! What the suites need: a harness of real processes, a stub Spark Connect server, fuzz targets.
//!
//! **Invariant:** nothing here is part of the product; the product never depends on it.

pub mod bench;
pub mod chaos;
mod checkers;
mod evidence;
pub mod fuzz;
pub mod harness;
pub mod kill;
pub mod otlp;
pub mod sandbox;
pub mod scene;
pub mod sim;
pub mod stub;

//! Doors to parsers that are private to this crate, for fuzzing: each takes any bytes.
//!
//! **Invariant:** nothing in the product calls them; whatever the bytes, they return.

pub use crate::http::fuzz::{accept, bodies, query};
pub use crate::results::fuzz::{arrow, result_file, result_file_seed, variant};

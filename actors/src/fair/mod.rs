//! Who gets the next free slot: pools by weight and minShare as Spark's fair scheduler orders
//! them, statements of a pool by acceptance or evenly between users.
//!
//! - [`model`]: what a pool is owed, and which of two pools goes first.
//! - [`allocate`]: free slots and what the pools offer in, ordered grants out.
//! - [`queue`]: what waits in one pool, and in which order it offers that.
//!
//! PURE: no runtime, no clock, no floats.
//!
//! **Invariant:** work conserving: as long as a slot is free and some pool may start a statement,
//! one is granted.

pub mod allocate;
pub mod model;
pub mod queue;

#[cfg(test)]
mod tests;

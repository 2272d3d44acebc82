//! Breaks a cluster of real processes in every way that this machine allows, and says what its
//! users saw: see [`Fault`].
//!
//! - [`place`]: where the nodes run: network namespaces, loop devices, clocks of their own.
//! - [`rig`]: the cluster under test. [`act`], [`draw`], [`strike`]: what is done to it.
//! - [`clients`]: who works meanwhile and notes every call.
//! - [`row`]: one fault, again and again, to its row of the table; [`closing`]: what is known then.
//! - [`report`]: the table, for people and as JSON. [`prove`]: that the checkers can see.
//!
//! **Invariant:** what could not be done, or not be seen, is said and is never a pass.

mod act;
mod fault;
mod options;
mod place;
mod rig;

pub use fault::Fault;
pub use options::Options;

//! A Spark Connect server without a Spark: it answers as Spark 4.3 does, and keeps a ledger of
//! everything that really ran.
//!
//! - [`engine`]: what Spark does, as a state machine; the simulator drives it without a network.
//! - [`rows`]: the Arrow batches that statements answer with.
//! - [`server`]: the engine behind tonic, on a listener with scripted faults ([`net`], [`faults`]).
//! - [`speakers`]: which node spoke for which session, as Libra's calls say.
//! - [`control`]: the HTTP/JSON side door of the `stub-spark` process, [`process`] its client.
//! - [`conformance`]: the scenarios that hold stub and real Spark to the same behaviour.
//!
//! **Invariant:** the engine decides, the server only carries: no rule of Spark's lives outside
//! [`engine`], and no socket, clock or random source lives inside it.

pub mod conformance;
pub mod control;
pub mod engine;
pub mod faults;
pub mod net;
pub mod process;
pub mod rows;
pub mod server;
pub mod speakers;

mod convert;
mod service;
mod status;
mod streaming;
#[cfg(test)]
mod tests;

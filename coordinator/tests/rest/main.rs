//! The REST API over a real registry of one node, without Spark: statements are started and ended
//! by proposing what the actors would propose.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests; clippy only knows test functions, not what they call"
)]

mod actuator;
mod bad_input;
mod client;
mod contract;
mod events;
mod isolated;
mod limits;
mod node;
mod results;
mod serving;
mod shared;

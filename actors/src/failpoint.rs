//! Named points between the steps of a statement where a test may stop, delay or kill the
//! process. Compiled to nothing without the feature `failpoints`.
//!
//! With the feature, the environment variable `FAILPOINTS` configures them in the syntax of the
//! crate `fail`, for example `streaming=3*off->return(kill)`: `return(kill)` ends the process as
//! `kill -9` would, without unwinding or flushing; `panic` panics.

/// Every point there is, in the order a statement passes them.
pub const NAMES: &[&str] = &[
    "session-actor-panic",
    "pool-actor-panic",
    "queued",
    "committed-not-sent",
    "sent-not-answered",
    "streaming",
    "cancelling",
    "stored-not-committed",
    "committed-not-released",
];

/// Reads the environment variable `FAILPOINTS`; to be called once, before the first point.
#[cfg(feature = "failpoints")]
pub fn configure() {
    // The guard would switch the points off again when dropped; they stay on for good.
    std::mem::forget(fail::FailScenario::setup());
}

/// Reads nothing: there are no points in this build.
#[cfg(not(feature = "failpoints"))]
pub fn configure() {}

/// Passes the point `name`.
#[cfg(feature = "failpoints")]
pub fn hit(name: &str) {
    fail::fail_point!(name, |_| std::process::abort());
}

/// Passes the point `name`: nothing happens in this build.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn hit(_name: &str) {}

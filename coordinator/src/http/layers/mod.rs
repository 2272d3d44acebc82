//! What every request passes on its way in and every answer on its way out.
//!
//! From the outside in: `observe` (request id, metrics, log line), `cors`, compression, `problems`
//! (the form of errors, OPTIONS), `limits` (headers, deadline, concurrency), around each handler the
//! net that catches panics, and `trace`, which needs the route.
//!
//! **Invariant:** an answer that an inner layer makes passes through the outer ones like any other.

pub(crate) mod compress;
pub(crate) mod cors;
pub(crate) mod limits;
pub(crate) mod observe;
pub(crate) mod problems;
pub(crate) mod trace;

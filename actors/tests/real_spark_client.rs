//! The Spark Connect client against a real Spark, named by `LIBRA_TEST_SPARK`
//! (`sc://host:port`), with its web UI at `LIBRA_TEST_SPARK_UI` (`http://host:port`).
//!
//! **Invariant:** a statement that must run once is counted in Spark's own record.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

#[path = "real_spark_client/errors.rs"]
mod errors;
#[path = "real_spark_client/failover.rs"]
mod failover;
#[path = "real_spark_client/sessions.rs"]
mod sessions;
#[path = "real_spark_client/statements.rs"]
mod statements;
#[path = "real_spark_client/support.rs"]
mod support;
#[path = "real_spark_client/transport.rs"]
mod transport;

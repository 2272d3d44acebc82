//! A thin client of the REST API, as its contract describes it.
//!
//! **Invariant:** nothing is retried and nothing is hidden: a call that expects success fails with
//! the whole answer in the error, and [`Api::send`] gives any answer as it came.

mod client;
mod types;

pub(super) use client::http_client;
pub use client::{Api, Cancel, Reply, Submit};
pub use types::{
    ActiveStatement, ClusterView, ErrorView, FieldError, NodeView, OwnerView, PageView, PoolList,
    PoolView, Problem, ProgressView, ResetView, ResultView, SchemaField, Session, SessionList,
    State, Statement, StatementCounts, StatementList, Time,
};

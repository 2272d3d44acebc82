//! The API's data, as api.md fixes it, and pure conversions from the registry's records.
//!
//! **Invariant:** nothing here reads a clock, the registry or a file; equal records give equal
//! JSON.

mod cluster;
mod pool;
mod request;
mod result;
mod session;
mod statement;
mod time;
mod whole;

pub use cluster::{ClusterView, NodeView};
pub use pool::{PoolList, PoolView};
pub use request::{CreateSessionBody, PutPoolBody, SubmitBody};
pub use result::{ColumnView, ResultPage, ResultView, Rows};
pub use session::{
    ActiveStatement, OwnerView, ResetView, SessionList, SessionView, StatementCountsView,
};
pub(crate) use session::{mode_label, shown_conf};
pub use statement::{ErrorView, ProgressView, QueryContextView, StatementList, StatementView};
pub use time::Timestamp;

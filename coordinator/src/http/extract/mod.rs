//! What handlers take from a request: ids, query, body, headers.
//!
//! **Invariant:** every refusal names field, value and what is allowed, and nothing that a client
//! sends is read without a bound.

pub(crate) mod accept;
pub(crate) mod body;
mod explain;
pub(crate) mod headers;
pub(crate) mod paths;
pub(crate) mod query;

pub(crate) use body::{JsonBody, NoBody, OptionalJsonBody};
pub(crate) use paths::{PoolPath, SessionPath, StatementPath};
pub(crate) use query::Query;

//! The Spark Connect client: one [`Client`] per endpoint, one [`SparkSession`] per incarnation of
//! a session, one [`ResponseStream`] per attached operation.
//!
//! - [`Endpoint`]: the connection string `sc://host:port/;…`.
//! - [`CallObserver`]: who is told of every call.
//! - [`SparkError`]: Spark's own errors told apart from those of the connection.
//!
//! **Invariant:** only [`Client::open`] speaks without an observed server-side session id, and
//! nothing here sends an operation twice: `execute`, `reattach` and `poison` are never retried.

mod client;
mod conf;
mod details;
mod endpoint;
mod error;
mod observer;
mod open;
mod options;
pub mod seal;
mod session;
mod stream;
mod time_text;
mod ui;

pub use client::{Client, ClientError};
pub use endpoint::{Endpoint, EndpointError};
pub use error::{SparkError, SparkErrorKind, classify};
pub use libra_proto::spark::get_status_response::operation_status::OperationState;
pub use observer::CallObserver;
pub use options::ClientOptions;
pub use seal::Poisoned;
pub use session::{POOL_HEADER, SparkSession};
pub use stream::{Body, Response, ResponseStream};

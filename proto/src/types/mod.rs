//! Ids, the tables of legal transitions, and Libra's own error classes.

mod change;
mod demand;
mod error_class;
mod ids;
mod transitions;

pub use change::Change;
pub use demand::{EndpointDemand, Place, PoolDemand, Stand, Standing};
pub use error_class::ErrorClass;
pub use ids::{Epoch, InvalidId, JobId, NodeId, SessionId, UserName};

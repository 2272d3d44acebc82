//! The configuration: `application.yml`, `LIBRA_*`, `--set`, bound to one typed [`Config`].
//!
//! [`KEYS`] is the only place where a key, its default, its meaning and its parser stand;
//! [`Config::load`] puts the layers together and says everything that is wrong in one message.
//!
//! **Invariant:** nothing here reads the process environment or opens a socket: the environment
//! is passed in, and no input makes the loader panic.

mod address;
mod allocation;
mod binder;
mod error;
mod keys;
mod load;
mod parse;
mod pools;
mod relaxed;
mod remote;
mod settings;
mod validate;
mod yaml;

#[cfg(test)]
mod tests;

pub use address::{Address, InvalidAddress};
pub use allocation::{AllocationError, read_allocations};
pub use error::{ConfigError, Mistake, Origin};
pub use keys::{KEYS, Key};
pub use load::{LoadOptions, Loaded};
pub use pools::guide_pools;
pub use remote::{InvalidRemote, Remote};
pub use settings::{
    Cluster, Config, Http, Limits, Log, LogFormat, Node, Results, Scheduler, Session, Spark,
};

//! Drives Libra from outside: real Spark Connect servers and real `libra` processes, each in a
//! process group of its own, and a typed client of the REST API as its contract describes it.
//!
//! - [`SparkServer`] is a Spark to kill, [`SharedSpark`] the one that `tests/run` keeps for all.
//! - [`Libra`] is one coordinator process on a data directory of its own.
//! - [`Cluster`] is several of them, [`Links`] what can be done to the network between them.
//! - [`Api`] reads answers strictly: a field that the contract does not name is an error.
//!
//! **Invariant:** nothing here looks inside Libra, no wait is without a deadline, and no process
//! outlives the test that started it, even if the test is killed.

mod api;
mod cluster;
mod command;
mod disk;
mod libra;
mod marker;
mod ports;
mod process;
mod proxy;
mod spark;
mod spark_rest;
mod wait;

pub use api::{
    ActiveStatement, Api, Cancel, ClusterView, ErrorView, FieldError, NodeView, OwnerView,
    PageView, PoolList, PoolView, Problem, ProgressView, Reply, ResetView, ResultView, SchemaField,
    Session, SessionList, State, Statement, StatementCounts, StatementList, Submit, Time,
};
pub use cluster::{Cluster, ClusterBuilder, Profile};
pub use command::{Ended, libra, libra_on_terminal};
pub use disk::bytes_below;
pub use libra::{Libra, LibraBuilder, Seat, built_binary, libra_binary};
pub use marker::Marker;
pub use ports::free_port;
pub use process::{GroupProcess, Signal};
pub use proxy::{Flow, Links};
pub use spark::{SharedSpark, SparkBuilder, SparkServer};
pub use spark_rest::{SparkRest, Work};
pub use wait::{passed, until, until_some};

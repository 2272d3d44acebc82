//! The benchmarks of `libra-bench`, and of programs of their own: each measures, prints its raw rows, and holds them to goals.
//!
//! - [`spark`]: direct Spark Connect and Libra in turn, on one real server.
//! - [`stub`]: the coordinator alone, on the stub.
//! - [`big`]: one very large result, and many sessions at once, on a real server.
//! - [`queue`]: what a long queue costs, on the stub; of `libra-queue`.
//! - [`cluster`]: three nodes beside one, on the stub.
//! - [`failover`]: how long statements take to go on when nodes die; of `libra-failover`.
//! - [`table`]: the guide's table of concurrent statements, on real servers.
//!
//! **Invariant:** what is compared is measured in one run, in turns, on the same server; every
//! figure that is judged is printed with the rows it was made of and the load of the machine.

pub mod big;
pub mod cluster;
pub mod failover;
pub mod queue;
pub mod report;
pub mod spark;
pub mod stub;
pub mod table;

mod clients;
mod figures;
mod large;
mod process;
mod sides;
mod throughput;
mod work;

pub(crate) use figures::quantile;

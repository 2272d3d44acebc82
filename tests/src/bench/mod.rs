//! The benchmarks of `libra-bench`: each measures, prints its raw rows, and holds them to goals.
//!
//! - [`spark`]: direct Spark Connect and Libra in turn, on one real server.
//! - [`stub`]: the coordinator alone, on the stub.
//! - [`big`]: one very large result, and many sessions at once, on a real server.
//!
//! **Invariant:** what is compared is measured in one run, in turns, on the same server; every
//! figure that is judged is printed with the rows it was made of and the load of the machine.

pub mod big;
pub mod report;
pub mod spark;
pub mod stub;

mod clients;
mod figures;
mod process;
mod sides;

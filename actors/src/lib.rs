//! Sessions, their statements, the scheduler and the Spark Connect client.

pub mod ports;

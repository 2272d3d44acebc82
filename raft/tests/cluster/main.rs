//! Groups of several nodes in one process, over real gRPC on the loopback, with links that can be
//! cut: how they form, agree, fail over, catch up and change.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod agreement;
mod catching_up;
mod failover;
mod formation;
mod leadership;
mod members;
mod refusals;
mod support;

//! The actors of one node of a cluster, over a registry, a result store and a Spark that are
//! pretended: what they do when leadership, sessions and leases come and go.

#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod detector;
mod drain;
mod full;
mod keeper;
mod leadership;
mod leases;
mod moves;
mod node;
mod registry;
mod spark;
mod store;

use std::time::{Duration, Instant};

/// Lets the actors work until that is so.
async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

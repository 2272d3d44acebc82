//! The live signs of all other nodes, shown on this node's board.
//!
//! **Invariant:** one stream per node; what a node said is shown for [`GRACE`] after it was last
//! heard, so that a connection that breaks for a moment is not seen, and a dead node's signs go.

use std::collections::HashMap;
use std::time::Duration;

use libra_proto::types::NodeId;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::task::AbortOnDropHandle;

use super::Peers;
use super::live::from_wire;
use crate::live::Live;

/// How often it is looked who is there.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// How long signs outlive the connection they came by.
const GRACE: Duration = Duration::from_secs(3);
const FIRST_BACKOFF: Duration = Duration::from_millis(50);
const LONGEST_BACKOFF: Duration = Duration::from_secs(1);

/// Watches all other nodes, for ever.
///
/// # Cancel safety
/// May be dropped at any time; what was heard last then stays on the board.
pub async fn relay(peers: Peers, live: Live) {
    let mut watched: HashMap<NodeId, AbortOnDropHandle<()>> = HashMap::new();
    let mut clock = interval(LOOK_EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let others: Vec<NodeId> = peers.others().iter().map(|node| node.node_id).collect();
        let gone: Vec<NodeId> = watched.keys().copied().collect();
        for node in gone.into_iter().filter(|node| !others.contains(node)) {
            watched.remove(&node);
            live.forget(node);
        }
        for node in others {
            watched.entry(node).or_insert_with(|| {
                let watching = watch(peers.clone(), live.clone(), node);
                AbortOnDropHandle::new(tokio::spawn(watching))
            });
        }
    }
}

/// Watches one node, for ever.
async fn watch(peers: Peers, live: Live, node: NodeId) {
    let mut backoff = FIRST_BACKOFF;
    let mut heard = Instant::now();
    loop {
        if follow(&peers, &live, node).await {
            (backoff, heard) = (FIRST_BACKOFF, Instant::now());
        }
        if heard.elapsed() > GRACE {
            live.forget(node);
        }
        sleep(backoff).await;
        backoff = (backoff * 2).min(LONGEST_BACKOFF);
    }
}

/// Follows one stream to its end, and says whether it ever began. A node that falls silent is found
/// out by the connection's own pings.
async fn follow(peers: &Peers, live: &Live, node: NodeId) -> bool {
    let mut stream = match peers.watch_live(node).await {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%node, %error, "live signs not heard");
            return false;
        }
    };
    let mut heard = false;
    loop {
        match stream.message().await {
            Ok(Some(update)) => {
                heard = true;
                live.heard(node, update.whole, update.signs.iter().map(from_wire));
            }
            Ok(None) => return heard,
            Err(error) => {
                tracing::debug!(%node, %error, "live signs no longer heard");
                return heard;
            }
        }
    }
}

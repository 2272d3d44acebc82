//! Changes as the actors get them.

use async_trait::async_trait;
use libra_actors::ports::{ChangeFeed, Feed};
use libra_proto::types::Change;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// One subscription.
pub(super) struct MemoryFeed(pub(super) broadcast::Receiver<Vec<Change>>);

#[async_trait]
impl ChangeFeed for MemoryFeed {
    async fn next(&mut self) -> Feed {
        match self.0.recv().await {
            Ok(changes) => Feed::Changes(changes),
            Err(RecvError::Lagged(_)) => Feed::Lagged,
            Err(RecvError::Closed) => Feed::Closed,
        }
    }
}

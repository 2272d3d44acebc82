//! The applied log as a stream of what changed, for whoever keeps a picture of the registry.
//!
//! **Invariant:** publishing never waits: a subscriber that is too slow is told that it lagged, and
//! reads everything anew.

use std::sync::{Arc, Mutex, PoisonError};

use libra_proto::types::Change;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

/// What a feed has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FeedEvent {
    /// What a batch of applied commands touched, in order of the log, and the index it reaches. A
    /// registry read after [`crate::Handle::subscribe`] may hold some of it already.
    Changes(Vec<Change>, u64),
    /// Changes were missed: read everything anew.
    Lagged,
    /// The registry has stopped; nothing follows.
    Closed,
}

#[derive(Debug)]
enum Batch {
    Changes(Vec<Change>, u64),
    /// The whole registry was replaced by a snapshot.
    Replaced,
}

/// A subscription to the applied log.
#[derive(Debug)]
pub struct ChangeFeed {
    receiver: Option<broadcast::Receiver<Arc<Batch>>>,
}

impl ChangeFeed {
    /// Waits for the next changes.
    ///
    /// # Cancel safety
    /// Nothing is lost when the future is dropped.
    pub async fn next(&mut self) -> FeedEvent {
        let Some(receiver) = &mut self.receiver else {
            return FeedEvent::Closed;
        };
        match receiver.recv().await {
            Ok(batch) => match &*batch {
                Batch::Changes(changes, index) => FeedEvent::Changes(changes.clone(), *index),
                Batch::Replaced => FeedEvent::Lagged,
            },
            Err(RecvError::Lagged(_)) => FeedEvent::Lagged,
            Err(RecvError::Closed) => {
                self.receiver = None;
                FeedEvent::Closed
            }
        }
    }
}

/// Where applied batches are published.
#[derive(Debug)]
pub(crate) struct Publisher {
    /// None once the registry has stopped.
    sender: Mutex<Option<broadcast::Sender<Arc<Batch>>>>,
}

impl Publisher {
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            sender: Mutex::new(Some(broadcast::Sender::new(capacity))),
        }
    }

    pub(crate) fn subscribe(&self) -> ChangeFeed {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        ChangeFeed {
            receiver: sender.as_ref().map(broadcast::Sender::subscribe),
        }
    }

    pub(crate) fn changes(&self, changes: Vec<Change>, index: u64) {
        if !changes.is_empty() {
            self.send(Batch::Changes(changes, index));
        }
    }

    pub(crate) fn replaced(&self) {
        self.send(Batch::Replaced);
    }

    pub(crate) fn close(&self) {
        *self.sender.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn send(&self, batch: Batch) {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = sender.as_ref() {
            // An error only says that nobody listens.
            let _ = sender.send(Arc::new(batch));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn changes_come_in_order_then_closed() {
        let publisher = Publisher::new(4);
        let mut feed = publisher.subscribe();
        publisher.changes(vec![Change::Settings], 1);
        publisher.changes(vec![], 2);
        publisher.changes(vec![Change::Settings, Change::Settings], 3);
        publisher.close();
        assert_eq!(
            feed.next().await,
            FeedEvent::Changes(vec![Change::Settings], 1)
        );
        assert_eq!(
            feed.next().await,
            FeedEvent::Changes(vec![Change::Settings; 2], 3)
        );
        assert_eq!(feed.next().await, FeedEvent::Closed);
        assert_eq!(feed.next().await, FeedEvent::Closed);
        assert_eq!(publisher.subscribe().next().await, FeedEvent::Closed);
    }

    #[tokio::test]
    async fn a_slow_subscriber_is_told_once_and_goes_on() {
        let publisher = Publisher::new(2);
        let mut feed = publisher.subscribe();
        for index in 1..=5 {
            publisher.changes(vec![Change::Settings], index);
        }
        assert_eq!(feed.next().await, FeedEvent::Lagged);
        assert_eq!(
            feed.next().await,
            FeedEvent::Changes(vec![Change::Settings], 4)
        );
    }

    #[tokio::test]
    async fn a_replaced_registry_is_read_anew() {
        let publisher = Publisher::new(2);
        let mut feed = publisher.subscribe();
        publisher.replaced();
        assert_eq!(feed.next().await, FeedEvent::Lagged);
    }
}

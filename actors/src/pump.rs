//! Carries the registry's change feed into an actor's mailbox, one batch at a time: the next is
//! read only when the last has been handled, so that the mailbox stays short.

use ractor::{ActorRef, Message};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::ports::{Feed, RegistryPort};

/// Tells the pump that a batch has been handled, by being dropped.
#[derive(Debug)]
pub(crate) struct Handled(#[expect(dead_code, reason = "held for its drop")] oneshot::Sender<()>);

/// Aborts its task when dropped, so that no task outlives the actor that started it.
#[derive(Debug)]
pub(crate) struct Attached(pub(crate) AbortHandle);

impl Drop for Attached {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Starts a pump: it reports [`Feed::Lagged`] first, so that the actor begins by reading all.
pub(crate) fn start<M: Message>(
    registry: &dyn RegistryPort,
    to: &ActorRef<M>,
    wrap: fn(Feed, Handled) -> M,
) -> Attached {
    let (mut feed, to) = (registry.subscribe(), to.clone());
    let task = tokio::spawn(async move {
        let mut news = Feed::Lagged;
        loop {
            let closed = news == Feed::Closed;
            let (handled, done) = oneshot::channel();
            if to.cast(wrap(news, Handled(handled))).is_err() || closed {
                return;
            }
            // The sender is only ever dropped: an error is the normal answer.
            let _ = done.await;
            news = feed.next().await;
        }
    });
    Attached(task.abort_handle())
}

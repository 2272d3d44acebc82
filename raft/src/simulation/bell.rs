//! News without a value: a bell, and those who listen to it.

use std::fmt;

use openraft::AsyncRuntime;
use openraft::async_runtime::{Watch, WatchReceiver, WatchSender};

use super::Runtime;

type Channel = <Runtime as AsyncRuntime>::Watch;

/// Rings when something has moved on; those who listen are woken in the order in which they came.
pub struct Bell {
    sender: <Channel as Watch>::Sender<u64>,
}

/// Listens to a [`Bell`].
#[derive(Clone)]
pub struct Listener {
    receiver: <Channel as Watch>::Receiver<u64>,
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell").finish_non_exhaustive()
    }
}

impl Default for Bell {
    fn default() -> Self {
        let (sender, _) = Channel::channel(0);
        Self { sender }
    }
}

impl Bell {
    /// Says how far it has come.
    pub fn ring(&self, at: u64) {
        self.sender.send_if_modified(|value| {
            *value = at;
            true
        });
    }

    /// Rings without saying anything new.
    pub fn nudge(&self) {
        self.sender.send_if_modified(|_| true);
    }

    /// Hears everything from now on.
    #[must_use]
    pub fn listen(&self) -> Listener {
        Listener {
            receiver: self.sender.subscribe(),
        }
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

impl Listener {
    /// How far it has come.
    #[must_use]
    pub fn at(&self) -> u64 {
        *self.receiver.borrow_watched()
    }

    /// Waits for the next ring; false when there will be none.
    pub async fn heard(&mut self) -> bool {
        self.receiver.changed().await.is_ok()
    }
}

//! What the scheduler is told.

use crate::ports::Feed;
use crate::pump::Handled;

/// One message of the scheduler.
#[derive(Debug)]
pub(crate) enum Message {
    /// The registry has changed.
    Feed(Feed, Handled),
    /// Time to start the arbiter of that endpoint.
    Start(String),
    /// Let the actor of that pool crash.
    CrashPool {
        /// Of which endpoint.
        endpoint: String,
        /// Its name.
        pool: String,
    },
}

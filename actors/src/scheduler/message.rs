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
    /// Let an actor crash.
    Crash {
        /// The arbiter of this endpoint,
        endpoint: String,
        /// or the actor of this pool under it.
        pool: Option<String>,
    },
}

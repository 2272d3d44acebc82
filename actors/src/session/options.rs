//! The times and limits of a session actor.

use std::time::Duration;

use crate::statement::machine::Limits;

/// What a session actor goes by.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How often Spark is shown that an idle session is still wanted, if its own session timeout
    /// does not ask for more.
    pub keep_alive: Duration,
    /// How often an idle channel is looked for and closed.
    pub channel_idle: Duration,
    /// The longest wait between two attempts to open the Spark session or to clean up.
    pub max_backoff: Duration,
    /// How long a closing session waits for Spark to release it.
    pub release_limit: Duration,
    /// The times of the statement machine.
    pub statement: Limits,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keep_alive: Duration::from_secs(600),
            channel_idle: Duration::from_secs(60),
            max_backoff: Duration::from_secs(2),
            release_limit: Duration::from_secs(5),
            statement: Limits::default(),
        }
    }
}

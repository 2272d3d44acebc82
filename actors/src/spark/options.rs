//! The times and sizes of the client.

use std::time::Duration;

use crate::Dial;

/// What a [`Client`](super::Client) goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientOptions {
    /// How long opening a TCP connection (and TLS on it) may take. Default 5 s.
    pub connect_timeout: Duration,
    /// How long one request with a single answer may take, retries included. Default 10 s.
    pub request_timeout: Duration,
    /// How long opening a session may take per request: a cold driver compiles its first ones.
    /// Default 30 s.
    pub open_timeout: Duration,
    /// How long a response stream may be silent before Spark is asked whether it is there.
    /// Spark sends progress every 2 s. Default 30 s.
    pub idle_limit: Duration,
    /// After how long without a frame the connection is pinged while calls are open. Default 10 s.
    pub ping_interval: Duration,
    /// How long the answer to a ping may take before the connection is given up. Default 10 s.
    pub ping_timeout: Duration,
    /// The largest message that is accepted, in bytes. Default 128 MiB.
    pub max_message_bytes: usize,
    /// HTTP/2 flow-control window of a stream, in bytes: what Spark may send ahead of the consumer.
    /// Default 1 MiB.
    pub window_bytes: u32,
    /// Flow-control window of the connection, in bytes. Far more than a stream's, so that a
    /// statement whose consumer waits for its disk does not hold up the others. Default 256 MiB.
    pub connection_window_bytes: u32,
    /// The largest HTTP/2 frame that Spark may send, in bytes, 16 KiB to 16 MiB - 1. With the usual
    /// 16 KiB, taking in a large result costs a fifth more processor time. Default 128 KiB.
    pub frame_bytes: u32,
    /// How the channel is opened. Default: over TCP.
    pub dial: Dial,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            open_timeout: Duration::from_secs(30),
            idle_limit: Duration::from_secs(30),
            ping_interval: Duration::from_secs(10),
            ping_timeout: Duration::from_secs(10),
            max_message_bytes: 128 << 20,
            window_bytes: 1 << 20,
            connection_window_bytes: 256 << 20,
            frame_bytes: 128 << 10,
            dial: Dial::TCP,
        }
    }
}

//! What the REST server may be set to.

use std::time::Duration;

/// Limits and switches of the REST server.
#[derive(Debug, Clone)]
pub struct HttpOptions {
    /// The longest body, in bytes (`libra.limits.body-bytes`).
    pub body_bytes: usize,
    /// The longest request line and headers together, in bytes.
    pub header_bytes: usize,
    /// How many requests below `/api/v1` are worked on at once, long polls included.
    pub max_requests: usize,
    /// How many event streams and result downloads are open at once.
    pub max_streams: usize,
    /// How long a request may take to its first byte, waiting for a statement included.
    pub request_deadline: Duration,
    /// How long a client may take nothing of its answer before it is cut off.
    pub stalled_reader: Duration,
    /// How long an event stream may stay open; a client then resumes.
    pub stream_lifetime: Duration,
    /// After how much silence an event stream gets a comment.
    pub event_comment_every: Duration,
    /// How long requests may still go on after a shutdown has begun.
    pub shutdown_grace: Duration,
    /// Origins that browsers may call from (`libra.http.cors-origins`); `*` for all.
    pub cors_origins: Vec<String>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            body_bytes: 4 << 20,
            header_bytes: 32 << 10,
            max_requests: 4096,
            max_streams: 1024,
            request_deadline: Duration::from_secs(75),
            stalled_reader: Duration::from_secs(300),
            stream_lifetime: Duration::from_secs(6 * 3600),
            event_comment_every: Duration::from_secs(15),
            shutdown_grace: Duration::from_secs(10),
            cors_origins: Vec::new(),
        }
    }
}

//! Where channels to other nodes come from.
//!
//! **Invariant:** a channel connects when it is first used and again after a failure; making one
//! opens nothing.

use std::fmt;
use std::time::Duration;

use thiserror::Error;
use tonic::transport::{Channel, Endpoint};

/// Makes channels to the addresses of other nodes.
///
/// [`TcpConnector`] is the one for a network; a test or a simulator has its own. A channel must
/// notice by itself that nobody answers any more ([`endpoint`] sees to that).
pub trait Connector: Send + Sync + 'static {
    /// A channel to `host:port`, which connects lazily.
    ///
    /// # Errors
    /// When that is no address.
    fn connect(&self, address: &str) -> Result<Channel, InvalidAddress>;
}

/// What was given as an address is none.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{address}` is not an address of the form host:port")]
pub struct InvalidAddress {
    /// What was given.
    pub address: String,
}

/// Connects over TCP.
#[derive(Debug, Clone)]
pub struct TcpConnector {
    patience: Duration,
}

impl TcpConnector {
    /// A connector whose channels notice within `patience` or little more that the other side has
    /// gone, however it went; about an election timeout.
    #[must_use]
    pub fn new(patience: Duration) -> Self {
        Self { patience }
    }
}

impl Connector for TcpConnector {
    fn connect(&self, address: &str) -> Result<Channel, InvalidAddress> {
        Ok(endpoint(address, self.patience)?.connect_lazy())
    }
}

impl fmt::Debug for dyn Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

/// An endpoint for `host:port` as the registry needs it: what is sent leaves at once, and a black
/// hole is noticed within `patience` or little more, by pings, also while nothing is under way.
///
/// # Errors
/// When that is no address.
pub fn endpoint(address: &str, patience: Duration) -> Result<Endpoint, InvalidAddress> {
    let endpoint =
        Endpoint::from_shared(format!("http://{address}")).map_err(|_source| InvalidAddress {
            address: address.to_owned(),
        })?;
    Ok(endpoint
        .connect_timeout(patience)
        .tcp_nodelay(true)
        .tcp_keepalive(None)
        .http2_keep_alive_interval(patience / 2)
        .keep_alive_timeout(patience / 2)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES))
}

const WINDOW_BYTES: u32 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_address_is_refused() {
        let connector = TcpConnector::new(Duration::from_secs(1));
        assert!(connector.connect("127.0.0.1:1").is_ok());
        for address in ["", "a b", "host:port:port"] {
            let error = connector.connect(address).unwrap_err();
            assert_eq!(error.address, address);
        }
    }
}

//! The two sockets of a coordinator.
//!
//! **Invariant:** both are bound before anything else starts, so that an address that is taken is
//! told at once; what others are told is an address that somebody can connect to, or what was
//! configured as one.

use tokio::net::TcpListener;

use super::RunError;
use crate::config::{Address, Config};

/// The bound sockets, and where others reach them.
pub(super) struct Listeners {
    pub(super) http: TcpListener,
    pub(super) grpc: TcpListener,
    pub(super) public_http: String,
    pub(super) public_grpc: String,
}

impl Listeners {
    pub(super) async fn bind(config: &Config) -> Result<Self, RunError> {
        let node = &config.node;
        let http = listen("libra.node.http", &node.http).await?;
        let grpc = listen("libra.node.grpc", &node.grpc).await?;
        Ok(Self {
            public_http: public(&http, &node.http, node.advertise_http.as_ref()),
            public_grpc: public(&grpc, &node.grpc, node.advertise_grpc.as_ref()),
            http,
            grpc,
        })
    }
}

async fn listen(key: &'static str, address: &Address) -> Result<TcpListener, RunError> {
    let bound = TcpListener::bind((address.host(), address.port())).await;
    bound.map_err(|source| RunError::Listen {
        key,
        address: address.to_string(),
        source,
    })
}

/// What is advertised, else what is bound: with port 0 only the listener knows it.
fn public(bound: &TcpListener, configured: &Address, advertised: Option<&Address>) -> String {
    match (advertised, bound.local_addr()) {
        (Some(advertised), _) => advertised.to_string(),
        (None, Ok(bound)) => bound.to_string(),
        (None, Err(_)) => configured.to_string(),
    }
}

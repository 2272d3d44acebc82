//! How channels to other hosts are opened.

use std::fmt;
use std::ptr;

use tonic::transport::{Channel, Endpoint};

/// Makes a channel of an endpoint that says everything about it but the network. A channel connects
/// when it is first used, and again after a failure.
#[derive(Clone, Copy)]
pub struct Dial(fn(&Endpoint) -> Channel);

impl Dial {
    /// Over TCP.
    pub const TCP: Self = Self(Endpoint::connect_lazy);

    /// Over another network: a simulated one.
    #[must_use]
    pub const fn with(open: fn(&Endpoint) -> Channel) -> Self {
        Self(open)
    }

    /// A channel; nothing is opened yet.
    #[must_use]
    pub fn channel(self, endpoint: &Endpoint) -> Channel {
        (self.0)(endpoint)
    }
}

impl fmt::Debug for Dial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::TCP { "TCP" } else { "other" })
    }
}

impl PartialEq for Dial {
    fn eq(&self, other: &Self) -> bool {
        ptr::fn_addr_eq(self.0, other.0)
    }
}

impl Eq for Dial {}

//! `host:port`.

use std::fmt;
use std::str::FromStr;

/// A host (name, IPv4, or IPv6 in brackets) and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    host: String,
    port: u16,
}

/// A text that is no `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`host:port`, such as 127.0.0.1:8080 or [::1]:8080")]
pub struct InvalidAddress;

impl Address {
    /// An address of known parts; `host` without brackets.
    #[must_use]
    pub fn new(host: &str, port: u16) -> Self {
        Self {
            host: host.to_owned(),
            port,
        }
    }

    /// The host, without brackets: with the port what `TcpListener::bind` takes.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port; 0 = any free one.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Whether it stands for all of the machine's interfaces, so that nobody can connect to it as
    /// it is written.
    #[must_use]
    pub fn is_any_host(&self) -> bool {
        self.host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_unspecified())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(InvalidAddress)?;
        if !port.bytes().all(|b| b.is_ascii_digit()) {
            return Err(InvalidAddress);
        }
        let port = port.parse().map_err(|_| InvalidAddress)?;
        let host = match host.strip_prefix('[') {
            Some(rest) => rest
                .strip_suffix(']')
                .filter(|ip| ip.parse::<std::net::Ipv6Addr>().is_ok()),
            None => Some(host).filter(|host| is_host_name(host)),
        };
        Ok(Self::new(host.ok_or(InvalidAddress)?, port))
    }
}

/// Whether `host` can be a host name or an IPv4 address.
pub(super) fn is_host_name(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    host.len() <= 253 && host.trim_end_matches('.').split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read_back_as_written() {
        for good in [
            "127.0.0.1:8080",
            "localhost:0",
            "[::1]:9090",
            "libra-0.libra.default.svc:9090",
        ] {
            assert_eq!(good.parse::<Address>().unwrap().to_string(), good, "{good}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in [
            "",
            ":",
            "8080",
            ":8080",
            "host",
            "host:",
            "host:x",
            "host:65536",
            "host:-1",
            "host:+1",
            "a b:1",
            "::1:80",
            "[::1:80",
            "[x]:80",
            "http://h:1",
            "h/p:1",
            "a..b:1",
        ] {
            assert!(bad.parse::<Address>().is_err(), "{bad}");
        }
    }

    #[test]
    fn any_host_is_known() {
        assert!("0.0.0.0:1".parse::<Address>().unwrap().is_any_host());
        assert!("[::]:1".parse::<Address>().unwrap().is_any_host());
        assert!(!"127.0.0.1:1".parse::<Address>().unwrap().is_any_host());
    }
}

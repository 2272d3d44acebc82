//! The connection string of a Spark Connect server, as Spark's own clients read it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use percent_encoding::percent_decode_str;
use thiserror::Error;
use tonic::metadata::{Ascii, MetadataKey, MetadataValue};

use super::observer::{CallObserver, Observed};

const DEFAULT_PORT: u16 = 15002;
const DEFAULT_USER_ID: &str = "libra";
const DEFAULT_USER_AGENT: &str = concat!("libra/", env!("CARGO_PKG_VERSION"));
const FORM: &str = "`sc://host[:port]/;name=value;…`";

/// A connection string that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("endpoint `{endpoint}`: {field} `{value}` is not allowed: {allowed}")]
pub struct EndpointError {
    /// The connection string without its parameters, which may hold secrets.
    pub endpoint: String,
    /// The part, or the name of the parameter.
    pub field: String,
    /// Its value; `…` where it is secret.
    pub value: String,
    /// What is allowed there.
    pub allowed: &'static str,
}

/// A parsed connection string. Its `Debug` form shows no value that may be secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    name: String,
    host: String,
    port: u16,
    use_ssl: bool,
    user_id: String,
    user_agent: String,
    max_message_bytes: Option<usize>,
    headers: Vec<(MetadataKey<Ascii>, MetadataValue<Ascii>)>,
    observed: Observed,
}

impl Endpoint {
    /// Parses `sc://host:port/;name=value;…`. Known parameters are `token` (implies TLS),
    /// `use_ssl`, `user_id`, `user_agent` and `grpc_max_message_size`; any other is sent as a
    /// request header, as Spark's clients do. Values are percent-decoded.
    ///
    /// # Errors
    /// Names the part or parameter, its value, and what is allowed.
    pub fn parse(text: &str) -> Result<Self, EndpointError> {
        let shown = shown(text);
        let refuse = |field: &str, value: &str, allowed| EndpointError {
            endpoint: shown.clone(),
            field: field.to_owned(),
            value: value.to_owned(),
            allowed,
        };
        let Some(rest) = text.strip_prefix("sc://") else {
            return Err(refuse("form", &shown, FORM));
        };
        let (authority, tail) = rest.split_once('/').unwrap_or((rest, ""));
        if authority.contains(['@', ';']) {
            return Err(refuse(
                "host",
                "…",
                "no user and no parameters before the `/`",
            ));
        }
        if !tail.is_empty() && !tail.starts_with(';') {
            return Err(refuse(
                "path",
                tail.split(';').next().unwrap_or_default(),
                FORM,
            ));
        }
        let (host, port) = host_and_port(authority).map_err(|(f, v, a)| refuse(f, v, a))?;
        let parameters = Parameters::read(tail).map_err(|(f, v, a)| refuse(&f, &v, a))?;
        let (use_ssl, fields) = parameters
            .take_ssl(&host)
            .map_err(|(f, v, a)| refuse(&f, &v, a))?;
        fields
            .into_endpoint(host, port, use_ssl)
            .map_err(|(f, v, a)| refuse(&f, &v, a))
    }

    /// `sc://host:port`: the endpoint without parameters, so without secrets.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The host, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The user id that Spark keys sessions by.
    #[must_use]
    pub fn user_id(&self) -> &str {
        &self.user_id
    }

    /// Whether the connection is encrypted.
    #[must_use]
    pub fn use_ssl(&self) -> bool {
        self.use_ssl
    }

    /// The same endpoint, whose calls `observer` is told of.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn CallObserver>) -> Self {
        self.observed = Observed(Some(observer));
        self
    }

    pub(super) fn observed(&self) -> &Observed {
        &self.observed
    }

    pub(super) fn user_agent(&self) -> &str {
        &self.user_agent
    }

    pub(super) fn max_message_bytes(&self) -> Option<usize> {
        self.max_message_bytes
    }

    pub(super) fn headers(&self) -> &[(MetadataKey<Ascii>, MetadataValue<Ascii>)] {
        &self.headers
    }

    pub(super) fn uri(&self) -> String {
        let scheme = if self.use_ssl { "https" } else { "http" };
        format!("{scheme}://{}:{}", bracketed(&self.host), self.port)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let headers: Vec<_> = self.headers.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Endpoint")
            .field("name", &self.name)
            .field("use_ssl", &self.use_ssl)
            .field("user_id", &self.user_id)
            .field("user_agent", &self.user_agent)
            .field("header_names", &headers)
            .finish_non_exhaustive()
    }
}

type Refused = (String, String, &'static str);

/// What of a connection string may appear in a message.
fn shown(text: &str) -> String {
    let head = text.split([';', '?', '#']).next().unwrap_or_default();
    let head = match (head.find("://"), head.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => {
            format!("{}://…{}", &head[..scheme], &head[at..])
        }
        (None, Some(at)) => format!("…{}", &head[at..]),
        _ => head.to_owned(),
    };
    head.trim_end_matches('/').to_owned()
}

fn bracketed(host: &str) -> String {
    if host.contains(':') {
        format!("[{host}]")
    } else {
        host.to_owned()
    }
}

fn host_and_port(authority: &str) -> Result<(String, u16), (&'static str, &str, &'static str)> {
    const HOST: &str = "a host name, an IPv4 address or an IPv6 address in brackets";
    let (host, port) = match authority.strip_prefix('[') {
        Some(inner) => {
            let (host, rest) = inner.split_once(']').ok_or(("host", authority, HOST))?;
            host.parse::<Ipv6Addr>().map_err(|_| ("host", host, HOST))?;
            let port = match rest {
                "" => None,
                rest => Some(rest.strip_prefix(':').ok_or(("host", authority, HOST))?),
            };
            (host, port)
        }
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let is_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b':');
    if host.is_empty() || !host.bytes().all(is_name) || port.is_some_and(|p| p.contains(':')) {
        return Err(("host", authority, HOST));
    }
    let port = match port {
        None => DEFAULT_PORT,
        Some(text) => match text.parse() {
            Ok(port) if port != 0 && text.bytes().all(|b| b.is_ascii_digit()) => port,
            _ => return Err(("port", text, "a number from 1 to 65535")),
        },
    };
    Ok((host.to_ascii_lowercase(), port))
}

/// The parameters by name, decoded.
struct Parameters(BTreeMap<String, String>);

impl Parameters {
    fn read(tail: &str) -> Result<Self, Refused> {
        let mut parameters = BTreeMap::new();
        for pair in tail.split(';').filter(|pair| !pair.is_empty()) {
            let Some((name, value)) = pair.split_once('=').filter(|(name, _)| !name.is_empty())
            else {
                return Err(("parameter".into(), "…".into(), "`name=value`"));
            };
            let Ok(value) = percent_decode_str(value).decode_utf8() else {
                return Err((name.into(), "…".into(), "percent-encoded UTF-8"));
            };
            if value.is_empty() {
                return Err((name.into(), String::new(), "a value after the `=`"));
            }
            if parameters
                .insert(name.to_owned(), value.into_owned())
                .is_some()
            {
                return Err((name.into(), "…".into(), "each parameter only once"));
            }
        }
        Ok(Self(parameters))
    }

    /// Decides on TLS; a token implies it, and goes unencrypted to this very machine only.
    fn take_ssl(mut self, host: &str) -> Result<(bool, Self), Refused> {
        let has_token = self.0.contains_key("token");
        let use_ssl = match self.0.remove("use_ssl").as_deref() {
            None => has_token,
            Some(text) if text.eq_ignore_ascii_case("true") => true,
            Some(text) if text.eq_ignore_ascii_case("false") => false,
            Some(text) => return Err(("use_ssl".into(), text.into(), "`true` or `false`")),
        };
        let loopback = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        if has_token && !use_ssl && !loopback {
            let allowed = "`true` where there is a `token`, unless the host is this machine";
            return Err(("use_ssl".into(), "false".into(), allowed));
        }
        Ok((use_ssl, self))
    }

    fn into_endpoint(
        mut self,
        host: String,
        port: u16,
        use_ssl: bool,
    ) -> Result<Endpoint, Refused> {
        let mut take = |name: &str| self.0.remove(name);
        let user_id = take("user_id").unwrap_or_else(|| DEFAULT_USER_ID.to_owned());
        let user_agent = take("user_agent").unwrap_or_else(|| DEFAULT_USER_AGENT.to_owned());
        if user_agent.len() > 2048 || !user_agent.bytes().all(|b| matches!(b, b' '..=b'~')) {
            let allowed = "at most 2048 printable ASCII characters";
            return Err(("user_agent".into(), user_agent, allowed));
        }
        let max_message_bytes = take("grpc_max_message_size")
            .map(|text| size(&text))
            .transpose()?;
        if let Some(value) = take("session_id") {
            let allowed = "nothing: the coordinator makes its session ids itself";
            return Err(("session_id".into(), value, allowed));
        }
        let token =
            take("token").map(|token| header("token", "authorization", &format!("Bearer {token}")));
        let others = self.0.iter().map(|(name, value)| header(name, name, value));
        let headers = token.into_iter().chain(others).collect::<Result<_, _>>()?;
        let name = format!("sc://{}:{port}", bracketed(&host));
        Ok(Endpoint {
            name,
            host,
            port,
            use_ssl,
            user_id,
            user_agent,
            max_message_bytes,
            headers,
            observed: Observed::default(),
        })
    }
}

fn size(text: &str) -> Result<usize, Refused> {
    const ALLOWED: &str = "a number of bytes from 1048576 to 2147483647";
    match text.parse() {
        Ok(bytes @ 1_048_576..=2_147_483_647) => Ok(bytes),
        _ => Err(("grpc_max_message_size".into(), text.into(), ALLOWED)),
    }
}

/// A request header; the value may be a secret and is not shown.
fn header(
    parameter: &str,
    name: &str,
    value: &str,
) -> Result<(MetadataKey<Ascii>, MetadataValue<Ascii>), Refused> {
    let refuse = |allowed| (parameter.to_owned(), "…".to_owned(), allowed);
    let is_own = name.to_ascii_lowercase().starts_with("grpc-");
    let key = MetadataKey::from_bytes(name.as_bytes())
        .ok()
        .filter(|_| !is_own);
    let key = key.ok_or_else(|| {
        refuse("a known parameter, or the name of a text header outside gRPC's own `grpc-…`")
    })?;
    let value = MetadataValue::try_from(value).ok();
    Ok((
        key,
        value.ok_or_else(|| refuse("printable ASCII characters"))?,
    ))
}

#[cfg(test)]
#[path = "endpoint_tests.rs"]
mod tests;

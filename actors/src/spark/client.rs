//! The channel to one endpoint and the plumbing of every call on it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use libra_proto::registry::Incarnation;
use libra_proto::spark::UserContext;
use libra_proto::spark::spark_connect_service_client::SparkConnectServiceClient;
use thiserror::Error;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, ClientTlsConfig};
use tonic::{Extensions, Request, Response, Status};

use super::error::{SparkErrorKind, classify};
use super::observer::Observed;
use super::session::SparkSession;
use super::{ClientOptions, Endpoint};

/// The largest header block that is accepted: Spark puts an error's details into one.
const MAX_HEADER_BYTES: u32 = 256 << 10;
/// Retries after the first attempt of a request that may be repeated.
const RETRIES: usize = 2;
const FIRST_RETRY: Duration = Duration::from_millis(50);
const MAX_RETRY: Duration = Duration::from_millis(500);

/// The generated client.
pub(super) type Rpc = SparkConnectServiceClient<Channel>;

/// A client that cannot be made.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The endpoint, or the TLS roots of this machine, cannot be used.
    #[error("client of {endpoint}")]
    Channel {
        /// The endpoint's name.
        endpoint: String,
        /// What cannot be used.
        #[source]
        source: tonic::transport::Error,
    },
    /// There is no runtime to drive the connection.
    #[error("client of {endpoint}: called outside a tokio runtime")]
    NoRuntime {
        /// The endpoint's name.
        endpoint: String,
    },
}

/// A client of one endpoint; cheap to clone, all clones share one connection.
#[derive(Clone)]
pub struct Client {
    inner: Arc<Inner>,
}

struct Inner {
    endpoint: Endpoint,
    options: ClientOptions,
    rpc: Rpc,
    headers: MetadataMap,
}

impl Client {
    /// A client that connects when it is first used, and again whenever the connection is lost.
    ///
    /// # Errors
    /// When the host name makes no URI, TLS finds no root certificates, or there is no tokio
    /// runtime.
    pub fn new(endpoint: &Endpoint, options: ClientOptions) -> Result<Self, ClientError> {
        if Handle::try_current().is_err() {
            return Err(ClientError::NoRuntime {
                endpoint: endpoint.name().to_owned(),
            });
        }
        let channel = channel(endpoint, options).map_err(|source| ClientError::Channel {
            endpoint: endpoint.name().to_owned(),
            source,
        })?;
        let max_message_bytes = endpoint
            .max_message_bytes()
            .unwrap_or(options.max_message_bytes);
        let rpc = Rpc::new(channel).max_decoding_message_size(max_message_bytes);
        let mut headers = MetadataMap::new();
        for (name, value) in endpoint.headers() {
            headers.append(name, value.clone());
        }
        let inner = Inner {
            endpoint: endpoint.clone(),
            options,
            rpc,
            headers,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// The Spark session of a committed incarnation. Nothing is sent.
    #[must_use]
    pub fn session(&self, incarnation: &Incarnation) -> SparkSession {
        SparkSession::new(self.clone(), incarnation)
    }

    /// The endpoint that this client speaks to.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        &self.inner.endpoint
    }

    pub(super) fn options(&self) -> &ClientOptions {
        &self.inner.options
    }

    pub(super) fn observed(&self) -> &Observed {
        self.inner.endpoint.observed()
    }

    pub(super) fn rpc(&self) -> Rpc {
        self.inner.rpc.clone()
    }

    pub(super) fn client_type(&self) -> String {
        self.inner.endpoint.user_agent().to_owned()
    }

    /// `what` and where, for messages.
    pub(super) fn place(&self, what: &str) -> String {
        format!("{} at {}", what, self.inner.endpoint.name())
    }

    /// A message with the endpoint's headers.
    pub(super) fn request<M>(&self, message: M) -> Request<M> {
        Request::from_parts(self.inner.headers.clone(), Extensions::new(), message)
    }

    /// Makes the call `what`, which may be repeated without harm, at most `limit` long with its
    /// retries.
    pub(super) async fn unary<M, R, F>(
        &self,
        what: &'static str,
        limit: Duration,
        message: M,
        call: impl Fn(Rpc, Request<M>) -> F,
    ) -> Result<R, Status>
    where
        M: Clone,
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let attempt = || call(self.rpc(), self.request(message.clone()));
        let waits = ExponentialBuilder::default()
            .with_min_delay(FIRST_RETRY)
            .with_max_delay(MAX_RETRY)
            .with_max_times(RETRIES)
            .with_jitter();
        let retried = attempt
            .retry(waits)
            .when(|status| classify(status) == SparkErrorKind::Unreachable);
        let answer = async {
            match timeout(limit, retried).await {
                Ok(answer) => answer.map(Response::into_inner),
                Err(_) => Err(Status::deadline_exceeded(format!(
                    "no answer within {limit:?}"
                ))),
            }
        };
        // Boxed: the futures of calls are large, and those of callers hold them more than once.
        self.observed().call(what, Box::pin(answer)).await
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.inner.endpoint)
            .finish_non_exhaustive()
    }
}

/// Who speaks: Spark keys sessions by this user and the session id.
pub(super) fn user_context(user_id: &str) -> Option<UserContext> {
    Some(UserContext {
        user_id: user_id.to_owned(),
        user_name: user_id.to_owned(),
    })
}

/// Pings go out only while calls are open: Spark's server (grpc-java's defaults) takes pings of an
/// idle connection for an attack and closes it. It forgives three pings between two frames of its
/// own, so the interval must be more than a third of the idle limit, after which it is asked.
fn channel(
    endpoint: &Endpoint,
    options: ClientOptions,
) -> Result<Channel, tonic::transport::Error> {
    let mut transport = tonic::transport::Endpoint::from_shared(endpoint.uri())?
        .user_agent(endpoint.user_agent())?
        .connect_timeout(options.connect_timeout)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(options.ping_interval)
        .keep_alive_timeout(options.ping_timeout)
        .keep_alive_while_idle(false)
        .http2_max_header_list_size(MAX_HEADER_BYTES)
        .initial_stream_window_size(options.window_bytes)
        .initial_connection_window_size(options.connection_window_bytes)
        .max_frame_size(options.frame_bytes);
    if endpoint.use_ssl() {
        let tls = ClientTlsConfig::new()
            .with_native_roots()
            .domain_name(endpoint.host());
        transport = transport.tls_config(tls)?;
    }
    Ok(options.dial.channel(&transport))
}

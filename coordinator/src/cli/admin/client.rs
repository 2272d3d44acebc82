//! Asks coordinators, one after the other until one answers.
//!
//! **Invariant:** a call ends within its time, whichever nodes are dead; another node is asked only
//! where the one before took no connection, broke it off, or said that it cannot now: every call of
//! the service may be repeated.

use std::error::Error;
use std::time::{Duration, Instant};

use libra_proto::admin::admin_client::AdminClient;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Response, Status, Streaming};

use super::error::{AdminError, Tried};
use crate::config::Address;

/// A dead node is given up after this, so that the next one gets its turn.
const CONNECTED_WITHIN: Duration = Duration::from_secs(3);
/// What a node may take beyond the deadline that it was told, to say so itself.
const GRACE: Duration = Duration::from_millis(500);
/// What a node may take to show that it speaks HTTP/1.1.
const PROBED_WITHIN: Duration = Duration::from_secs(1);
/// A list may be long: a session's or a statement's text is in it.
const MOST_BYTES: usize = 64 << 20;

/// A client of one node.
pub(super) type Stub = AdminClient<Channel>;

/// A client of the cluster.
#[derive(Debug)]
pub(super) struct Client {
    /// The one that answered last stands first.
    endpoints: Vec<Address>,
    timeout: Duration,
    connected: Option<(Address, Stub)>,
}

/// What the time of a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Until {
    Answered,
    /// A stream that may go on for ever.
    Begun,
}

/// Why one node was of no use, and whether the next may be.
enum Miss {
    /// It took no connection, or broke it off.
    Connection(String),
    /// It says that it cannot, or does not say anything in time.
    Said(AdminError),
}

impl Client {
    pub(super) fn new(endpoints: Vec<Address>, timeout: Duration) -> Self {
        Self {
            endpoints,
            timeout,
            connected: None,
        }
    }

    /// Where it asks.
    pub(super) fn endpoints(&self) -> &[Address] {
        &self.endpoints
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Calls `rpc` on the first node that answers. `doing` is what for, as it follows "cannot".
    ///
    /// # Errors
    /// When none answers in time, or one refuses.
    pub(super) async fn call<Q: Clone, A>(
        &mut self,
        doing: &str,
        request: Q,
        rpc: impl AsyncFn(&mut Stub, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, AdminError> {
        self.one_after_the_other(doing, request, Until::Answered, rpc)
            .await
    }

    /// Opens a stream of the first node that answers; `timeout` counts for its beginning alone.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub(super) async fn open<Q: Clone, A>(
        &mut self,
        doing: &str,
        request: Q,
        rpc: impl AsyncFn(&mut Stub, Request<Q>) -> Result<Response<Streaming<A>>, Status>,
    ) -> Result<Streaming<A>, AdminError> {
        self.one_after_the_other(doing, request, Until::Begun, rpc)
            .await
    }

    async fn one_after_the_other<Q: Clone, A>(
        &mut self,
        doing: &str,
        request: Q,
        until: Until,
        rpc: impl AsyncFn(&mut Stub, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, AdminError> {
        let deadline = Instant::now() + self.timeout;
        let mut tried = Vec::new();
        let mut said = None;
        for endpoint in self.endpoints.clone() {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut request = Request::new(request.clone());
            if until == Until::Answered {
                request.set_timeout(left);
            }
            match self.ask(doing, &endpoint, left, request, &rpc).await {
                Ok(answer) => {
                    self.prefer(&endpoint);
                    return Ok(answer);
                }
                Err(Miss::Connection(why)) => tried.push(Tried { endpoint, why }),
                Err(Miss::Said(error)) if is_unavailable(&error) => said = Some(error),
                Err(Miss::Said(error)) => return Err(error),
            }
        }
        let doing = doing.to_owned();
        Err(said.unwrap_or(AdminError::Unreachable { doing, tried }))
    }

    /// The first node that takes a connection, for a call that cannot be repeated elsewhere.
    ///
    /// # Errors
    /// When none does.
    pub(super) async fn connected(&self, doing: &str) -> Result<(Address, Stub), AdminError> {
        let mut tried = Vec::new();
        for endpoint in self.endpoints.clone() {
            match self.stub(&endpoint, self.timeout).await {
                Ok(stub) => return Ok((endpoint, stub)),
                Err(why) => tried.push(Tried { endpoint, why }),
            }
        }
        let doing = doing.to_owned();
        Err(AdminError::Unreachable { doing, tried })
    }

    /// What a status of that node means.
    pub(super) async fn told(&self, doing: &str, endpoint: &Address, status: Status) -> AdminError {
        match self.miss(doing, endpoint, status).await {
            Miss::Said(error) => error,
            Miss::Connection(why) => AdminError::Unreachable {
                doing: doing.to_owned(),
                tried: vec![Tried {
                    endpoint: endpoint.clone(),
                    why,
                }],
            },
        }
    }

    /// Calls `rpc` on one node.
    async fn ask<Q, A>(
        &mut self,
        doing: &str,
        endpoint: &Address,
        left: Duration,
        request: Request<Q>,
        rpc: impl AsyncFn(&mut Stub, Request<Q>) -> Result<Response<A>, Status>,
    ) -> Result<A, Miss> {
        let mut stub = self.stub(endpoint, left).await.map_err(Miss::Connection)?;
        let answered = timeout(left + GRACE, rpc(&mut stub, request)).await;
        let status = match answered {
            Ok(Ok(answer)) => {
                self.connected = Some((endpoint.clone(), stub));
                return Ok(answer.into_inner());
            }
            Ok(Err(status)) => status,
            Err(_) => return Err(Miss::Said(self.no_answer(doing, endpoint))),
        };
        Err(self.miss(doing, endpoint, status).await)
    }

    async fn stub(&self, endpoint: &Address, left: Duration) -> Result<Stub, String> {
        match &self.connected {
            Some((connected, stub)) if connected == endpoint => Ok(stub.clone()),
            Some(_) | None => connect(endpoint, left).await,
        }
    }

    async fn miss(&self, doing: &str, endpoint: &Address, status: Status) -> Miss {
        let said_by_server = status.source().is_none();
        if !is_of_libra(&status) && speaks_http1(endpoint).await {
            let (doing, endpoint) = (doing.to_owned(), endpoint.clone());
            return Miss::Said(AdminError::RestPort { doing, endpoint });
        }
        match status.code() {
            // This is how the client itself says that time is over.
            Code::Cancelled if !said_by_server => Miss::Said(self.no_answer(doing, endpoint)),
            Code::Unavailable | Code::Unknown | Code::Internal if !said_by_server => {
                Miss::Connection(innermost(&status))
            }
            _ => Miss::Said(AdminError::Refused {
                doing: doing.to_owned(),
                status: Box::new(status),
            }),
        }
    }

    fn no_answer(&self, doing: &str, endpoint: &Address) -> AdminError {
        AdminError::NoAnswer {
            doing: doing.to_owned(),
            endpoint: endpoint.clone(),
            timeout: self.timeout,
        }
    }

    fn prefer(&mut self, endpoint: &Address) {
        if let Some(at) = self.endpoints.iter().position(|known| known == endpoint) {
            self.endpoints[..=at].rotate_right(1);
        }
    }
}

/// Connects to one node.
///
/// # Errors
/// When it takes no connection in time; in the system's words.
pub(super) async fn connect(endpoint: &Address, left: Duration) -> Result<Stub, String> {
    let to = Endpoint::from_shared(format!("http://{endpoint}"));
    let to = to.map_err(|error| innermost(&error))?;
    let to = to.connect_timeout(left.min(CONNECTED_WITHIN));
    let channel = to.connect().await.map_err(|error| innermost(&error))?;
    Ok(AdminClient::new(channel).max_decoding_message_size(MOST_BYTES))
}

fn is_unavailable(error: &AdminError) -> bool {
    matches!(error, AdminError::Refused { status, .. } if status.code() == Code::Unavailable)
}

/// Whether the status is the service's own: what is made here of a broken connection, or of an
/// answer that is not gRPC's, is not.
fn is_of_libra(status: &Status) -> bool {
    let said = status.message();
    let is_made_here =
        said.contains("grpc-status header missing") || said.starts_with("protocol error");
    status.source().is_none() && !is_made_here
}

/// The last cause, which is what the operating system said.
pub(super) fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    last.to_string()
}

/// Whether whoever listens there answers in HTTP/1.1, which no gRPC listener does.
async fn speaks_http1(endpoint: &Address) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect((endpoint.host(), endpoint.port())).await?;
        stream
            .write_all(b"OPTIONS / HTTP/1.1\r\nHost: libra\r\nConnection: close\r\n\r\n")
            .await?;
        let mut first = [0; 7];
        stream.read_exact(&mut first).await?;
        Ok::<_, std::io::Error>(first == *b"HTTP/1.")
    };
    matches!(timeout(PROBED_WITHIN, asked).await, Ok(Ok(true)))
}

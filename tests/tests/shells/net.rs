//! The simulated network, as tonic and Libra want it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::{BoxFuture, FutureExt};
use futures::{Stream, stream};
use hyper_util::rt::TokioIo;
use libra_raft::{Connector, InvalidAddress};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tonic::transport::server::Connected;
use tonic::transport::{Channel, Endpoint, Uri};
use turmoil::net::{TcpListener, TcpStream};

/// A channel that connects over the simulated network, from the host that uses it.
pub(crate) fn channel(endpoint: &Endpoint) -> Channel {
    endpoint.connect_with_connector_lazy(tower::service_fn(connect))
}

async fn connect(uri: Uri) -> io::Result<TokioIo<TcpStream>> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let host = uri.host().ok_or_else(invalid)?.to_owned();
    let port = uri.port_u16().ok_or_else(invalid)?;
    Ok(TokioIo::new(TcpStream::connect((host, port)).await?))
}

/// Whether somebody listens there.
pub(crate) fn knock(host: String, port: u16) -> BoxFuture<'static, bool> {
    async move { TcpStream::connect((host, port)).await.is_ok() }.boxed()
}

/// The way to other nodes' registries.
pub(crate) struct Simulated {
    patience: Duration,
}

impl Simulated {
    pub(crate) fn connector(patience: Duration) -> Arc<dyn Connector> {
        Arc::new(Self { patience })
    }
}

impl Connector for Simulated {
    fn connect(&self, address: &str) -> Result<Channel, InvalidAddress> {
        Ok(channel(&libra_raft::endpoint(address, self.patience)?))
    }
}

/// Listens on every address of this host.
pub(crate) async fn listen(
    port: u16,
) -> io::Result<impl Stream<Item = io::Result<Accepted>> + Send + 'static> {
    let listener = TcpListener::bind(("0.0.0.0", port)).await?;
    Ok(stream::unfold(listener, |listener| async {
        let accepted = listener.accept().await;
        Some((accepted.map(|(stream, _)| Accepted(stream)), listener))
    }))
}

/// A connection that came in.
pub(crate) struct Accepted(TcpStream);

impl Connected for Accepted {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

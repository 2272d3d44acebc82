//! A listener whose connections can be refused, reset, or fall silent.
//!
//! **Invariant:** knows bytes only; what they say is none of its business.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::{Stream, StreamExt};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, WatchStream};
use tonic::transport::server::Connected;

/// Connections accepted and not yet taken.
const BACKLOG: usize = 64;
/// How long to wait before the port is tried again.
const REBIND: Duration = Duration::from_millis(5);

/// How the network behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// As it should.
    Open,
    /// New connections are refused; old ones live on.
    Refuse,
    /// No byte goes in or out, on old connections and new ones; what was sent arrives once the
    /// network is open again. A stopped process looks the same.
    BlackHole,
}

#[derive(Debug, Clone, Copy)]
struct State {
    mode: Mode,
    /// Connections older than this are reset.
    generation: u64,
}

/// The switch.
#[derive(Debug, Clone)]
pub struct Net {
    state: watch::Sender<State>,
}

impl Net {
    /// A switch that nothing is behind.
    pub(super) fn unguarded() -> Self {
        let state = watch::Sender::new(State {
            mode: Mode::Open,
            generation: 0,
        });
        Self { state }
    }

    /// Sets how the network behaves.
    pub fn set_mode(&self, mode: Mode) {
        self.state.send_modify(|state| state.mode = mode);
    }

    /// How the network behaves.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.state.borrow().mode
    }

    /// Resets every connection.
    pub fn reset_connections(&self) {
        self.state.send_modify(|state| state.generation += 1);
    }
}

/// Puts the switch in front of a listener.
///
/// # Errors
/// If the listener has no address.
pub(super) fn guard(
    listener: TcpListener,
) -> io::Result<(Net, impl Stream<Item = io::Result<Connection>> + use<>)> {
    let address = listener.local_addr()?;
    let (state, changes) = watch::channel(State {
        mode: Mode::Open,
        generation: 0,
    });
    let (accepted, incoming) = mpsc::channel(BACKLOG);
    tokio::spawn(accept(listener, address, changes, accepted));
    Ok((Net { state }, ReceiverStream::new(incoming)))
}

async fn accept(
    listener: TcpListener,
    address: SocketAddr,
    mut state: watch::Receiver<State>,
    accepted: mpsc::Sender<io::Result<Connection>>,
) {
    let mut listener = Some(listener);
    loop {
        let refused = state.borrow_and_update().mode == Mode::Refuse;
        if refused {
            listener = None;
        } else if listener.is_none() {
            listener = TcpListener::bind(address).await.ok();
        }
        tokio::select! {
            changed = state.changed() => if changed.is_err() { return },
            () = accepted.closed() => return,
            next = next(listener.as_ref(), refused) => if let Some(Ok((stream, _))) = next {
                // The switch may have been thrown while this one was on its way.
                if state.borrow().mode == Mode::Refuse {
                    let _ = stream.set_zero_linger();
                    continue;
                }
                let connection = Connection::new(stream, state.clone());
                if accepted.send(Ok(connection)).await.is_err() {
                    return;
                }
            },
        }
    }
}

/// The next connection; none when the port should be tried again.
async fn next(
    listener: Option<&TcpListener>,
    refused: bool,
) -> Option<io::Result<(TcpStream, SocketAddr)>> {
    match listener {
        Some(listener) => Some(listener.accept().await),
        None if refused => std::future::pending().await,
        None => {
            tokio::time::sleep(REBIND).await;
            None
        }
    }
}

/// A connection behind the switch.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    changes: WatchStream<State>,
    state: State,
    born: u64,
}

impl Connection {
    fn new(stream: TcpStream, state: watch::Receiver<State>) -> Self {
        // Without it every small response would wait for the one before to be acknowledged.
        let _ = stream.set_nodelay(true);
        let now = *state.borrow();
        Self {
            stream,
            changes: WatchStream::new(state),
            state: now,
            born: now.generation,
        }
    }

    fn poll_open(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Poll::Ready(Some(state)) = self.changes.poll_next_unpin(context) {
            self.state = state;
        }
        if self.state.generation > self.born {
            let _ = self.stream.set_zero_linger();
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        match self.state.mode {
            Mode::Open | Mode::Refuse => Poll::Ready(Ok(())),
            Mode::BlackHole => Poll::Pending,
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        std::task::ready!(self.poll_open(context))?;
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        std::task::ready!(self.poll_open(context))?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        std::task::ready!(self.poll_open(context))?;
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        std::task::ready!(self.poll_open(context))?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connected for Connection {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

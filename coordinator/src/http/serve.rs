//! Runs a router on a listener.

use std::future::Future;
use std::io;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::HttpOptions;
use super::stall::Unstalled;

// hyper closes beyond this without a body; the router refuses less (`header_bytes`) with one.
const HARD_HEADER_BYTES: usize = 256 << 10;
const MAX_HEADERS: usize = 256;
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
// After an error of `accept` (too many open files), so that it is not repeated at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until `shutdown` is there, then lets running requests end, for `shutdown_grace` at most.
///
/// # Errors
/// None so far: errors of connections are theirs alone.
///
/// # Cancel safety
/// Dropping it ends all connections at once.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    options: &HttpOptions,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let builder = builder(options);
    let graceful = GracefulShutdown::new();
    let mut connections = tokio::task::JoinSet::new();
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    let service = TowerToHyperService::new(router.clone());
                    // Small answers leave at once.
                    let _ = stream.set_nodelay(true);
                    let stream = Unstalled::new(stream, options.stalled_reader);
                    let connection = connect(&builder, stream, service, &graceful);
                    connections.spawn(connection);
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection was not accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    if timeout(options.shutdown_grace, graceful.shutdown())
        .await
        .is_err()
    {
        tracing::warn!("requests were cut off: they did not end in time");
    }
    connections.shutdown().await;
    Ok(())
}

fn builder(options: &HttpOptions) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_headers(MAX_HEADERS)
        .max_buf_size(HARD_HEADER_BYTES.max(options.header_bytes * 2));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(HARD_HEADER_BYTES).unwrap_or(u32::MAX))
        .keep_alive_interval(Some(Duration::from_secs(20)));
    builder
}

fn connect(
    builder: &Builder<TokioExecutor>,
    stream: Unstalled<TcpStream>,
    service: TowerToHyperService<Router>,
    graceful: &GracefulShutdown,
) -> impl Future<Output = ()> + Send + 'static {
    let connection = builder
        .serve_connection(TokioIo::new(stream), service)
        .into_owned();
    let connection = graceful.watch(connection);
    async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a connection ended early");
        }
    }
}

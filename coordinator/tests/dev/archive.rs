//! A package index with one file, whose server can be made to misbehave. Also part of the unit tests
//! of `dev::install`.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::get;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{HeaderMap, StatusCode, header};

const CHUNK: u64 = 64 << 10;

/// How one request for the file is answered.
pub(crate) struct Act {
    pub(crate) status: StatusCode,
    pub(crate) knows_ranges: bool,
    /// So many bytes, then the connection is cut …
    pub(crate) most: u64,
    /// … or nothing comes any more.
    pub(crate) then_holds: bool,
}

impl Default for Act {
    fn default() -> Self {
        Self {
            status: StatusCode::OK,
            knows_ranges: true,
            most: u64::MAX,
            then_holds: false,
        }
    }
}

/// A running index.
pub(crate) struct Archive {
    pub(crate) base: String,
    inner: Arc<Inner>,
    server: tokio::task::JoinHandle<()>,
}

struct Inner {
    name: String,
    /// What the index says, true or not, or nothing.
    sha256: String,
    content: Bytes,
    acts: Mutex<VecDeque<Act>>,
    ranges: Mutex<Vec<String>>,
    sent: AtomicU64,
}

impl Drop for Archive {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Archive {
    /// Answers the first requests for the file as `acts` say, and all later ones well.
    pub(crate) async fn start(name: &str, sha256: &str, content: Bytes, acts: Vec<Act>) -> Self {
        let inner = Arc::new(Inner {
            name: name.to_owned(),
            sha256: sha256.to_owned(),
            content,
            acts: Mutex::new(acts.into()),
            ranges: Mutex::default(),
            sent: AtomicU64::new(0),
        });
        let router = Router::new()
            .route("/simple/pyspark/", get(page))
            .route("/file/{name}", get(file))
            .with_state(inner.clone());
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let server = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        Self {
            base,
            inner,
            server,
        }
    }

    /// Bytes of the file that were sent, over all requests.
    pub(crate) fn sent(&self) -> u64 {
        self.inner.sent.load(Ordering::SeqCst)
    }

    /// The Range header of each request for the file, empty if there was none.
    pub(crate) fn ranges(&self) -> Vec<String> {
        self.inner.ranges.lock().unwrap().clone()
    }
}

async fn page(State(inner): State<Arc<Inner>>) -> Html<String> {
    let Inner { name, sha256, .. } = &*inner;
    let hash = match &**sha256 {
        "" => String::new(),
        sha256 => format!("#sha256={sha256}"),
    };
    Html(format!(
        "<!DOCTYPE html><html><body><a href=\"/file/{name}{hash}\">{name}</a></body></html>"
    ))
}

async fn file(State(inner): State<Arc<Inner>>, headers: HeaderMap) -> Response {
    let range = headers.get(header::RANGE);
    let range = range.map_or("", |range| range.to_str().unwrap());
    inner.ranges.lock().unwrap().push(range.to_owned());
    let act = inner.acts.lock().unwrap().pop_front().unwrap_or_default();
    if act.status != StatusCode::OK {
        return act.status.into_response();
    }
    let size = inner.content.len() as u64;
    let start = range
        .strip_prefix("bytes=")
        .and_then(|r| r.strip_suffix('-'));
    let start = start
        .filter(|_| act.knows_ranges)
        .map(|r| r.parse::<u64>().unwrap());
    if start.is_some_and(|start| start >= size) {
        let all = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
        return (StatusCode::RANGE_NOT_SATISFIABLE, all).into_response();
    }
    let length = [(header::CONTENT_LENGTH, size - start.unwrap_or(0))];
    let length = length.map(|(name, value)| (name, value.to_string()));
    let body = body(inner, start.unwrap_or(0), act);
    match start {
        Some(start) => {
            let range = format!("bytes {start}-{}/{size}", size - 1);
            let range = [(header::CONTENT_RANGE, range)];
            (StatusCode::PARTIAL_CONTENT, length, range, body).into_response()
        }
        None => (length, body).into_response(),
    }
}

fn body(inner: Arc<Inner>, start: u64, act: Act) -> Body {
    let size = inner.content.len() as u64;
    let end = size.min(start.saturating_add(act.most));
    let chunks = stream::unfold(start, move |at| {
        let inner = inner.clone();
        async move {
            let next = end.min(at + CHUNK);
            if next == at {
                return None;
            }
            inner.sent.fetch_add(next - at, Ordering::SeqCst);
            let chunk = inner.content.slice(at as usize..next as usize);
            Some((Ok(chunk), next))
        }
    });
    if end == size {
        return Body::from_stream(chunks);
    }
    let last = stream::once(async move {
        if act.then_holds {
            std::future::pending::<()>().await;
        }
        Err(std::io::Error::other("cut"))
    });
    Body::from_stream(chunks.chain(last))
}

//! A collector of traces: takes what is exported over OTLP, and keeps it for a test to look at.
//!
//! **Invariant:** it listens on 127.0.0.1 only and keeps every span that it has acknowledged.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Result, ensure};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::trace::v1::Span;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Request, Response, Status};

/// A span as it came in; ids in hex.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenSpan {
    /// Of its trace.
    pub trace_id: String,
    /// Its own.
    pub span_id: String,
    /// Of the span that it is a child of; empty for a root.
    pub parent_id: String,
    /// What it is called.
    pub name: String,
    /// The node that exported it; 0 if it did not say.
    pub node: i64,
    /// Nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// Nanoseconds since the Unix epoch.
    pub end_ns: u64,
    /// Its attributes as text.
    pub attributes: BTreeMap<String, String>,
}

/// A running collector; ends when dropped.
#[derive(Debug)]
pub struct Collector {
    endpoint: String,
    spans: Arc<Mutex<Vec<SeenSpan>>>,
    server: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Collector {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// When no port can be bound.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let endpoint = format!("http://{}", listener.local_addr()?);
        let spans = Arc::<Mutex<Vec<SeenSpan>>>::default();
        let service = TraceServiceServer::new(Taken(Arc::clone(&spans)));
        let router = Server::builder().add_service(service);
        let server = tokio::spawn(router.serve_with_incoming(TcpIncoming::from(listener)));
        Ok(Self {
            endpoint,
            spans,
            server,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// All spans so far.
    #[must_use]
    pub fn spans(&self) -> Vec<SeenSpan> {
        lock(&self.spans).clone()
    }

    /// The spans of one trace, by their starts.
    #[must_use]
    pub fn trace(&self, trace_id: &str) -> Vec<SeenSpan> {
        let mut spans = self.spans();
        spans.retain(|span| span.trace_id == trace_id);
        spans.sort_by_key(|span| span.start_ns);
        spans
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Checks that the spans are one tree: each is the child of another of them, but for children of
/// `outside`, which is the client's own span.
///
/// # Errors
/// Names the spans that hang in the air.
pub fn connected(spans: &[SeenSpan], outside: &str) -> Result<()> {
    let ids: BTreeSet<&str> = spans.iter().map(|span| span.span_id.as_str()).collect();
    ensure!(ids.len() == spans.len(), "a span came twice: {spans:#?}");
    let lost: Vec<_> = spans
        .iter()
        .filter(|span| span.parent_id != outside && !ids.contains(span.parent_id.as_str()))
        .collect();
    ensure!(lost.is_empty(), "without a parent: {lost:#?}");
    let roots = spans.iter().filter(|span| span.parent_id == outside);
    ensure!(roots.count() >= 1, "nothing hangs on {outside}");
    Ok(())
}

struct Taken(Arc<Mutex<Vec<SeenSpan>>>);

#[tonic::async_trait]
impl TraceService for Taken {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for of_resource in request.into_inner().resource_spans {
            let resource = of_resource.resource.unwrap_or_default();
            let node = texts(resource.attributes);
            let node = node.get("node").and_then(|node| node.parse().ok());
            let spans = of_resource.scope_spans.into_iter().flat_map(|s| s.spans);
            let seen = spans.map(|span| seen(span, node.unwrap_or_default()));
            lock(&self.0).extend(seen);
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn lock(spans: &Mutex<Vec<SeenSpan>>) -> MutexGuard<'_, Vec<SeenSpan>> {
    spans.lock().unwrap_or_else(PoisonError::into_inner)
}

fn seen(span: Span, node: i64) -> SeenSpan {
    SeenSpan {
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_id: hex(&span.parent_span_id),
        name: span.name,
        node,
        start_ns: span.start_time_unix_nano,
        end_ns: span.end_time_unix_nano,
        attributes: texts(span.attributes),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value| match value {
        any_value::Value::StringValue(text) => text,
        any_value::Value::IntValue(number) => number.to_string(),
        any_value::Value::BoolValue(value) => value.to_string(),
        other => format!("{other:?}"),
    };
    let pairs = attributes.into_iter().filter_map(|pair| {
        let value = pair.value?.value?;
        Some((pair.key, text(value)))
    });
    pairs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn span(id: &str, parent: &str) -> SeenSpan {
        SeenSpan {
            trace_id: "t".to_owned(),
            span_id: id.to_owned(),
            parent_id: parent.to_owned(),
            name: id.to_owned(),
            node: 1,
            start_ns: 0,
            end_ns: 0,
            attributes: BTreeMap::new(),
        }
    }

    #[test]
    fn a_span_in_the_air_is_seen() {
        let tree = [span("a", "client"), span("b", "a"), span("c", "b")];
        assert!(connected(&tree, "client").is_ok());
        assert!(connected(&tree[1..], "client").is_err(), "no root");
        assert!(connected(&[tree[0].clone(), tree[2].clone()], "client").is_err());
    }
}

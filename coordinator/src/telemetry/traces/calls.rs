//! The spans of calls that other nodes make.

use std::task::{Context, Poll};

use libra_proto::trace::{self, TARGET};
use tower::{Layer, Service};
use tracing::instrument::Instrumented;
use tracing::{Instrument as _, Span};

/// Gives each call that belongs to a trace a span of its own, until the head of the answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TracedCalls;

impl<S> Layer<S> for TracedCalls {
    type Service = Traced<S>;

    fn layer(&self, inner: S) -> Traced<S> {
        Traced(inner)
    }
}

/// A service whose calls are traced.
#[derive(Debug, Clone)]
pub(crate) struct Traced<S>(S);

impl<S, B> Service<http::Request<B>> for Traced<S>
where
    S: Service<http::Request<B>>,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = Instrumented<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        let span = span_of(&request);
        self.0.call(request).instrument(span)
    }
}

fn span_of<B>(request: &http::Request<B>) -> Span {
    if !trace::is_on() {
        return Span::none();
    }
    let Some(parent) = trace::extract(request.headers()) else {
        return Span::none();
    };
    let method = request.uri().path().trim_start_matches('/');
    let span = tracing::debug_span!(target: TARGET, "call",
        otel.name = method, otel.kind = "server", rpc.system = "grpc");
    trace::under(span, Some(&parent))
}

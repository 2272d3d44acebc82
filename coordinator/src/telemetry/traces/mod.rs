//! Traces: spans of the target [`libra_proto::trace::TARGET`], sent to a collector over OTLP.
//!
//! A statement is one trace. The context of its submit travels with it in the registry, so that
//! whoever owns it, after a failover too, goes on in the same trace.
//!
//! - `joint`: `tracing`'s spans and W3C's contexts. `calls`: the spans of gRPC's server.
//! - `past`: spans of what is known only once it is over.
//!
//! **Invariant:** a span waits in a queue of bounded length, and is dropped when that is full; what
//! is done for a client or for another node never waits for the collector.

mod calls;
mod joint;
mod past;

use std::time::Duration;

use libra_proto::trace;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{
    ExporterBuildError, SpanExporter, WithExportConfig as _, WithTonicConfig as _,
};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracer, SdkTracerProvider,
};
use thiserror::Error;
use tonic::transport::{ClientTlsConfig, Endpoint};
use tracing::{Level, Subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::Layer;
use tracing_subscriber::registry::LookupSpan;

use crate::config::Config;

pub(crate) use calls::TracedCalls;
pub(crate) use past::{Past, record};

/// Spans that wait to be sent; beyond it they are dropped.
const QUEUE: usize = 8192;
/// Spans sent at once.
const BATCH: usize = 512;
/// How long a span waits for others.
const DELAY: Duration = Duration::from_secs(1);
/// How long the collector may take.
const LIMIT: Duration = Duration::from_secs(3);

/// A collector that cannot be used.
#[derive(Debug, Error)]
pub enum TraceError {
    /// The address is none.
    #[error("libra.telemetry.otlp-endpoint: `{endpoint}` cannot be used")]
    Endpoint {
        /// As configured.
        endpoint: String,
        /// What is wrong with it.
        #[source]
        source: tonic::transport::Error,
    },
    /// The exporter does not start.
    #[error("the exporter of traces did not start")]
    Exporter(#[from] ExporterBuildError),
}

/// Sends spans to a collector.
#[derive(Debug)]
pub(super) struct Exporter {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Exporter {
    /// Starts to export, if the configuration names a collector. Nothing is connected before the
    /// first spans are sent.
    pub(super) fn start(config: &Config) -> Result<Option<Self>, TraceError> {
        let Some(endpoint) = &config.telemetry.otlp_endpoint else {
            return Ok(None);
        };
        let channel = channel(endpoint).map_err(|source| TraceError::Endpoint {
            endpoint: endpoint.clone(),
            source,
        })?;
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_channel(channel)
            .with_timeout(LIMIT)
            .build()?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(QUEUE)
            .with_max_export_batch_size(BATCH)
            .with_scheduled_delay(DELAY)
            .build();
        let processor = BatchSpanProcessor::builder(exporter)
            .with_batch_config(batches)
            .build();
        let ratio = f64::from(config.telemetry.sampled_in_1000) / 1e3;
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            // Whoever began the trace has decided; else chance does.
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                ratio,
            ))))
            .with_resource(resource(config))
            .build();
        let tracer = provider.tracer("libra");
        Ok(Some(Self { provider, tracer }))
    }

    /// What hands `tracing`'s spans to the exporter.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: Subscriber + Send + Sync + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.tracer.clone())
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_level(false)
            .with_target(false)
            .with_filter(Targets::new().with_target(trace::TARGET, Level::TRACE))
    }

    /// Joins the process's spans with those of others.
    pub(super) fn join(&self) {
        trace::join(Box::new(joint::Otel));
        past::record_with(self.tracer.clone());
    }

    /// Sends what is left, for at most [`LIMIT`].
    pub(super) async fn finish(self) {
        // It blocks.
        let ended = tokio::task::spawn_blocking(move || self.provider.shutdown_with_timeout(LIMIT));
        let ended = tokio::time::timeout(LIMIT, ended).await;
        if !matches!(ended, Ok(Ok(Ok(())))) {
            tracing::warn!("spans not sent in time");
        }
    }
}

fn channel(endpoint: &str) -> Result<tonic::transport::Channel, tonic::transport::Error> {
    let mut collector = Endpoint::from_shared(endpoint.to_owned())?
        .connect_timeout(LIMIT)
        .timeout(LIMIT);
    if endpoint.starts_with("https:") {
        collector = collector.tls_config(ClientTlsConfig::new().with_native_roots())?;
    }
    Ok(collector.connect_lazy())
}

fn resource(config: &Config) -> Resource {
    let instance = i64::try_from(config.node.id.0).unwrap_or(i64::MAX);
    Resource::builder_empty()
        .with_service_name("libra")
        .with_attributes([
            KeyValue::new("service.namespace", config.cluster.name.clone()),
            KeyValue::new("service.instance.id", instance.to_string()),
            KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
            KeyValue::new("node", instance),
        ])
        .build()
}

//! Every metric of the REST server, and this node's share of sessions and statements.
//!
//! **Invariant:** labels are bounded (route templates, methods, statuses, limits), never ids; the
//! registry is this object's own, not the process-wide one.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use prometheus::{
    HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry, core::Collector,
};

use crate::service::{Limit, NodeLoad};

/// The node's metrics.
#[derive(Debug, Clone)]
pub struct Metrics {
    registry: Registry,
    // None if they could not be registered: a node without metrics still serves.
    inner: Option<Arc<Inner>>,
}

#[derive(Debug)]
struct Inner {
    sessions_active: IntGauge,
    sessions_max: IntGauge,
    jobs_concurrent: IntGauge,
    jobs_queued: IntGauge,
    http_requests: HistogramVec,
    http_active: IntGauge,
    http_streams: IntGauge,
    limits_met: IntCounterVec,
}

// Seconds: from answers out of memory to long polls.
const BUCKETS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 15.0, 60.0,
];

impl Default for Metrics {
    fn default() -> Self {
        Self::new(Registry::new())
    }
}

impl Metrics {
    /// Makes all metrics and registers them, where other parts of the node may have theirs.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        let inner = Inner::new(&registry).inspect_err(|error| {
            tracing::error!(%error, "metrics of the REST server could not be registered");
        });
        Self {
            registry,
            inner: inner.ok().map(Arc::new),
        }
    }

    /// All metrics, those of other parts included.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Counts a request that has begun until the guard is dropped.
    #[must_use]
    pub(crate) fn http_request_begins(&self) -> Running {
        Running::of(self.inner.as_ref().map(|inner| &inner.http_active))
    }

    /// Counts an open stream until the guard is dropped.
    #[must_use]
    pub(crate) fn stream_begins(&self) -> Running {
        Running::of(self.inner.as_ref().map(|inner| &inner.http_streams))
    }

    pub(crate) fn http_request_ended(
        &self,
        method: &Method,
        route: &str,
        status: u16,
        elapsed: Duration,
    ) {
        if let Some(inner) = &self.inner {
            let labels = [method_label(method), route, &status.to_string()];
            let requests = inner.http_requests.with_label_values(&labels);
            requests.observe(elapsed.as_secs_f64());
        }
    }

    pub(crate) fn limit_met(&self, limit: Limit) {
        if let Some(inner) = &self.inner {
            inner.limits_met.with_label_values(&[limit.setting()]).inc();
        }
    }

    /// Sets the gauges that are read off the registry.
    pub(crate) fn refresh(&self, load: NodeLoad) {
        let Some(inner) = &self.inner else {
            return;
        };
        let set = |gauge: &IntGauge, value: u64| gauge.set(value.try_into().unwrap_or(i64::MAX));
        set(&inner.sessions_active, load.sessions);
        set(&inner.sessions_max, load.max_sessions);
        set(&inner.jobs_concurrent, load.running);
        set(&inner.jobs_queued, load.queued);
    }
}

impl Inner {
    fn new(registry: &Registry) -> Result<Self, prometheus::Error> {
        let requests = HistogramOpts::new(
            "http_server_requests_seconds",
            "Duration of HTTP requests by method, route and status",
        )
        .buckets(BUCKETS.to_vec());
        let limits = Opts::new("libra_limits_met_total", "Requests refused by a limit");
        let inner = Self {
            sessions_active: gauge("libra_sessions_active", "Live sessions of this node")?,
            sessions_max: gauge("libra_sessions_max", "Live sessions the cluster may have")?,
            jobs_concurrent: gauge("libra_jobs_concurrent", "Running statements of this node")?,
            jobs_queued: gauge("libra_jobs_queued", "Queued statements of this node")?,
            http_requests: HistogramVec::new(requests, &["method", "uri", "status"])?,
            http_active: gauge("http_server_requests_active", "HTTP requests in work")?,
            http_streams: gauge("libra_http_streams", "Open event streams and downloads")?,
            limits_met: IntCounterVec::new(limits, &["limit"])?,
        };
        for limit in Limit::ALL {
            let _ = inner.limits_met.with_label_values(&[limit.setting()]);
        }
        for metric in inner.collectors() {
            registry.register(metric)?;
        }
        Ok(inner)
    }

    fn collectors(&self) -> Vec<Box<dyn Collector>> {
        vec![
            Box::new(self.sessions_active.clone()),
            Box::new(self.sessions_max.clone()),
            Box::new(self.jobs_concurrent.clone()),
            Box::new(self.jobs_queued.clone()),
            Box::new(self.http_requests.clone()),
            Box::new(self.http_active.clone()),
            Box::new(self.http_streams.clone()),
            Box::new(self.limits_met.clone()),
        ]
    }
}

/// Something that is counted as long as it lasts.
#[derive(Debug)]
pub(crate) struct Running(Option<IntGauge>);

impl Running {
    fn of(gauge: Option<&IntGauge>) -> Self {
        gauge.inspect(|gauge| gauge.inc());
        Self(gauge.cloned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(gauge) = &self.0 {
            gauge.dec();
        }
    }
}

fn gauge(name: &str, help: &str) -> Result<IntGauge, prometheus::Error> {
    IntGauge::with_opts(Opts::new(name, help))
}

/// Clients may invent methods; labels may not.
pub(crate) fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "OTHER",
    }
}

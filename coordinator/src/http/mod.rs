//! The REST API and the actuator: the form of requests and answers, and nothing else.
//!
//! [`router()`] makes the routes over a [`Service`]; [`serve()`] runs them on a listener.
//!
//! **Invariant:** no decision about sessions or statements is made here, and every error leaves as
//! `application/problem+json`.

mod actuator;
mod extract;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod layers;
pub(crate) mod metrics;
pub mod model;
mod openapi;
mod options;
pub mod problem;
mod router;
mod routes;
mod serve;
mod stall;

use std::sync::Arc;

use tokio::sync::Semaphore;

pub use metrics::Metrics;
pub use options::HttpOptions;
pub use router::{router, router_with};
pub use serve::serve;

use crate::service::Service;

/// What every handler has.
#[derive(Clone)]
pub(crate) struct Api {
    inner: Arc<Inner>,
}

struct Inner {
    service: Service,
    options: HttpOptions,
    metrics: Metrics,
    requests: Arc<Semaphore>,
    streams: Arc<Semaphore>,
}

impl Api {
    fn new(service: Service, options: HttpOptions, metrics: Metrics) -> Self {
        let inner = Inner {
            requests: Arc::new(Semaphore::new(options.max_requests)),
            streams: Arc::new(Semaphore::new(options.max_streams)),
            service,
            options,
            metrics,
        };
        Self {
            inner: Arc::new(inner),
        }
    }

    pub(crate) fn service(&self) -> &Service {
        &self.inner.service
    }

    pub(crate) fn options(&self) -> &HttpOptions {
        &self.inner.options
    }

    pub(crate) fn metrics(&self) -> &Metrics {
        &self.inner.metrics
    }
}

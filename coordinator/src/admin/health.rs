//! The standard health service: whether this node should be asked.
//!
//! **Invariant:** NOT_SERVING until the node is ready, and from when it drains or leaves.

use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::service::Service;

/// As clients name them: the node as a whole, and the operator's service.
const NAMES: [&str; 2] = ["", "libra.admin.v1.Admin"];
/// How often it is looked.
const EVERY: Duration = Duration::from_millis(500);

/// Says that the node is not ready: to be done before anybody can ask.
pub(crate) async fn say_not_ready(reporter: &HealthReporter) {
    tell(reporter, false).await;
}

/// Goes on telling, from not ready on, until the future is dropped.
pub(crate) async fn serve_health(reporter: HealthReporter, service: Service) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut told = false;
    loop {
        clock.tick().await;
        let ready = tokio::select! {
            ready = service.ready(service.patience(Instant::now())) => ready.is_ok(),
            () = service.drained() => false,
        };
        if ready != told {
            tell(&reporter, ready).await;
            told = ready;
        }
    }
}

async fn tell(reporter: &HealthReporter, ready: bool) {
    let status = if ready {
        ServingStatus::Serving
    } else {
        ServingStatus::NotServing
    };
    for name in NAMES {
        reporter.set_service_status(name, status).await;
    }
}

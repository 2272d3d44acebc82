//! Gauges that are set when somebody asks.

use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, GaugeVec, IntCounter, Opts};

/// Gauges of one source: made by name, set together.
#[derive(Default)]
pub(super) struct Gauges {
    all: Vec<Box<dyn Collector>>,
}

impl Gauges {
    pub(super) fn one(&mut self, name: &str, help: &str) -> Result<Gauge, prometheus::Error> {
        let gauge = Gauge::new(name, help)?;
        self.all.push(Box::new(gauge.clone()));
        Ok(gauge)
    }

    pub(super) fn by(
        &mut self,
        labels: &[&str],
        name: &str,
        help: &str,
    ) -> Result<GaugeVec, prometheus::Error> {
        let gauge = GaugeVec::new(Opts::new(name, help), labels)?;
        self.all.push(Box::new(gauge.clone()));
        Ok(gauge)
    }

    /// Of something that counts by itself; see [`raise`].
    pub(super) fn counter(
        &mut self,
        name: &str,
        help: &str,
    ) -> Result<IntCounter, prometheus::Error> {
        let counter = IntCounter::new(name, help)?;
        self.all.push(Box::new(counter.clone()));
        Ok(counter)
    }

    pub(super) fn desc(&self) -> Vec<&Desc> {
        self.all.iter().flat_map(|gauge| gauge.desc()).collect()
    }

    pub(super) fn collect(&self) -> Vec<MetricFamily> {
        self.all.iter().flat_map(|gauge| gauge.collect()).collect()
    }
}

/// Sets a gauge to a whole number; beyond 2^53 the last digits are lost.
pub(super) fn set(gauge: &Gauge, value: u64) {
    gauge.set(value as f64);
}

/// Brings a counter up to what its source has counted.
pub(super) fn raise(counter: &IntCounter, counted: u64) {
    counter.inc_by(counted.saturating_sub(counter.get()));
}

/// 1 or 0.
pub(super) fn flag(gauge: &Gauge, on: bool) {
    gauge.set(if on { 1.0 } else { 0.0 });
}

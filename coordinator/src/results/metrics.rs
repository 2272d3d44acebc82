//! What the result store counts.
//!
//! **Invariant:** counting never fails and never waits; a store whose counters nobody registered
//! works alike.

use prometheus::core::Collector;
use prometheus::{IntCounter, IntCounterVec, IntGauge, Opts, Registry};

/// The counters of one store; cheap to clone.
#[derive(Debug, Clone)]
pub struct ResultMetrics {
    /// Arrow bytes that came from Spark.
    pub(crate) written: IntCounter,
    /// Bytes of copies taken in for other nodes.
    pub(crate) copied: IntCounter,
    /// Bytes read for clients.
    pub(crate) read: ReadCounters,
    /// Copies that were done without while a result was written.
    pub(crate) left_out: IntCounter,
    /// Copies made anew, by how that went.
    pub(crate) repaired: Repaired,
    /// Results on too few nodes, at the last look.
    pub(crate) under_replicated: IntGauge,
    /// Bytes of the store's files, at the last look.
    pub(crate) stored: IntGauge,
}

/// Bytes read, by where they were.
#[derive(Debug, Clone)]
pub(crate) struct ReadCounters {
    all: IntCounterVec,
    pub(crate) disk: IntCounter,
    pub(crate) memory: IntCounter,
    pub(crate) node: IntCounter,
}

/// Copies made anew.
#[derive(Debug, Clone)]
pub(crate) struct Repaired {
    all: IntCounterVec,
    pub(crate) made: IntCounter,
    pub(crate) failed: IntCounter,
}

impl ResultMetrics {
    /// Makes the counters.
    ///
    /// # Errors
    /// Never in practice: names and labels are constants.
    pub fn new() -> Result<Self, prometheus::Error> {
        let read = IntCounterVec::new(
            Opts::new(
                "libra_results_read_bytes_total",
                "Bytes of result files read for clients, by where they were: this node's disk, its memory, another node",
            ),
            &["from"],
        )?;
        let repaired = IntCounterVec::new(
            Opts::new(
                "libra_results_copies_repaired_total",
                "Copies of results made anew by the leader, by outcome",
            ),
            &["outcome"],
        )?;
        Ok(Self {
            written: IntCounter::new(
                "libra_results_written_bytes_total",
                "Arrow bytes that this node has taken from Spark",
            )?,
            copied: IntCounter::new(
                "libra_results_copied_bytes_total",
                "Bytes of result files that this node has taken as copies of other nodes'",
            )?,
            read: ReadCounters {
                disk: read.with_label_values(&["disk"]),
                memory: read.with_label_values(&["memory"]),
                node: read.with_label_values(&["node"]),
                all: read,
            },
            left_out: IntCounter::new(
                "libra_results_copies_left_out_total",
                "Copies that this node has done without while it wrote a result: lost or too slow",
            )?,
            repaired: Repaired {
                made: repaired.with_label_values(&["made"]),
                failed: repaired.with_label_values(&["failed"]),
                all: repaired,
            },
            under_replicated: IntGauge::new(
                "libra_results_under_replicated",
                "Results found on fewer nodes than wanted in the leader's last round; 0 elsewhere",
            )?,
            stored: IntGauge::new(
                "libra_results_stored_bytes",
                "Bytes of the result files on this node's disk, at the last look (every 30 s)",
            )?,
        })
    }

    /// Registers them.
    ///
    /// # Errors
    /// When one of the names is taken.
    pub fn register(&self, registry: &Registry) -> Result<(), prometheus::Error> {
        let all: [Box<dyn Collector>; 7] = [
            Box::new(self.written.clone()),
            Box::new(self.copied.clone()),
            Box::new(self.read.all.clone()),
            Box::new(self.left_out.clone()),
            Box::new(self.repaired.all.clone()),
            Box::new(self.under_replicated.clone()),
            Box::new(self.stored.clone()),
        ];
        all.into_iter()
            .try_for_each(|collector| registry.register(collector))
    }
}

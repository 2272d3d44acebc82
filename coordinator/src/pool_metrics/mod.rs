//! Metrics per pool: what was submitted, started and ended, how long it queued, what runs and
//! waits, and what share a pool has.
//!
//! Counters are this node's share (statements of its sessions), gauges are read off the registry
//! when they are asked for.
//!
//! **Invariant:** a statement is counted once per event, whatever the change feed repeats; what
//! happened before this process began is not counted.

mod gauges;
mod tally;

use std::collections::BTreeSet;

use libra_proto::registry::StatementRecord;
use libra_proto::types::{Change, JobId, NodeId};
use libra_raft::registry::Registry as State;
use libra_raft::{FeedEvent, Handle};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use gauges::PoolGauges;
use tally::{Event, Tally};

/// Seconds: from the next grant to the backlog of a night.
const BUCKETS: [f64; 12] = [
    0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0,
];

/// The counters of all pools.
#[derive(Clone)]
pub(crate) struct PoolMetrics {
    submitted: IntCounterVec,
    started: IntCounterVec,
    ended: IntCounterVec,
    queue_time: HistogramVec,
}

impl PoolMetrics {
    /// Makes the metrics and registers them; the gauges read the registry behind `handle`.
    ///
    /// # Errors
    /// When one of the names is taken.
    pub(crate) fn new(metrics: &Registry, handle: Handle) -> Result<Self, prometheus::Error> {
        let counter = |name: &str, help: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, help), labels)?;
            metrics.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let queue_time = HistogramVec::new(
            HistogramOpts::new(
                "libra_pool_queue_time_seconds",
                "Time from acceptance to start, by pool",
            )
            .buckets(BUCKETS.to_vec()),
            &["pool"],
        )?;
        metrics.register(Box::new(queue_time.clone()))?;
        metrics.register(Box::new(PoolGauges::new(handle)?))?;
        Ok(Self {
            submitted: counter(
                "libra_pool_submitted_total",
                "Statements accepted, by pool",
                &["pool"],
            )?,
            started: counter(
                "libra_pool_started_total",
                "Statements started, by pool",
                &["pool"],
            )?,
            ended: counter(
                "libra_pool_ended_total",
                "Statements ended, by pool and state",
                &["pool", "state"],
            )?,
            queue_time,
        })
    }

    /// Counts until the registry stops.
    ///
    /// # Cancel safety
    /// May be dropped at any time.
    pub(crate) async fn follow(self, handle: Handle, node: NodeId) {
        let mut feed = handle.subscribe();
        let mut tally = handle.view(|state| Tally::of(active(state), newest(state)));
        loop {
            let jobs = match feed.next().await {
                FeedEvent::Changes(changes, _) => named(changes),
                FeedEvent::Lagged => handle.view(|state| tally.missed(state)),
                FeedEvent::Closed => return,
            };
            handle.view(|state| {
                for job in jobs {
                    self.look(&mut tally, state, node, job);
                }
            });
        }
    }

    fn look(&self, tally: &mut Tally, state: &State, node: NodeId, job: JobId) {
        let Some(statement) = state.statement(job) else {
            return tally.forget(job);
        };
        for event in tally.see(statement) {
            if is_of(state, node, statement) {
                self.count(statement, &event);
            }
        }
    }

    fn count(&self, statement: &StatementRecord, event: &Event) {
        let pool = statement.pool.as_str();
        match event {
            Event::Submitted => self.submitted.with_label_values(&[pool]).inc(),
            Event::Started { queued } => {
                self.started.with_label_values(&[pool]).inc();
                let queue_time = self.queue_time.with_label_values(&[pool]);
                queue_time.observe(queued.as_secs_f64());
            }
            Event::Ended { state } => {
                let labels = [pool, state.label()];
                self.ended.with_label_values(&labels).inc();
            }
        }
    }
}

fn named(changes: Vec<Change>) -> BTreeSet<JobId> {
    let job = |change| match change {
        Change::Statement(job, _) => Some(job),
        Change::Session(_) | Change::Settings => None,
    };
    changes.into_iter().filter_map(job).collect()
}

fn newest(state: &State) -> JobId {
    let mut newest = state.statements_before(None, None);
    newest.next().map_or(JobId(0), |record| JobId(record.job))
}

fn active(state: &State) -> impl Iterator<Item = &StatementRecord> {
    let all = state.statements_before(None, None).map(AsRef::as_ref);
    all.filter(|statement| !statement.state().has_ended())
}

/// Whether the statement's session is that node's.
fn is_of(state: &State, node: NodeId, statement: &StatementRecord) -> bool {
    let session = statement.session_id.parse().ok();
    let session = session.and_then(|id| state.session(&id));
    session.is_some_and(|session| session.owner_node == node.0)
}

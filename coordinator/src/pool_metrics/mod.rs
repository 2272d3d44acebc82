//! Metrics per pool: what was submitted, started and ended, how long it queued, what runs and
//! waits, and what share a pool has; and one line in the log for each of a statement's states.
//!
//! Counters are this node's share (statements of its sessions), gauges are read off the registry
//! when they are asked for.
//!
//! **Invariant:** a statement is counted once per event, whatever the change feed repeats; what
//! happened before this process began is not counted.

mod gauges;
mod lines;
mod tally;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use libra_proto::registry::{SessionRecord, StatementRecord};
use libra_proto::types::{Change, ErrorClass, JobId, NodeId};
use libra_raft::registry::Registry as State;
use libra_raft::{FeedEvent, Handle};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry};

use gauges::PoolGauges;
use lines::Line;
use tally::{Event, Tally};

/// Seconds: from the next grant to the backlog of a night.
const BUCKETS: [f64; 12] = [
    0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0,
];

/// The class of whatever Spark says is wrong: its classes are too many for a label.
const OF_SPARK: &str = "SPARK";

/// The counters of all pools.
#[derive(Clone)]
pub(crate) struct PoolMetrics {
    submitted: IntCounterVec,
    started: IntCounterVec,
    ended: IntCounterVec,
    failed: IntCounterVec,
    queue_time: HistogramVec,
    run_time: HistogramVec,
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
        let run_time = HistogramVec::new(
            HistogramOpts::new(
                "libra_pool_run_time_seconds",
                "Time from start to end, by pool",
            )
            .buckets(BUCKETS.to_vec()),
            &["pool"],
        )?;
        metrics.register(Box::new(run_time.clone()))?;
        let failed = counter(
            "libra_statements_failed_total",
            "Statements that failed, by Libra's own error class; all of Spark's are SPARK",
            &["error_class"],
        )?;
        for class in ErrorClass::ALL {
            let _ = failed.with_label_values(&[class.name()]);
        }
        let _ = failed.with_label_values(&[OF_SPARK]);
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
            failed,
            queue_time,
            run_time,
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
            let told = handle.view(|state| {
                let mut told = Vec::new();
                for job in jobs {
                    self.look(&mut tally, state, (node, job), &mut told);
                }
                told
            });
            // Told outside: writing a line may take as long as whoever reads the log.
            for line in told {
                lines::tell(&line);
            }
        }
    }

    fn look(
        &self,
        tally: &mut Tally,
        state: &State,
        (node, job): (NodeId, JobId),
        told: &mut Vec<Line>,
    ) {
        let Some(statement) = state.statement(job) else {
            return tally.forget(job);
        };
        let events = tally.see(statement);
        let Some(session) = session_of(state, node, statement) else {
            return;
        };
        for event in events {
            self.count(statement, &event);
            told.push(Line {
                event,
                statement: Arc::clone(statement),
                epoch: session.epoch,
                log_index: state.applied_index(),
            });
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
                if statement.started_at_ms != 0 {
                    let ran = statement.completed_at_ms;
                    let ran = Duration::from_millis(ran.saturating_sub(statement.started_at_ms));
                    let run_time = self.run_time.with_label_values(&[pool]);
                    run_time.observe(ran.as_secs_f64());
                }
                if let Some(error) = &statement.error {
                    let class = ErrorClass::of_name(&error.error_class);
                    let class = class.map_or(OF_SPARK, ErrorClass::name);
                    self.failed.with_label_values(&[class]).inc();
                }
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

/// The statement's session, if it is that node's.
fn session_of<'a>(
    state: &'a State,
    node: NodeId,
    statement: &StatementRecord,
) -> Option<&'a SessionRecord> {
    let session = state.session(&statement.session_id.parse().ok()?)?;
    (session.owner_node == node.0).then_some(session)
}

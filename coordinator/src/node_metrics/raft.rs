//! Raft as this node sees it, and the disk beneath its log.

use libra_raft::{Handle, Role, Status, SyncTimes};
use prometheus::core::{Collector, Desc};
use prometheus::proto::{Bucket, Histogram, Metric, MetricFamily, MetricType};
use prometheus::{Gauge, GaugeVec, IntCounter};

use super::gauges::{Gauges, flag, raise, set};

const FSYNC: &str = "libra_raft_fsync_seconds";
const FSYNC_HELP: &str = "Time that making the log durable took, many appends at once";

pub(super) struct RaftMetrics {
    handle: Handle,
    gauges: Gauges,
    fsync: Desc,
    term: Gauge,
    leads: Gauge,
    leader_known: Gauge,
    leader_changes: IntCounter,
    last: Gauge,
    applied: Gauge,
    durable: Gauge,
    snapshot: Gauge,
    purged: Gauge,
    log_bytes: Gauge,
    members: GaugeVec,
    lag: GaugeVec,
    disk_full: Gauge,
}

impl RaftMetrics {
    pub(super) fn new(handle: Handle) -> Result<Self, prometheus::Error> {
        let mut gauges = Gauges::default();
        Ok(Self {
            handle,
            fsync: Desc::new(
                FSYNC.to_owned(),
                FSYNC_HELP.to_owned(),
                Vec::new(),
                std::collections::HashMap::new(),
            )?,
            term: gauges.one("libra_raft_term", "The newest term that this node knows of")?,
            leads: gauges.one("libra_raft_is_leader", "1 on the node that leads, else 0")?,
            leader_known: gauges.one(
                "libra_raft_leader_known",
                "1 while this node hears a leader, or is one that a quorum answers, else 0",
            )?,
            leader_changes: gauges.counter(
                "libra_raft_leader_changes_total",
                "Leaders that have become known to this node: elections that came off",
            )?,
            last: gauges.one("libra_raft_last_log_index", "Index of the last log entry")?,
            applied: gauges.one(
                "libra_raft_applied_index",
                "Index up to which the registry is applied here",
            )?,
            durable: gauges.one(
                "libra_raft_durable_index",
                "Index up to which the log is known to be durable here",
            )?,
            snapshot: gauges.one(
                "libra_raft_snapshot_index",
                "Index up to which the newest snapshot reaches; 0 without one",
            )?,
            purged: gauges.one(
                "libra_raft_purged_index",
                "Index up to which the log has been purged",
            )?,
            log_bytes: gauges.one("libra_raft_log_bytes", "Bytes of the log entries kept")?,
            members: gauges.by(
                &["role"],
                "libra_raft_members",
                "Members of the Raft group, as this node knows it, by role: voter or learner",
            )?,
            lag: gauges.by(
                &["node"],
                "libra_raft_member_lag_entries",
                "Entries of the leader's log that the member is not known to have; on the leader",
            )?,
            disk_full: gauges.one(
                "libra_raft_disk_full",
                "1 while writes are refused because the disk is full, else 0",
            )?,
            gauges,
        })
    }

    fn read(&self, status: &Status) {
        set(&self.term, status.term);
        flag(&self.leads, status.role == Role::Leader);
        flag(&self.leader_known, status.leader.is_some());
        raise(&self.leader_changes, status.leader_changes);
        set(&self.last, status.last_log_index);
        set(&self.applied, status.applied_index);
        set(&self.durable, status.durable_index);
        set(&self.snapshot, status.snapshot_index);
        set(&self.purged, status.purged_index);
        set(&self.log_bytes, status.log_bytes);
        flag(&self.disk_full, status.disk_full);
        let voters = status.members.iter().filter(|member| member.voter).count();
        let learners = status.members.len() - voters;
        for (role, members) in [("voter", voters), ("learner", learners)] {
            set(&self.members.with_label_values(&[role]), members as u64);
        }
        // Members that have left, or are another leader's to know, are not shown any more.
        self.lag.reset();
        for member in &status.members {
            if let Some(lag) = member.lag {
                let node = member.node_id.to_string();
                set(&self.lag.with_label_values(&[&node]), lag);
            }
        }
    }
}

impl Collector for RaftMetrics {
    fn desc(&self) -> Vec<&Desc> {
        let mut all = self.gauges.desc();
        all.push(&self.fsync);
        all
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.read(&self.handle.status());
        let mut families = self.gauges.collect();
        families.push(histogram(&self.handle.sync_times()));
        families
    }
}

/// What the store has counted, in Prometheus' form.
fn histogram(times: &SyncTimes) -> MetricFamily {
    let buckets = times.at_most.iter().map(|(at_most, count)| {
        let mut bucket = Bucket::default();
        bucket.set_upper_bound(at_most.as_secs_f64());
        bucket.set_cumulative_count(*count);
        bucket
    });
    let mut histogram = Histogram::default();
    histogram.set_bucket(buckets.collect());
    histogram.set_sample_count(times.count);
    histogram.set_sample_sum(times.total.as_secs_f64());
    let mut metric = Metric::default();
    metric.set_histogram(histogram);
    let mut family = MetricFamily::default();
    family.set_name(FSYNC.to_owned());
    family.set_help(FSYNC_HELP.to_owned());
    family.set_field_type(MetricType::HISTOGRAM);
    family.set_metric(vec![metric]);
    family
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use prometheus::TextEncoder;

    use super::*;

    #[test]
    fn the_stores_classes_are_prometheus_buckets() {
        let times = SyncTimes {
            count: 7,
            total: Duration::from_millis(1_500),
            at_most: vec![(Duration::from_millis(1), 2), (Duration::from_secs(1), 6)],
            newest: None,
        };
        let text = TextEncoder::new()
            .encode_to_string(&[histogram(&times)])
            .unwrap();
        let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            lines,
            [
                "libra_raft_fsync_seconds_bucket{le=\"0.001\"} 2",
                "libra_raft_fsync_seconds_bucket{le=\"1\"} 6",
                "libra_raft_fsync_seconds_bucket{le=\"+Inf\"} 7",
                "libra_raft_fsync_seconds_sum 1.5",
                "libra_raft_fsync_seconds_count 7",
            ]
        );
    }
}

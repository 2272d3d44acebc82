//! The cluster as the registry has it here, this node's lease, its clock, and its endpoints.

use std::collections::BTreeMap;

use libra_proto::registry::NodeState;
use libra_raft::Handle;
use libra_raft::registry::Registry;
use prometheus::core::{Collector, Desc};
use prometheus::proto::MetricFamily;
use prometheus::{Gauge, GaugeVec, IntCounter};

use super::LeaseSlot;
use super::gauges::{Gauges, flag, raise, set};
use crate::clock::now_ms;
use crate::service::Reachability;

pub(super) struct ClusterMetrics {
    handle: Handle,
    reachability: Reachability,
    lease: LeaseSlot,
    gauges: Gauges,
    nodes: GaugeVec,
    sessions: Gauge,
    slots: Gauge,
    taken: GaugeVec,
    cleanups: Gauge,
    queued_bytes: Gauge,
    statements_kept: Gauge,
    inline_bytes: Gauge,
    clock_behind: Gauge,
    held: Gauge,
    left: Gauge,
    lapses: IntCounter,
    endpoint_up: GaugeVec,
}

/// What is read under the registry's lock.
struct Read {
    nodes: [(&'static str, u64); 3],
    sessions: u64,
    slots: u64,
    taken: BTreeMap<String, u64>,
    cleanups: u64,
    queued_bytes: u64,
    ended: u64,
    inline_bytes: u64,
    clock_ms: u64,
}

impl ClusterMetrics {
    pub(super) fn new(
        handle: Handle,
        reachability: Reachability,
        lease: LeaseSlot,
    ) -> Result<Self, prometheus::Error> {
        let mut gauges = Gauges::default();
        Ok(Self {
            handle,
            reachability,
            lease,
            nodes: gauges.by(
                &["state"],
                "libra_cluster_nodes",
                "Registered nodes by state: up, down, draining",
            )?,
            sessions: gauges.one(
                "libra_cluster_sessions",
                "Live sessions of the whole cluster; libra_sessions_max is the limit",
            )?,
            slots: gauges.one(
                "libra_scheduler_slots",
                "Statements that may run at once on one Spark endpoint",
            )?,
            taken: gauges.by(
                &["endpoint"],
                "libra_scheduler_slots_taken",
                "Slots of the endpoint that are taken, by running statements and clean-ups",
            )?,
            cleanups: gauges.one(
                "libra_scheduler_cleanups",
                "Slots held by operations whose outcome is unknown, until Spark was told to stop them",
            )?,
            queued_bytes: gauges.one(
                "libra_scheduler_queued_bytes",
                "Bytes of the texts of all queued statements",
            )?,
            statements_kept: gauges.one(
                "libra_registry_statements_ended",
                "Ended statements that the registry still has",
            )?,
            inline_bytes: gauges.one(
                "libra_registry_inline_result_bytes",
                "Bytes of small results that the registry holds itself, in memory",
            )?,
            clock_behind: gauges.one(
                "libra_clock_behind_seconds",
                "How far this node's clock is behind the registry's, which follows the fastest",
            )?,
            held: gauges.one(
                "libra_lease_held",
                "1 while this node may act for its sessions, else 0; always 1 in a cluster of one",
            )?,
            left: gauges.one(
                "libra_lease_remaining_seconds",
                "What is left of this node's lease; 0 when it is over, or in a cluster of one",
            )?,
            lapses: gauges.counter(
                "libra_lease_lapses_total",
                "How often this node's lease was over before it was renewed",
            )?,
            endpoint_up: gauges.by(
                &["endpoint"],
                "libra_spark_endpoint_up",
                "1 while the Spark Connect endpoint takes connections from this node, else 0",
            )?,
            gauges,
        })
    }

    fn refresh(&self) {
        let read = self.handle.view(read);
        for (state, nodes) in read.nodes {
            set(&self.nodes.with_label_values(&[state]), nodes);
        }
        set(&self.sessions, read.sessions);
        set(&self.slots, read.slots);
        set(&self.cleanups, read.cleanups);
        set(&self.queued_bytes, read.queued_bytes);
        set(&self.statements_kept, read.ended);
        set(&self.inline_bytes, read.inline_bytes);
        let behind_ms = read.clock_ms.saturating_sub(now_ms());
        self.clock_behind.set(behind_ms as f64 / 1e3);
        self.taken.reset();
        self.endpoint_up.reset();
        for (endpoint, up) in self.reachability.all() {
            flag(&self.endpoint_up.with_label_values(&[endpoint]), up);
            let taken = read.taken.get(endpoint).copied().unwrap_or_default();
            set(&self.taken.with_label_values(&[endpoint]), taken);
        }
        if let Some(lease) = self.lease.get() {
            let seen = lease.observe();
            flag(&self.held, seen.held);
            self.left.set(seen.left.as_secs_f64());
            raise(&self.lapses, seen.lapses);
        }
    }
}

impl Collector for ClusterMetrics {
    fn desc(&self) -> Vec<&Desc> {
        self.gauges.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        self.refresh();
        self.gauges.collect()
    }
}

fn read(registry: &Registry) -> Read {
    let mut nodes = [("up", 0), ("down", 0), ("draining", 0)];
    for node in registry.nodes() {
        let place = match node.state() {
            NodeState::Unspecified | NodeState::Up => 0,
            NodeState::Down => 1,
            NodeState::Draining => 2,
        };
        nodes[place].1 += 1;
    }
    let totals = registry.totals();
    let taken = registry.endpoints_in_use().map(|endpoint| {
        let taken = registry.slots_taken(endpoint);
        (endpoint.to_owned(), u64::from(taken))
    });
    Read {
        nodes,
        sessions: registry.live_session_count() as u64,
        slots: registry.settings().map_or(0, |s| s.slots.into()),
        taken: taken.collect(),
        cleanups: totals.cleanups,
        queued_bytes: totals.queued_bytes,
        ended: totals.ended,
        inline_bytes: totals.inline_bytes,
        clock_ms: registry.clock_ms(),
    }
}

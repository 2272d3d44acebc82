//! The cluster and its nodes.

use chrono::{DateTime, Utc};
use libra_proto::admin::{ClusterStatusResponse, Node, Totals};
use serde::Serialize;

use super::super::output::{Block, Cell, Column, Grid, Page, Shown, Time, Tone, age};
use super::words::{node_role, node_state, node_tone, toned};
use super::{known, said};

/// `libra admin status`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli::admin) struct ClusterView {
    pub(in crate::cli::admin) cluster_name: String,
    /// The node whose knowledge this is.
    pub(in crate::cli::admin) node_id: u64,
    /// Whether that is the leader, which alone knows lags and leases.
    from_leader: bool,
    /// The node that leads.
    pub(in crate::cli::admin) leader: Option<u64>,
    pub(in crate::cli::admin) term: u64,
    pub(in crate::cli::admin) applied_index: u64,
    last_log_index: u64,
    /// 16 hexadecimal digits: equal on all nodes at an equal index. Asked for with `--hash`.
    state_hash: Option<String>,
    feature_level: u32,
    totals: TotalsView,
    pub(in crate::cli::admin) nodes: Vec<NodeView>,
}

/// What the cluster holds.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct TotalsView {
    /// Neither closed nor failed.
    live_sessions: u64,
    max_sessions: u64,
    queued: u64,
    running: u64,
    /// How many may run at once on one Spark endpoint.
    slots_per_endpoint: u64,
    /// Ended and kept.
    ended: u64,
    /// Operations that hold a slot although their statement has ended.
    cleanups: u64,
}

/// `libra admin nodes list`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli::admin) struct NodesView {
    nodes: Vec<NodeView>,
}

/// One node.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli::admin) struct NodeView {
    pub(in crate::cli::admin) node_id: u64,
    /// `leader`, `follower`, `learner`, or `none`: not in the Raft group.
    pub(in crate::cli::admin) role: &'static str,
    /// `up`, `suspect`, `down`, `draining`, `unregistered`.
    pub(in crate::cli::admin) state: &'static str,
    /// When it took that state.
    state_since: Option<Time>,
    /// Whether it has a vote.
    pub(in crate::cli::admin) voter: bool,
    /// Log entries that it is behind the leader.
    lag_entries: Option<u64>,
    /// Its gRPC address, as other nodes reach it.
    pub(in crate::cli::admin) grpc: String,
    /// Its address of REST, as clients reach it.
    http: Option<String>,
    version: Option<String>,
    feature_level: u32,
    /// Live sessions that it owns.
    pub(in crate::cli::admin) sessions: u64,
    /// Statements of them that run.
    pub(in crate::cli::admin) running: u64,
    /// Another with every start of its process.
    boot_id: Option<String>,
    registered_at: Option<Time>,
    /// Made once, with its data directory.
    store_uuid: Option<String>,
    heard_ms_ago: Option<u64>,
    lease_left_ms: Option<u64>,
    /// Spark endpoints that it does not reach.
    unreachable_endpoints: Vec<String>,
}

impl From<ClusterStatusResponse> for ClusterView {
    fn from(status: ClusterStatusResponse) -> Self {
        let hash = known(status.state_hash).map(|hash| format!("{hash:016x}"));
        Self {
            cluster_name: status.cluster_name,
            node_id: status.node_id,
            from_leader: status.from_leader,
            leader: known(status.leader),
            term: status.term,
            applied_index: status.applied_index,
            last_log_index: status.last_log_index,
            state_hash: hash,
            feature_level: status.feature_level,
            totals: status.totals.unwrap_or_default().into(),
            nodes: status.nodes.into_iter().map(NodeView::from).collect(),
        }
    }
}

impl From<Totals> for TotalsView {
    fn from(totals: Totals) -> Self {
        Self {
            live_sessions: totals.live_sessions,
            max_sessions: totals.max_sessions,
            queued: totals.queued,
            running: totals.running,
            slots_per_endpoint: totals.slots_per_endpoint,
            ended: totals.ended,
            cleanups: totals.cleanups,
        }
    }
}

impl From<Node> for NodeView {
    fn from(node: Node) -> Self {
        Self {
            node_id: node.node_id,
            role: node_role(node.role()),
            state: node_state(node.state()),
            state_since: Time::of_millis(node.state_since_ms),
            voter: node.voter,
            lag_entries: node.lag,
            grpc: node.grpc,
            http: said(node.http),
            version: said(node.version),
            feature_level: node.feature_level,
            sessions: node.sessions,
            running: node.running,
            boot_id: said(node.boot_id),
            registered_at: Time::of_millis(node.registered_at_ms),
            store_uuid: said(node.store_uuid),
            heard_ms_ago: node.heard_ms_ago,
            lease_left_ms: node.lease_left_ms,
            unreachable_endpoints: node.unreachable_endpoints,
        }
    }
}

impl From<ClusterView> for NodesView {
    fn from(cluster: ClusterView) -> Self {
        Self {
            nodes: cluster.nodes,
        }
    }
}

impl Shown for ClusterView {
    fn page(&self, now: DateTime<Utc>) -> Page {
        let totals = &self.totals;
        let leader = match self.leader {
            Some(leader) => Cell::new(format!("node {leader}, term {}", self.term)),
            None => toned("none", Tone::Bad),
        };
        let sessions = format!("{} of {}", totals.live_sessions, totals.max_sessions);
        let statements = format!(
            "{} running, {} queued, {} ended and kept",
            totals.running, totals.queued, totals.ended
        );
        let mut facts = vec![
            ("cluster", Cell::new(&self.cluster_name)),
            ("leader", leader),
            ("applied", Cell::new(self.applied())),
            ("sessions", Cell::new(sessions)),
            ("statements", Cell::new(statements)),
        ];
        if totals.cleanups > 0 {
            let text = format!("{} slots held for clean-up", totals.cleanups);
            facts.push(("slots", toned(&text, Tone::Warn)));
        }
        if let Some(hash) = &self.state_hash {
            facts.push(("state hash", Cell::new(hash)));
        }
        if !self.from_leader {
            let text = format!("as node {} knows it, perhaps behind", self.node_id);
            facts.push(("seen", toned(&text, Tone::Warn)));
        }
        Page::facts(facts).and(Block::Grid(nodes(&self.nodes, now)))
    }
}

impl ClusterView {
    fn applied(&self) -> String {
        let level = self.feature_level;
        format!(
            "{} of {} log entries, feature level {level}",
            self.applied_index, self.last_log_index
        )
    }
}

impl Shown for NodesView {
    fn page(&self, now: DateTime<Utc>) -> Page {
        Page::grid(nodes(&self.nodes, now))
    }
}

fn nodes(nodes: &[NodeView], now: DateTime<Utc>) -> Grid {
    let millis = |millis: Option<u64>| Cell::of(millis.map(|millis| format!("{millis} ms")));
    let row = |node: &NodeView| {
        vec![
            Cell::new(node.node_id),
            Cell::new(node.role),
            toned(node.state, node_tone(node.state)),
            Cell::new(age(node.state_since, now)),
            Cell::of(node.lag_entries),
            millis(node.heard_ms_ago),
            millis(node.lease_left_ms),
            Cell::new(node.sessions),
            Cell::new(node.running),
            Cell::of(node.version.as_ref()),
            Cell::new(&node.grpc),
            Cell::of(node.http.as_ref()),
        ]
    };
    Grid {
        columns: const {
            &[
                Column::number("NODE"),
                Column::key("ROLE"),
                Column::key("STATE"),
                Column::number("FOR"),
                Column::number("LAG"),
                Column::number("HEARD").optional(),
                Column::number("LEASE").optional(),
                Column::number("SESSIONS"),
                Column::number("RUNNING"),
                Column::text("VERSION").optional(),
                Column::key("GRPC"),
                Column::text("REST").optional(),
            ]
        },
        rows: nodes.iter().map(row).collect(),
        none: "no nodes",
    }
}

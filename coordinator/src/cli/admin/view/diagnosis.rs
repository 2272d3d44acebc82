//! What one node says about itself.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use libra_proto::admin::{
    ComponentDiagnosis, DiagnoseResponse, EndpointDiagnosis, PluginState, Reachable,
    SettingDiagnosis,
};
use serde::Serialize;

use super::super::output::{Block, Cell, Column, Grid, Page, Shown, Time, Tone, age};
use super::words::toned;
use super::{bytes, known, said};

/// `libra admin nodes show`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub(in crate::cli::admin) struct DiagnosisView {
    node_id: u64,
    /// Whether it takes requests.
    ready: bool,
    not_ready_reason: Option<String>,
    version: String,
    platform: String,
    /// The newest that its build understands.
    feature_level: u32,
    /// Whether it was built for tests: then safeties may be off.
    built_for_tests: bool,
    /// By its own clock.
    wall_clock: Option<Time>,
    started_at: Option<Time>,
    boot_id: String,
    raft: RaftView,
    disk: DiskView,
    fsync: FsyncView,
    lease: LeaseView,
    endpoints: Vec<EndpointView>,
    settings: Vec<SettingView>,
    /// The version of the settings in force.
    settings_version: Option<u64>,
    components: Vec<ComponentView>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct RaftView {
    /// `leader`, `follower`, `candidate`, `learner` or `stopped`.
    role: String,
    leader: Option<u64>,
    term: u64,
    last_log_index: u64,
    durable_index: u64,
    applied_index: u64,
    snapshot_index: u64,
    purged_index: u64,
    /// Of the entries that are kept.
    log_bytes: u64,
    /// `member`, or what it waits for, or why it was refused or removed.
    formation: String,
    /// Why it has stopped by itself.
    failure: Option<String>,
    store_uuid: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct DiskView {
    data_dir: String,
    total_bytes: u64,
    free_bytes: u64,
    /// Below it nothing is accepted.
    min_free_bytes: u64,
    full: bool,
}

/// How long the newest syncs of the Raft log took.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct FsyncView {
    samples: u64,
    p50_us: u64,
    p99_us: u64,
    max_us: u64,
    /// Since its process started.
    total: u64,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct LeaseView {
    /// A cluster of one needs none.
    needed: bool,
    held: bool,
    left_ms: u64,
    length_ms: u64,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct EndpointView {
    /// `sc://host:port`.
    name: String,
    /// `yes`, `no`, `unknown`.
    reachable: &'static str,
    spark_versions: Vec<String>,
    /// Of the pool plugin: `loaded`, `missing`, `unknown`.
    pool_interceptor: &'static str,
    /// Of the whole cluster.
    sessions: u64,
    running: u64,
    /// Whether it refuses a repeated operation id.
    remembers_operations: Option<bool>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct SettingView {
    key: String,
    in_force: Option<String>,
    /// In this node's own configuration.
    configured: String,
    differs: bool,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ComponentView {
    name: String,
    up: bool,
    details: BTreeMap<String, String>,
}

fn reachable(state: Reachable) -> &'static str {
    match state {
        Reachable::Yes => "yes",
        Reachable::No => "no",
        Reachable::Unknown | Reachable::Unspecified => "unknown",
    }
}

fn plugin(state: PluginState) -> &'static str {
    match state {
        PluginState::Loaded => "loaded",
        PluginState::Missing => "missing",
        PluginState::Unknown | PluginState::Unspecified => "unknown",
    }
}

impl From<DiagnoseResponse> for DiagnosisView {
    fn from(said_by_node: DiagnoseResponse) -> Self {
        let it = said_by_node;
        let build = it.build.unwrap_or_default();
        let (raft, disk) = (it.raft.unwrap_or_default(), it.disk.unwrap_or_default());
        let (fsync, lease) = (it.fsync.unwrap_or_default(), it.lease.unwrap_or_default());
        Self {
            node_id: it.node_id,
            ready: it.ready,
            not_ready_reason: said(it.not_ready_reason),
            version: build.version,
            platform: build.platform,
            feature_level: build.feature_level,
            built_for_tests: build.for_tests,
            wall_clock: Time::of_millis(it.wall_clock_ms),
            started_at: Time::of_millis(it.started_at_ms),
            boot_id: it.boot_id,
            raft: RaftView {
                role: raft.role,
                leader: known(raft.leader),
                term: raft.term,
                last_log_index: raft.last_log_index,
                durable_index: raft.durable_index,
                applied_index: raft.applied_index,
                snapshot_index: raft.snapshot_index,
                purged_index: raft.purged_index,
                log_bytes: raft.log_bytes,
                formation: raft.formation,
                failure: said(raft.failure),
                store_uuid: said(raft.store_uuid),
            },
            disk: DiskView {
                data_dir: disk.data_dir,
                total_bytes: disk.total_bytes,
                free_bytes: disk.free_bytes,
                min_free_bytes: disk.min_free_bytes,
                full: disk.full,
            },
            fsync: FsyncView {
                samples: fsync.samples,
                p50_us: fsync.p50_us,
                p99_us: fsync.p99_us,
                max_us: fsync.max_us,
                total: fsync.total,
            },
            lease: LeaseView {
                needed: lease.needed,
                held: lease.held,
                left_ms: lease.left_ms,
                length_ms: lease.length_ms,
            },
            endpoints: it.endpoints.into_iter().map(EndpointView::from).collect(),
            settings: it.settings.into_iter().map(SettingView::from).collect(),
            settings_version: known(it.settings_version),
            components: it.components.into_iter().map(ComponentView::from).collect(),
        }
    }
}

impl From<EndpointDiagnosis> for EndpointView {
    fn from(endpoint: EndpointDiagnosis) -> Self {
        Self {
            reachable: reachable(endpoint.reachable()),
            pool_interceptor: plugin(endpoint.pool_interceptor()),
            name: endpoint.name,
            spark_versions: endpoint.spark_versions,
            sessions: endpoint.sessions,
            running: endpoint.running,
            remembers_operations: endpoint.remembers_operations,
        }
    }
}

impl From<SettingDiagnosis> for SettingView {
    fn from(setting: SettingDiagnosis) -> Self {
        Self {
            key: setting.key,
            in_force: said(setting.in_force),
            configured: setting.configured,
            differs: setting.differs,
        }
    }
}

impl From<ComponentDiagnosis> for ComponentView {
    fn from(component: ComponentDiagnosis) -> Self {
        Self {
            name: component.name,
            up: component.up,
            details: component.details.into_iter().collect(),
        }
    }
}

impl Shown for DiagnosisView {
    fn page(&self, now: DateTime<Utc>) -> Page {
        Page::facts(self.facts(now))
            .and(Block::Grid(self.endpoint_grid()))
            .and(Block::Grid(self.setting_grid()))
    }
}

impl DiagnosisView {
    fn facts(&self, now: DateTime<Utc>) -> Vec<(&'static str, Cell)> {
        let Self {
            raft,
            disk,
            fsync,
            lease,
            ..
        } = self;
        let ready = match &self.not_ready_reason {
            _ if self.ready => toned("yes", Tone::Good),
            Some(reason) => toned(&format!("no: {reason}"), Tone::Bad),
            None => toned("no", Tone::Bad),
        };
        let leader = raft
            .leader
            .map_or("no leader".to_owned(), |id| format!("leader node {id}"));
        let log = format!(
            "{} last, {} durable, {} applied, {} in the snapshot; {} kept",
            raft.last_log_index,
            raft.durable_index,
            raft.applied_index,
            raft.snapshot_index,
            bytes(raft.log_bytes)
        );
        let disk = format!(
            "{} of {} free, {}",
            bytes(disk.free_bytes),
            bytes(disk.total_bytes),
            disk.data_dir
        );
        let sync = match fsync.samples {
            0 => "none measured yet".to_owned(),
            samples => format!(
                "p50 {}, p99 {}, longest {} of the newest {samples}",
                micros(fsync.p50_us),
                micros(fsync.p99_us),
                micros(fsync.max_us)
            ),
        };
        let lease = match (lease.needed, lease.held) {
            (false, _) => Cell::new("not needed in a cluster of one"),
            (true, true) => Cell::new(format!("{} of {} ms left", lease.left_ms, lease.length_ms)),
            (true, false) => toned("not held", Tone::Bad),
        };
        let mut facts = vec![
            ("node", Cell::new(self.node_id)),
            ("ready", ready),
            (
                "version",
                Cell::new(format!("{} {}", self.version, self.platform)),
            ),
            ("up for", Cell::new(age(self.started_at, now))),
            (
                "raft",
                Cell::new(format!("{}, {leader}, term {}", raft.role, raft.term)),
            ),
            ("formation", Cell::new(&raft.formation)),
            ("log", Cell::new(log)),
            ("disk", Cell::new(disk)),
            ("sync", Cell::new(sync)),
            ("lease", lease),
        ];
        facts.extend(
            raft.failure
                .iter()
                .map(|why| ("failure", toned(why, Tone::Bad))),
        );
        for component in self.components.iter().filter(|component| !component.up) {
            facts.push(("down", toned(&component.name, Tone::Bad)));
        }
        facts
    }

    fn endpoint_grid(&self) -> Grid {
        let row = |endpoint: &EndpointView| {
            let tone = match endpoint.reachable {
                "yes" => Tone::Good,
                "no" => Tone::Bad,
                _ => Tone::Plain,
            };
            vec![
                Cell::new(&endpoint.name),
                toned(endpoint.reachable, tone),
                Cell::new(endpoint.spark_versions.join(", ")),
                Cell::new(endpoint.pool_interceptor),
                Cell::new(endpoint.sessions),
                Cell::new(endpoint.running),
            ]
        };
        Grid {
            columns: const {
                &[
                    Column::key("SPARK"),
                    Column::key("REACHED"),
                    Column::text("VERSION"),
                    Column::key("POOL PLUGIN"),
                    Column::number("SESSIONS"),
                    Column::number("RUNNING"),
                ]
            },
            rows: self.endpoints.iter().map(row).collect(),
            none: "no Spark endpoints",
        }
    }

    fn setting_grid(&self) -> Grid {
        let row = |setting: &SettingView| {
            let tone = if setting.differs {
                Tone::Warn
            } else {
                Tone::Plain
            };
            vec![
                Cell::new(&setting.key),
                Cell::of(setting.in_force.as_ref()),
                toned(&setting.configured, tone),
            ]
        };
        Grid {
            columns: const {
                &[
                    Column::key("SETTING"),
                    Column::text("IN FORCE"),
                    Column::text("CONFIGURED HERE"),
                ]
            },
            rows: self.settings.iter().map(row).collect(),
            none: "no settings",
        }
    }
}

/// Microseconds as people read them.
fn micros(micros: u64) -> String {
    if micros < 1_000 {
        format!("{micros} µs")
    } else {
        format!("{}.{} ms", micros / 1_000, micros % 1_000 / 100)
    }
}

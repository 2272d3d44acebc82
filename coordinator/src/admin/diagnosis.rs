//! What a node says about itself.
//!
//! **Invariant:** it never waits for anything but, for a moment, a leader: a node that is in trouble
//! must be able to say so.

use std::collections::BTreeSet;
use std::time::Duration;

use libra_proto::admin::{
    Build, ComponentDiagnosis, DiagnoseRequest, DiagnoseResponse, DiskDiagnosis, EndpointDiagnosis,
    FsyncDiagnosis, LeaseDiagnosis, PluginState, RaftDiagnosis, Reachable,
};
use libra_raft::registry::{FEATURE_LEVEL, Registry};
use libra_raft::{DiskPolicy, Formation, Role, Status};
use tokio::time::Instant;

use super::call::Call;
use super::problem::Problem;
use super::{AdminService, Client, settings};
use crate::clock::now_ms;
use crate::service::Patience;

/// How long a leader is waited for.
const PATIENCE: Duration = Duration::from_millis(500);

impl AdminService {
    pub(super) async fn answer_diagnose(
        &self,
        call: &Call,
        asked: DiagnoseRequest,
    ) -> Result<DiagnoseResponse, Problem> {
        if let Some(node) = self.another(asked.node_id) {
            let ask = |mut client: Client, message| async move { client.diagnose(message).await };
            return self.pass_on(call, node, asked, ask).await;
        }
        let patience = Patience::from(Instant::now(), PATIENCE.min(call.left()));
        let ready = self.service.ready(patience).await;
        let status = self.handle.status();
        let in_force = self.view(|registry| registry.settings().copied());
        Ok(DiagnoseResponse {
            node_id: self.this_node().0,
            build: Some(build()),
            started_at_ms: self.started_at_ms,
            boot_id: self.identity.boot_id(),
            disk: Some(self.disk(&status)),
            fsync: Some(self.fsync(&status)),
            lease: Some(self.lease()),
            endpoints: self.endpoints(),
            settings: settings::compared(in_force.as_ref(), &self.facts.configured),
            settings_version: in_force.map_or(0, |settings| settings.version),
            components: self.components(),
            ready: ready.is_ok(),
            not_ready_reason: ready.err().unwrap_or_default().to_owned(),
            raft: Some(raft(status)),
            // Last, so that it is of the moment of the answer.
            wall_clock_ms: now_ms(),
        })
    }

    fn disk(&self, status: &Status) -> DiskDiagnosis {
        let stat = rustix::fs::statvfs(&self.facts.data_dir);
        let (total_bytes, free_bytes) = stat.map_or((0, status.disk_free_bytes), |stat| {
            (
                stat.f_blocks.saturating_mul(stat.f_frsize),
                stat.f_bavail.saturating_mul(stat.f_frsize),
            )
        });
        DiskDiagnosis {
            data_dir: self.facts.data_dir.display().to_string(),
            total_bytes,
            free_bytes,
            min_free_bytes: DiskPolicy::default().min_free_bytes,
            full: status.disk_full,
        }
    }

    fn fsync(&self, status: &Status) -> FsyncDiagnosis {
        let total = status.syncs;
        let newest = self.handle.sync_times().newest;
        newest.map_or(
            FsyncDiagnosis {
                total,
                ..FsyncDiagnosis::default()
            },
            |newest| FsyncDiagnosis {
                samples: newest.samples as u64,
                p50_us: micros(newest.p50),
                p99_us: micros(newest.p99),
                max_us: micros(newest.max),
                total,
            },
        )
    }

    fn lease(&self) -> LeaseDiagnosis {
        let seen = self.terms.lease();
        LeaseDiagnosis {
            needed: !self.facts.alone,
            held: seen.as_ref().is_some_and(|lease| lease.held),
            left_ms: seen.map_or(0, |lease| millis(lease.left)),
            length_ms: millis(self.facts.lease),
        }
    }

    fn endpoints(&self) -> Vec<EndpointDiagnosis> {
        let reachability = &self.service.options().reachability;
        let one = |name: &String| {
            let mut seen = self.view(|registry| on_endpoint(registry, name));
            seen.reachable = if reachability.is_up(name) {
                Reachable::Yes
            } else if reachability.is_down(name) {
                Reachable::No
            } else {
                Reachable::Unknown
            }
            .into();
            seen.pool_interceptor = match self.task_pools.is_loaded(name) {
                Some(true) => PluginState::Loaded,
                Some(false) => PluginState::Missing,
                None => PluginState::Unknown,
            }
            .into();
            seen
        };
        self.facts.endpoints.iter().map(one).collect()
    }

    fn components(&self) -> Vec<ComponentDiagnosis> {
        let components = self.service.health().components.into_iter();
        components
            .map(|(name, health)| ComponentDiagnosis {
                name: name.to_owned(),
                up: health.up,
                details: health
                    .details
                    .into_iter()
                    .map(|(key, value)| (key, value.to_string()))
                    .collect(),
            })
            .collect()
    }
}

fn build() -> Build {
    Build {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        feature_level: FEATURE_LEVEL,
        platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
        for_tests: cfg!(feature = "failpoints"),
    }
}

fn raft(status: Status) -> RaftDiagnosis {
    RaftDiagnosis {
        role: role(status.role).to_owned(),
        leader: status.leader.map_or(0, |leader| leader.0),
        term: status.term,
        last_log_index: status.last_log_index,
        durable_index: status.durable_index,
        applied_index: status.applied_index,
        snapshot_index: status.snapshot_index,
        purged_index: status.purged_index,
        log_bytes: status.log_bytes,
        formation: formation(status.formation),
        failure: status.failure.unwrap_or_default(),
        store_uuid: status.store_uuid,
    }
}

fn role(role: Role) -> &'static str {
    match role {
        Role::Learner => "learner",
        Role::Follower => "follower",
        Role::Candidate => "candidate",
        Role::Leader => "leader",
        Role::Stopped => "stopped",
    }
}

fn formation(formation: Formation) -> String {
    match formation {
        Formation::Waiting { reason } => format!("waiting: {reason}"),
        Formation::Member => "member".to_owned(),
        Formation::Refused { reason } => format!("refused: {reason}"),
        Formation::Removed => "removed".to_owned(),
    }
}

/// What the registry says of an endpoint.
fn on_endpoint(registry: &Registry, name: &str) -> EndpointDiagnosis {
    let sessions = registry.sessions_after(None);
    let live: Vec<_> = sessions
        .filter(|session| session.endpoint == name && session.state().is_live())
        .collect();
    let incarnations = live
        .iter()
        .filter_map(|session| session.incarnation.as_ref());
    let versions: BTreeSet<&String> = incarnations.clone().map(|i| &i.spark_version).collect();
    let newest = incarnations.max_by_key(|incarnation| incarnation.opened_at_ms);
    EndpointDiagnosis {
        name: name.to_owned(),
        spark_versions: versions.into_iter().cloned().collect(),
        sessions: live.len() as u64,
        running: registry.demand(name).taken.into(),
        remembers_operations: newest.map(|incarnation| incarnation.remembers_operations),
        ..EndpointDiagnosis::default()
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

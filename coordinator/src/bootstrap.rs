//! What a node says to the registry when it starts, before its actors do anything.
//!
//! **Invariant:** all of it may be said again: a node that dies in the middle starts over.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libra_actors::ports::{Proposed, RegistryPort};
use libra_proto::registry::{
    CreateSession, NodeRecord, PoolRecord, PutSettings, RegisterNode, Rejection, RejectionCode,
    SeedPools, Settings, command,
};
use thiserror::Error;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::adapters::RaftRegistry;
use crate::config::Config;

/// A start that the registry did not go along with.
#[derive(Debug, Error)]
pub enum BootstrapError {
    /// The registry refused a command of the start.
    #[error("{what}: refused by the registry: {rejection:?}")]
    Refused {
        /// What was proposed.
        what: &'static str,
        /// Why not.
        rejection: Box<Rejection>,
    },
    /// No answer in time.
    #[error("{what}: no answer from the registry: {reason}")]
    Unknown {
        /// What was proposed.
        what: &'static str,
        /// What the registry said last.
        reason: String,
    },
}

/// How this node is reached and told apart; clones are of one node.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) http: String,
    pub(crate) grpc: String,
    store_uuid: String,
    boot_id: Arc<Mutex<String>>,
    leaving: CancellationToken,
}

impl Identity {
    /// The identity of one start of the process.
    pub(crate) fn new(http: String, grpc: String, store_uuid: String) -> Self {
        Self {
            http,
            grpc,
            store_uuid,
            boot_id: Arc::new(Mutex::new(Uuid::new_v4().to_string())),
            leaving: CancellationToken::new(),
        }
    }

    /// Of this start, or of the last time that the node joined anew.
    pub(crate) fn boot_id(&self) -> String {
        self.lock().clone()
    }

    /// From now on it is another start: all that the last one owned is others'. Not of a node that
    /// is leaving, which would be taken for one that has come: then nothing changes, and it is false.
    pub(crate) fn begin_anew(&self) -> bool {
        let mut boot_id = self.lock();
        let stays = !self.leaving.is_cancelled();
        if stays {
            *boot_id = Uuid::new_v4().to_string();
        }
        stays
    }

    /// This node leaves: it stays the start that it is until its process ends.
    pub(crate) fn leave(&self) {
        let _boot_id = self.lock();
        self.leaving.cancel();
    }

    /// Waits until this node leaves.
    ///
    /// # Cancel safety
    /// Nothing happens when the future is dropped.
    pub(crate) async fn leaving(&self) {
        self.leaving.cancelled().await;
    }

    fn lock(&self) -> MutexGuard<'_, String> {
        self.boot_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Registers this start of the node.
pub(crate) async fn register_node(
    registry: &RaftRegistry,
    identity: &Identity,
) -> Result<(), BootstrapError> {
    let node = NodeRecord {
        node_id: registry.node_id().0,
        http: identity.http.clone(),
        grpc: identity.grpc.clone(),
        store_uuid: identity.store_uuid.clone(),
        boot_id: identity.boot_id(),
        feature_level: libra_raft::registry::FEATURE_LEVEL,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..NodeRecord::default()
    };
    let register = command::Kind::RegisterNode(RegisterNode { node: Some(node) });
    propose(registry, "registering this node", register).await
}

/// Registers the node, and seeds settings and pools where the registry has none.
pub(crate) async fn register(
    registry: &RaftRegistry,
    config: &Config,
    identity: &Identity,
) -> Result<(), BootstrapError> {
    register_node(registry, identity).await?;
    put_settings(registry, config).await?;
    let seed = command::Kind::SeedPools(SeedPools {
        pools: config.pools.clone(),
    });
    propose(registry, "seeding the pools", seed).await?;
    warn_of_other_pools(registry, config);
    warn_of_min_shares(registry);
    Ok(())
}

/// Makes sure that the shared session is there and takes statements.
pub(crate) async fn ensure_shared_session(
    registry: &RaftRegistry,
    endpoint: &str,
) -> Result<(), BootstrapError> {
    let create = CreateSession {
        session_id: libra_raft::registry::SHARED_SESSION.to_owned(),
        user: "anonymous".to_owned(),
        endpoint: endpoint.to_owned(),
        spark_session_id: Uuid::new_v4().to_string(),
        reopen: true,
        ..CreateSession::default()
    };
    match registry.propose(command::Kind::CreateSession(create)).await {
        Proposed::Applied(_) => Ok(()),
        Proposed::Rejected(rejection) if rejection.code() == RejectionCode::SessionTaken => Ok(()),
        other => checked("making the shared session", other),
    }
}

/// In a cluster of one the file is obeyed; with peers the registry is, and differences are said.
async fn put_settings(registry: &RaftRegistry, config: &Config) -> Result<(), BootstrapError> {
    let mut wanted = settings_of(config);
    let present = registry.settings();
    let expected_version = present.as_ref().map_or(0, |settings| settings.version);
    if let Some(present) = present {
        wanted.version = present.version;
        if present == wanted {
            return Ok(());
        }
        if !config.cluster.peers.is_empty() {
            tracing::warn!(file = ?wanted, registry = ?present,
                "settings of this node's file differ from the cluster's; the cluster's hold");
            return Ok(());
        }
        tracing::info!(from = ?present, to = ?wanted, "settings changed by this node's file");
    }
    let put = PutSettings {
        settings: Some(wanted),
        expected_version,
    };
    let what = "committing the settings";
    match registry.propose(command::Kind::PutSettings(put)).await {
        // Another node was first; its settings hold.
        Proposed::Rejected(rejection)
            if !config.cluster.peers.is_empty()
                && rejection.code() == RejectionCode::SettingsVersion =>
        {
            Ok(())
        }
        other => checked(what, other),
    }
}

pub(crate) fn settings_of(config: &Config) -> Settings {
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    Settings {
        version: 0,
        mode: config.session.mode.into(),
        slots: config.scheduler.slots,
        max_queued: config.scheduler.max_queued,
        max_sessions: config.session.max_sessions,
        queued_bytes: config.limits.queued_bytes,
        scheduler_mode: config.spark.scheduler_mode.into(),
        retention_ms: millis(config.results.retention),
        retention_statements: config.results.retention_statements,
        active_per_session: config.limits.statements_per_session,
        active_per_user: config.limits.statements_per_user,
        result_replicas: config.results.replicas,
    }
}

fn warn_of_other_pools(registry: &RaftRegistry, config: &Config) {
    let present = registry.pools();
    let pairs = config.pools.iter().filter_map(|wanted| {
        let present = present.iter().find(|pool| pool.name == wanted.name)?;
        let paused = present.paused;
        let wanted_so = PoolRecord {
            paused,
            ..wanted.clone()
        };
        (*present != wanted_so).then_some((wanted, present))
    });
    let (file, present): (Vec<_>, Vec<_>) = pairs.unzip();
    if !file.is_empty() {
        tracing::warn!(
            ?file,
            registry = ?present,
            "pools differ from this node's file; the registry's hold"
        );
    }
}

/// More than fits is shared in proportion, which may not be what was meant.
fn warn_of_min_shares(registry: &RaftRegistry) {
    let slots = registry.settings().map_or(0, |settings| settings.slots);
    let pools = registry.pools();
    if let Some(total) = too_much(slots, pools.iter().map(|pool| pool.min_share)) {
        tracing::warn!(
            total,
            slots,
            "the pools' minShares are more than the slots of an endpoint; with all pools busy \
             each gets its part of them"
        );
    }
}

/// The sum of what pools are to have at least, if that is more than there is.
fn too_much(slots: u32, min_shares: impl Iterator<Item = u32>) -> Option<u64> {
    let total: u64 = min_shares.map(u64::from).sum();
    (total > u64::from(slots)).then_some(total)
}

async fn propose(
    registry: &RaftRegistry,
    what: &'static str,
    command: command::Kind,
) -> Result<(), BootstrapError> {
    checked(what, registry.propose(command).await)
}

fn checked(what: &'static str, proposed: Proposed) -> Result<(), BootstrapError> {
    match proposed {
        Proposed::Applied(_) => Ok(()),
        Proposed::Rejected(rejection) => Err(BootstrapError::Refused { what, rejection }),
        Proposed::Unknown(reason) => Err(BootstrapError::Unknown { what, reason }),
    }
}

#[cfg(test)]
mod tests {
    use super::too_much;

    #[test]
    fn min_shares_fit_up_to_the_slots() {
        assert_eq!(too_much(10, [1, 2, 4, 3].into_iter()), None);
        assert_eq!(too_much(10, [1, 2, 4, 4].into_iter()), Some(11));
        assert_eq!(too_much(1, [u32::MAX; 2].into_iter()), Some(8_589_934_590));
    }
}

//! Makes lost copies of results anew, while this node leads.
//!
//! **Invariant:** a node becomes a holder only after it has said that the whole file is durable
//! there; what is no longer under-copied by then is left alone by `apply`.

use std::time::Duration;

use libra_actors::ports::{Proposed, RegistryPort};
use libra_proto::peer::FileId;
use libra_proto::registry::{Holder, PutHolders, ResultManifest, command};
use libra_proto::types::{JobId, NodeId};
use libra_raft::registry::UnderCopied;
use tokio::time::{MissedTickBehavior, interval};

use crate::adapters::RaftRegistry;
use crate::peer::Peers;

/// How often it is looked for results with too few copies. Longer than a restart of a node takes:
/// what a node holds counts again once it is back.
const EVERY: Duration = Duration::from_secs(5);
/// How many copies one round makes at most.
const BATCH: usize = 64;
/// For one copy, and a second more for so many bytes.
const LIMIT: Duration = Duration::from_secs(10);
const BYTES_IN_A_SECOND: u64 = 20 << 20;

/// Looks for results with too few copies, for ever.
pub(crate) async fn run(registry: RaftRegistry, peers: Peers) {
    let leadership = registry.leadership();
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        let mut copied = 0;
        for found in registry.under_copied(BATCH) {
            if leadership.borrow().is_none() {
                break;
            }
            match copy(&registry, &peers, &found).await {
                Ok(()) => copied += 1,
                Err(error) => {
                    tracing::warn!(job_id = %found.job, error, "copy of a result not made anew");
                }
            }
        }
        if copied > 0 {
            tracing::info!(copied, "copies of results made anew");
        }
    }
}

async fn copy(registry: &RaftRegistry, peers: &Peers, found: &UnderCopied) -> Result<(), String> {
    let manifest = &found.manifest;
    let file = file_of(found.job, manifest);
    let limit = LIMIT + Duration::from_secs(file.length / BYTES_IN_A_SECOND);
    let mut failed = String::new();
    for holder in &found.within_reach {
        let copied = peers.copy_result(found.target, limit, file, *holder).await;
        match copied {
            Ok(store_uuid) => return note(registry, found, store_uuid).await,
            Err(error) => failed = error.to_string(),
        }
    }
    Err(failed)
}

fn file_of(job: JobId, manifest: &ResultManifest) -> FileId {
    FileId {
        job: job.0,
        epoch: manifest.epoch,
        length: manifest.file_length,
        hash: manifest.file_hash,
    }
}

async fn note(
    registry: &RaftRegistry,
    found: &UnderCopied,
    store_uuid: String,
) -> Result<(), String> {
    let NodeId(node_id) = found.target;
    let mut holders = found.manifest.holders.clone();
    holders.retain(|holder| holder.node_id != node_id);
    holders.push(Holder {
        node_id,
        store_uuid,
    });
    let put = PutHolders {
        job: found.job.0,
        file_hash: found.manifest.file_hash,
        holders,
    };
    match registry.propose(command::Kind::PutHolders(put)).await {
        Proposed::Applied(_) => Ok(()),
        Proposed::Rejected(rejection) => Err(format!("refused: {:?}", rejection.code())),
        Proposed::Unknown(reason) => Err(reason),
    }
}

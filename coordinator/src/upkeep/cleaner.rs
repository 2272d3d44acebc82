//! Removes result files whose statement the registry no longer has, and of ended statements those
//! that are not the result.

use std::collections::BTreeSet;
use std::time::Duration;

use libra_proto::types::JobId;
use tokio::time::{MissedTickBehavior, interval};

use crate::adapters::RaftRegistry;
use crate::results::ResultStore;

/// How often it looks.
const EVERY: Duration = Duration::from_secs(30);

/// Looks for orphans, for ever.
pub(super) async fn run(registry: RaftRegistry, results: ResultStore) {
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        clock.tick().await;
        match clean(&registry, &results).await {
            Ok(0) => {}
            Ok(removed) => tracing::info!(removed, "results of retired statements removed"),
            Err(error) => tracing::warn!(error, "results of retired statements not removed"),
        }
    }
}

/// One round: first the files, then a linearizable read, then the registry. A file is made only
/// after its statement was applied here, so a statement that is missing after that read was
/// retired.
async fn clean(registry: &RaftRegistry, results: &ResultStore) -> Result<usize, String> {
    let stored = results.list().await.map_err(|error| error.to_string())?;
    let bytes: u64 = stored.iter().map(|file| file.length).sum();
    let gauge = &results.metrics().stored;
    gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
    let jobs: BTreeSet<JobId> = stored.iter().map(|file| file.job).collect();
    if jobs.is_empty() {
        return Ok(0);
    }
    registry
        .read_index()
        .await
        .map_err(|error| error.to_string())?;
    let mut removed = 0;
    for job in jobs {
        let outcome = if !registry.knows(job) {
            results.remove(job).await
        } else if let Some(epoch) = registry.result_epoch(job) {
            // Of owners that did not come to its end.
            results.remove_other_epochs(job, epoch).await
        } else {
            continue;
        };
        removed += outcome.map_err(|error| error.to_string())?;
    }
    Ok(removed)
}

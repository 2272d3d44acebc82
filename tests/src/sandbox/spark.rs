//! Sessions and Spark, pretended: whatever the registry has as `running` ends after a while.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use libra_actors::ports::{ChangeFeed, Feed, RegistryPort};
use libra_proto::types::{Change, JobId, SessionId};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::registry::MemoryRegistry;
use super::requests::finish;

/// Runs statements of equal length; ends when dropped.
pub struct PretendSpark {
    _tasks: JoinSet<()>,
}

impl PretendSpark {
    /// Ends every statement `length` after it has begun to run.
    #[must_use]
    pub fn start(registry: &Arc<MemoryRegistry>, length: Duration) -> Self {
        let mut tasks = JoinSet::new();
        let feed = registry.subscribe();
        tasks.spawn(run(Arc::clone(registry), feed, length));
        Self { _tasks: tasks }
    }
}

async fn run(registry: Arc<MemoryRegistry>, mut feed: Box<dyn ChangeFeed>, length: Duration) {
    let mut begun: BTreeSet<JobId> = BTreeSet::new();
    let mut running = JoinSet::new();
    let mut news = Feed::Lagged;
    loop {
        let sessions: BTreeSet<SessionId> = match news {
            Feed::Changes(changes) => changes.into_iter().filter_map(session_of).collect(),
            Feed::Lagged => registry.owned_sessions().into_iter().collect(),
            Feed::Closed => return,
        };
        for view in sessions.iter().filter_map(|id| registry.session(id)) {
            for statement in view.running {
                if begun.insert(JobId(statement.job)) {
                    let registry = Arc::clone(&registry);
                    running.spawn(async move {
                        sleep(length).await;
                        registry.apply(finish(statement.job, true, false));
                    });
                }
            }
        }
        news = tokio::select! {
            news = feed.next() => news,
            Some(_) = running.join_next() => Feed::Changes(Vec::new()),
        };
    }
}

fn session_of(change: Change) -> Option<SessionId> {
    match change {
        Change::Statement(_, id) | Change::Session(id) => Some(id),
        Change::Settings => None,
    }
}

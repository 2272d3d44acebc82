//! Follows the log of the registry by the operator's stream of events, wherever it can be read.
//!
//! **Invariant:** what was read is in order and not read twice. What no node tells any more (all were
//! started anew, or were overtaken) is left out: it can hide something and never show what is not.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use libra_proto::admin::watch_events_request::Begin;
use libra_proto::admin::{Event, EventKind, Position, WatchEventsRequest, event};
use tokio::time::timeout;
use tonic::Code;

use crate::evidence::{Logged, LoggedWhat};
use crate::harness::Cluster;

/// How long a stream may say nothing before all is taken as read, and how long all may take.
const QUIET: Duration = Duration::from_millis(500);
const READ_WITHIN: Duration = Duration::from_secs(20);

const KINDS: [EventKind; 3] = [
    EventKind::SessionCreated,
    EventKind::SessionMoved,
    EventKind::StatementEnded,
];

/// Reads on where it stopped.
#[derive(Debug, Default)]
pub(super) struct LogReader {
    read: Option<Position>,
    found: Vec<Logged>,
}

/// A part of the log that could not be read.
enum Stop {
    /// It is kept no more on that node.
    Gone,
    Failed(anyhow::Error),
}

impl LogReader {
    /// All that was read.
    pub(super) fn found(self) -> Vec<Logged> {
        self.found
    }

    /// Reads what has come since the last time, up to what a node has applied when it is asked.
    ///
    /// # Errors
    /// When no node can be read from.
    ///
    /// # Cancel safety
    /// May be dropped; what it had read is read again.
    pub(super) async fn go_on(&mut self, cluster: &Cluster) -> Result<()> {
        let mut failed = anyhow!("no node runs");
        // First on, by any node that can; else from what is still kept.
        for after in [self.read, None] {
            for id in cluster.running() {
                match self.read_on(cluster, id, after).await {
                    Ok(()) => return Ok(()),
                    Err(Stop::Gone) => {}
                    Err(Stop::Failed(error)) => failed = error,
                }
            }
        }
        Err(failed.context("reading the log by its events"))
    }

    async fn read_on(
        &mut self,
        cluster: &Cluster,
        id: u64,
        after: Option<Position>,
    ) -> Result<(), Stop> {
        let read = timeout(READ_WITHIN, read(cluster, id, after)).await;
        let read = read.map_err(|_| Stop::Failed(anyhow!("node {id}: not within {READ_WITHIN:?}")));
        let (found, reached) = read??;
        let new = |logged: &Logged| {
            let at = (logged.index, logged.ordinal);
            self.read.is_none_or(|read| at > (read.index, read.ordinal))
        };
        self.found.extend(found.into_iter().filter(new));
        self.read = reached.or(self.read);
        Ok(())
    }
}

impl From<anyhow::Error> for Stop {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

impl From<tonic::Status> for Stop {
    fn from(status: tonic::Status) -> Self {
        match status.code() {
            Code::OutOfRange => Self::Gone,
            _ => Self::Failed(status.into()),
        }
    }
}

async fn read(
    cluster: &Cluster,
    id: u64,
    after: Option<Position>,
) -> Result<(Vec<Logged>, Option<Position>), Stop> {
    let applied = cluster.status(id).await?.applied_index;
    let asked = WatchEventsRequest {
        begin: Some(after.map_or(Begin::Oldest(true), Begin::After)),
        kinds: KINDS.map(Into::into).to_vec(),
        session_id: String::new(),
    };
    let mut stream = cluster
        .admin(id)
        .await?
        .watch_events(asked)
        .await?
        .into_inner();
    let (mut found, mut reached) = (Vec::new(), None);
    while let Ok(next) = timeout(QUIET, stream.message()).await {
        let next = next?.context("the stream of events ended")?;
        reached = next.position;
        found.extend(next.event.and_then(logged));
        if reached.is_some_and(|reached| reached.index >= applied) {
            break;
        }
    }
    Ok((found, reached))
}

fn logged(event: Event) -> Option<Logged> {
    let (session, epoch, what) = match event.kind? {
        event::Kind::SessionCreated(it) => (it.session_id, it.epoch, LoggedWhat::Owned),
        event::Kind::SessionMoved(it) => (it.session_id, it.epoch, LoggedWhat::Owned),
        event::Kind::StatementEnded(it) => (it.session_id, it.epoch, LoggedWhat::Ended(it.job_id)),
        _ => return None,
    };
    let at = event.position?;
    Some(Logged {
        index: at.index,
        ordinal: at.ordinal,
        session,
        epoch,
        what,
    })
}

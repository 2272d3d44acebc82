//! A new owner's way to what earlier owners have stored.
//!
//! **Invariant:** copies of all epochs are begins of the same result, because a statement runs once:
//! the longest one is the one to go on from. That nothing is stored is believed only of nodes that
//! say so: where one is silent the result begins anew with what Spark still has, and its statement
//! counts as one of which something was stored.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use libra_actors::ports::StoreError;
use libra_proto::peer::FileId;
use libra_proto::registry::ResultManifest;
use libra_proto::types::{Epoch, JobId, NodeId};
use tokio::time::{Instant, sleep, timeout_at};

use super::{CopyError, ReceiveError};
use crate::peer::{PeerError, Peers};
use crate::results::store::format::HEADER_LEN;
use crate::results::store::{ResultStore, names, scan};

/// How long a node may take to say what it has, if nobody else has anything.
const WAIT: Duration = Duration::from_secs(5);
/// And if somebody has: then Spark can send what is missing again.
const WAIT_WITH_COPY: Duration = Duration::from_secs(1);
/// One attempt.
const ATTEMPT: Duration = Duration::from_secs(1);
const PAUSE: Duration = Duration::from_millis(50);

/// What is known of the responses that earlier owners have stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// This node has them now, or there are none.
    Here,
    /// Nothing is here, and something may be where nobody answers.
    Perhaps,
}

/// Somewhere that a copy is; `None` is this node.
#[derive(Debug, Clone, Copy)]
struct Found {
    node: Option<NodeId>,
    file: FileId,
}

impl ResultStore {
    /// Makes the longest copy that there is the file of `epoch`. Writers of older epochs are kept
    /// out from then on, wherever somebody answers.
    ///
    /// # Errors
    /// When a newer epoch was seen, or this node's disk refuses.
    pub(crate) async fn go_on(
        &self,
        job: JobId,
        epoch: Epoch,
        nodes: &[NodeId],
    ) -> Result<Earlier, StoreError> {
        let here = self.find(job, epoch).await.map_err(|error| match error {
            ReceiveError::Superseded { job, epoch } => StoreError::Superseded { job, epoch },
            ReceiveError::Busy { .. }
            | ReceiveError::Fault { .. }
            | ReceiveError::BrokenOff { .. } => StoreError::Io {
                job,
                cause: error.to_string(),
            },
        })?;
        let mut found: Vec<Found> = here
            .map(|file| Found { node: None, file })
            .into_iter()
            .collect();
        if let Some(peers) = self.peers() {
            let silent = ask(peers, job, epoch, nodes, &mut found).await?;
            if found.is_empty() && !silent.is_empty() {
                let silent: String = silent.iter().map(|error| format!("; {error}")).collect();
                tracing::warn!(job_id = %job, epoch = epoch.0, silent,
                    "no copy of the result found, and not everybody asked; Spark sends it again if it can");
                return Ok(Earlier::Perhaps);
            }
        }
        self.take_longest(job, epoch, found).await
    }

    async fn take_longest(
        &self,
        job: JobId,
        epoch: Epoch,
        mut found: Vec<Found>,
    ) -> Result<Earlier, StoreError> {
        // The longest first, of equal ones that which is here already, or nearly.
        found.sort_by_key(|found| {
            let here = found.node.is_none();
            (found.file.length, here, here && found.file.epoch == epoch.0)
        });
        let mut earlier = Earlier::Here;
        for found in found.into_iter().rev() {
            if found.node.is_none() && found.file.epoch == epoch.0 {
                return Ok(Earlier::Here);
            }
            match self.fetch(found.file, found.node, epoch, true).await {
                Ok(()) => {
                    tracing::info!(job_id = %job, epoch = epoch.0, from = ?found.node, bytes = found.file.length,
                        "going on with a copy of the result");
                    return Ok(Earlier::Here);
                }
                // Where there is room for it the result goes on; here it would begin anew.
                Err(CopyError::Io(error)) if error.kind() != io::ErrorKind::ResourceBusy => {
                    let cause = error.to_string();
                    return Err(StoreError::Io { job, cause });
                }
                Err(error) => {
                    tracing::warn!(job_id = %job, ?found, %error, "copy of the result not taken");
                    earlier = Earlier::Perhaps;
                }
            }
        }
        Ok(earlier)
    }

    /// The longest good copy on this disk, in any epoch up to `epoch`.
    pub(super) async fn longest(&self, job: JobId, epoch: Epoch) -> io::Result<Option<FileId>> {
        let dir = self.dir().to_owned();
        let longest = self.reads().run(move || {
            let mut longest: Option<FileId> = None;
            for stored in names::epochs(&dir, job)?
                .into_iter()
                .filter(|e| *e <= epoch)
            {
                let file = File::open(names::path(&dir, job, stored))?;
                let scanned = scan::scan(&file, job, stored, drop)?;
                let file = FileId {
                    job: job.0,
                    epoch: stored.0,
                    length: scanned.good,
                    hash: scanned.hash.digest(),
                };
                let best = longest.map(|best| (best.length, best.epoch));
                if scanned.good > HEADER_LEN && best < Some((file.length, file.epoch)) {
                    longest = Some(file);
                }
            }
            Ok(longest)
        });
        longest.await.map_err(io::Error::other)?
    }

    /// The epochs in which something of a job is stored here.
    pub(super) async fn epochs(&self, job: JobId) -> io::Result<Vec<Epoch>> {
        let dir = self.dir().to_owned();
        let epochs = self.reads().run(move || names::epochs(&dir, job)).await;
        epochs.map_err(io::Error::other)?
    }

    /// Whether a sealed file is here.
    pub(super) async fn is_whole(&self, file: FileId) -> bool {
        let manifest = ResultManifest {
            epoch: file.epoch,
            file_length: file.length,
            file_hash: file.hash,
            ..ResultManifest::default()
        };
        self.is_here(JobId(file.job), &manifest).await
    }
}

/// Asks all nodes what they have; of those that did not say it is told why.
async fn ask(
    peers: &Peers,
    job: JobId,
    epoch: Epoch,
    nodes: &[NodeId],
    found: &mut Vec<Found>,
) -> Result<Vec<PeerError>, StoreError> {
    let begun = Instant::now();
    let others = nodes.iter().filter(|node| **node != peers.this_node());
    let mut unheard: BTreeSet<NodeId> = others.copied().collect();
    let mut asked: FuturesUnordered<_> = unheard
        .iter()
        .map(|node| ask_one(peers, job, epoch, *node, begun + WAIT))
        .collect();
    let mut silent = Vec::new();
    loop {
        let limit = if found.is_empty() {
            WAIT
        } else {
            WAIT_WITH_COPY
        };
        let Ok(Some((node, answer))) = timeout_at(begun + limit, asked.next()).await else {
            let unheard = unheard.into_iter();
            silent.extend(unheard.map(|node| PeerError::TimedOut { node, limit }));
            return Ok(silent);
        };
        unheard.remove(&node);
        match answer {
            Ok(file) => {
                let node = Some(node);
                found.extend(file.map(|file| Found { node, file }));
            }
            Err(error) if error.is_aborted() => {
                return Err(StoreError::Superseded { job, epoch });
            }
            Err(error) => silent.push(error),
        }
    }
}

async fn ask_one(
    peers: &Peers,
    job: JobId,
    epoch: Epoch,
    node: NodeId,
    until: Instant,
) -> (NodeId, Result<Option<FileId>, PeerError>) {
    loop {
        match peers.find_result(node, ATTEMPT, job, epoch).await {
            Err(error) if !error.is_aborted() && Instant::now() + PAUSE < until => {
                tracing::debug!(job_id = %job, %error, "copy of the result not found yet");
                sleep(PAUSE).await;
            }
            answer => return (node, answer),
        }
    }
}

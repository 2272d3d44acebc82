//! A result that other nodes hold.
//!
//! **Invariant:** a node that has not that very file refuses, so what it sends are the bytes that
//! were stored; when it fails, also in the middle, the next holder goes on at the same byte. The
//! waits for a byte are bounded, whatever the number of holders.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use libra_proto::peer::{FileId, ReadResultRequest};
use libra_proto::registry::ResultManifest;
use libra_proto::types::{JobId, NodeId};
use tokio::runtime::Handle;
use tokio::time::Instant;
use xxhash_rust::xxh3::xxh3_64;

use super::pull::Pull;
use super::{ReadError, Source};
use crate::peer::{PeerError, Peers};
use crate::results::store::ResultStore;
use crate::results::store::cache::Known;
use crate::results::store::index::Index;

/// How long all holders together may keep a reader waiting.
const PATIENCE: Duration = Duration::from_secs(6);
/// Before those that did not answer are asked again.
const PAUSE: Duration = Duration::from_millis(100);
/// How often each is asked.
const ROUNDS: usize = 2;
/// What a holder hashes in a second at least, before it serves a file for the first time.
const HASHED_IN_A_SECOND: u64 = 64 << 20;
/// A file up to this size is fetched as a whole.
const WHOLE_MOST: u64 = 4 << 10;

/// A sealed file on other nodes.
#[derive(Debug)]
pub(super) struct Remote {
    peers: Peers,
    file: FileId,
    holders: Vec<NodeId>,
    /// Those that sent what was not stored.
    damaged: Mutex<BTreeSet<NodeId>>,
    runtime: Handle,
}

/// How long a holder may take until it serves a file of this length.
pub(crate) fn opening_limit(peers: &Peers, length: u64) -> Duration {
    peers.answer_limit() + Duration::from_secs(length / HASHED_IN_A_SECOND)
}

/// The file that a manifest names.
pub(crate) fn file_id(job: JobId, manifest: &ResultManifest) -> FileId {
    FileId {
        job: job.0,
        epoch: manifest.epoch,
        length: manifest.file_length,
        hash: manifest.file_hash,
    }
}

impl ResultStore {
    /// Finds a result on another node; `here` is why it cannot be read here.
    pub(super) async fn remote_source(
        &self,
        job: JobId,
        manifest: &ResultManifest,
        here: ReadError,
    ) -> Result<(Source, Arc<Index>), ReadError> {
        let Some(remote) = self.remote(job, manifest) else {
            return Err(here);
        };
        if !matches!(here, ReadError::NotHere { .. }) {
            tracing::warn!(error = %here, "result read from another node");
        }
        if let Some(known) = self.cached(job, manifest) {
            return Ok((Source::Remote(remote), known.index));
        }
        let opened = remote.open().await;
        let (index, whole) = opened.map_err(|tried| match here {
            ReadError::NotHere { job, .. } => ReadError::NotHere { job, tried },
            other => other,
        })?;
        let known = Known {
            index: Arc::new(index),
            whole,
        };
        self.remember(job, manifest, known.clone());
        let source = known.whole.map_or(Source::Remote(remote), Source::Memory);
        Ok((source, known.index))
    }

    fn remote(&self, job: JobId, manifest: &ResultManifest) -> Option<Remote> {
        let peers = self.peers()?;
        let is_holder = |node: &NodeId, uuid: &str| {
            *node != peers.this_node()
                && peers
                    .node(*node)
                    .is_some_and(|known| known.store_uuid == uuid)
        };
        let named = manifest.holders.iter();
        let mut holders: Vec<NodeId> = named
            .filter(|holder| is_holder(&NodeId(holder.node_id), &holder.store_uuid))
            .map(|holder| NodeId(holder.node_id))
            .collect();
        // One that is down may not even refuse: it would cost its limit with every page.
        let others = peers.others();
        let is_down = |holder: &NodeId| others.iter().all(|node| node.node_id != *holder);
        holders.sort_by_key(is_down);
        (!holders.is_empty()).then(|| Remote {
            peers: peers.clone(),
            file: file_id(job, manifest),
            holders,
            damaged: Mutex::default(),
            runtime: Handle::current(),
        })
    }
}

/// What was tried since the last byte.
struct Attempts {
    begun: Instant,
    failed: Vec<(NodeId, PeerError)>,
}

impl Attempts {
    fn begin() -> Self {
        Self {
            begun: Instant::now(),
            failed: Vec::new(),
        }
    }

    fn told(&self) -> String {
        let mut nodes = BTreeSet::new();
        let latest = self.failed.iter().rev();
        let latest = latest.filter(|(node, _)| nodes.insert(*node));
        latest.map(|(_, error)| format!("; {error}")).collect()
    }
}

impl Remote {
    /// Reads exactly so many bytes. Blocks: not for async threads.
    pub(super) fn read(&self, pull: &mut Pull, at: u64, length: usize) -> io::Result<Vec<u8>> {
        let reading = self.bytes(pull, at, length);
        let read = self.runtime.block_on(reading);
        read.map_err(|tried| io::Error::other(format!("no holder gave it{tried}")))
    }

    /// Turns away from the node that is read from, for what it sent; false if there is no other.
    pub(super) fn turn_away(&self, pull: &mut Pull) -> bool {
        let mut damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        let node = self.holder(pull.turn, &damaged);
        damaged.extend(node);
        tracing::warn!(file = ?self.file, nodes = ?damaged, "damaged bytes of a result received");
        *pull = Pull::default();
        damaged.len() < self.holders.len()
    }

    fn holder(&self, turn: usize, damaged: &BTreeSet<NodeId>) -> Option<NodeId> {
        let left = self.holders.iter().filter(|node| !damaged.contains(node));
        let left: Vec<NodeId> = left.copied().collect();
        left.get(turn.checked_rem(left.len())?).copied()
    }

    async fn bytes(&self, pull: &mut Pull, at: u64, length: usize) -> Result<Vec<u8>, String> {
        let mut bytes = Vec::with_capacity(length);
        let mut attempts = Attempts::begin();
        pull.seek(at);
        loop {
            let taken = pull.take(at + bytes.len() as u64, length - bytes.len());
            bytes.extend_from_slice(&taken);
            if bytes.len() == length {
                return Ok(bytes);
            }
            if taken.is_empty() {
                self.go_on(pull, &mut attempts).await?;
            } else {
                attempts = Attempts::begin();
            }
        }
    }

    /// Gets the next message, or makes the next attempt at it.
    async fn go_on(&self, pull: &mut Pull, attempts: &mut Attempts) -> Result<(), String> {
        let left = PATIENCE.saturating_sub(attempts.begun.elapsed());
        let node = self.next_holder(pull, attempts).await?;
        let step = async {
            if !pull.is_flowing() {
                let request = self.request(pull.next_at(), self.file.length, false);
                let limit = opening_limit(&self.peers, self.file.length);
                let stream = self.peers.read_result(node, limit, request).await?;
                pull.flow(node, stream);
            }
            pull.pull(&self.peers).await
        };
        let limit = left.max(opening_limit(&self.peers, self.file.length));
        let outcome = tokio::time::timeout(limit, step).await;
        let outcome = outcome.unwrap_or(Err(PeerError::TimedOut { node, limit }));
        if let Err(error) = outcome {
            tracing::debug!(%error, "result not read on");
            attempts.failed.push((node, error));
            pull.leave();
        }
        Ok(())
    }

    /// The node whose turn it is; an error when there is none any more.
    async fn next_holder(&self, pull: &Pull, attempts: &Attempts) -> Result<NodeId, String> {
        let failed = attempts.failed.len();
        let gone = |(_, error): &(NodeId, PeerError)| error.is_not_there();
        let round = self.holders.len();
        let hopeless = failed >= round && attempts.failed.iter().rev().take(round).all(gone);
        if hopeless || failed >= ROUNDS * round || attempts.begun.elapsed() > PATIENCE {
            return Err(attempts.told());
        }
        if failed == round {
            tokio::time::sleep(PAUSE).await;
        }
        let damaged = self.damaged.lock().unwrap_or_else(PoisonError::into_inner);
        self.holder(pull.turn, &damaged)
            .ok_or_else(|| attempts.told())
    }

    fn request(&self, from: u64, to: u64, with_index: bool) -> ReadResultRequest {
        ReadResultRequest {
            file: Some(self.file),
            from,
            to,
            with_index,
            ..ReadResultRequest::default()
        }
    }

    /// Asks for the places of the batches, and for all of a small file.
    async fn open(&self) -> Result<(Index, Option<Bytes>), String> {
        let mut attempts = Attempts::begin();
        let mut pull = Pull::default();
        loop {
            let node = self.next_holder(&pull, &attempts).await?;
            match self.open_at(node).await {
                Ok(opened) => return Ok(opened),
                Err(error) => {
                    tracing::debug!(%error, "result not opened");
                    attempts.failed.push((node, error));
                    pull.leave();
                }
            }
        }
    }

    async fn open_at(&self, node: NodeId) -> Result<(Index, Option<Bytes>), PeerError> {
        let length = self.file.length;
        let to = if length <= WHOLE_MOST { length } else { 0 };
        let limit = opening_limit(&self.peers, length);
        let request = self.request(0, to, true);
        let mut stream = self.peers.read_result(node, limit, request).await?;
        let (mut index, mut whole) = (None, BytesMut::new());
        while let Some(answer) =
            crate::peer::next_within(node, self.peers.answer_limit(), &mut stream).await?
        {
            if let Some(marks) = answer.index {
                index = Index::from_marks(&marks.rows, &marks.places, length);
            }
            if whole.len() as u64 + answer.data.len() as u64 > to {
                break;
            }
            whole.extend_from_slice(&answer.data);
        }
        let nonsense = |what| PeerError::Nonsense { node, what };
        let index = index.ok_or_else(|| nonsense("without the places of the batches"))?;
        if to == 0 {
            return Ok((index, None));
        }
        if whole.len() as u64 != length || xxh3_64(&whole) != self.file.hash {
            return Err(nonsense("with another file"));
        }
        Ok((index, Some(whole.freeze())))
    }
}

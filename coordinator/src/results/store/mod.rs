//! The result store: one append-only file per (job, epoch) below `<data-dir>/results/`.
//!
//! - `format`, `scan`, `index`: the bytes, how they are checked, where which row is.
//! - `contents`: what a file holds, and what is to be done with the next response (duplicates,
//!   gaps, limits).
//! - `file`, `writer`: appending, recovering, sealing.
//! - `pages`: how much of it all stays in the page cache.
//!
//! **Invariant:** all file work runs behind `disk::Disk`, never on an async thread; the folder
//! decides what is stored, all that is remembered beside it is what it held under a manifest.

pub(super) mod cache;
mod contents;
pub(super) mod disk;
mod file;
pub(super) mod format;
pub(super) mod index;
pub(super) mod names;
pub(super) mod pages;
pub(super) mod scan;
mod writer;

#[cfg(test)]
mod inline_tests;
#[cfg(test)]
mod port_tests;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use libra_actors::ports::{Copying, ResultStorePort, ResultWriter, StoreError};
use libra_proto::registry::{Holder, ResultManifest};
use libra_proto::types::{Epoch, JobId, NodeId};

use cache::{Cache, Known};
use disk::Disk;
pub(crate) use disk::Threads;
use file::Target;
use pages::Pages;

use super::metrics::ResultMetrics;
use super::replicate::{Earlier, Fence, ReplicaBook};
use crate::peer::Peers;

pub(super) use file::open_or_create;

/// Writers' calls to the disk at once.
const WRITES: usize = 16;
/// Readers' calls to the disk at once.
const READS: usize = 16;
/// Readers that wait for bytes from other nodes at once; they stand in nobody else's way.
const REMOTE_READS: usize = 64;

/// How much of a result is kept; beyond it the result is cut and says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Rows; cut exactly there.
    pub max_rows: u64,
    /// Arrow bytes; cut after the last whole batch.
    pub max_bytes: u64,
}

/// Where a store is and whose it is.
#[derive(Debug, Clone)]
pub struct StoreOptions {
    /// The folder of the results: `<data-dir>/results`.
    pub dir: PathBuf,
    /// This node, named as holder in manifests.
    pub node_id: NodeId,
    /// The id of this node's disk state: a wiped node is no holder of what it held.
    pub store_uuid: String,
    /// How much of a result is kept.
    pub limits: Limits,
    /// Bytes up to which the registry holds a result itself, if it has room; 0 is none.
    pub inline_bytes: usize,
}

/// A file of the store, as the cleaner of orphans sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredResult {
    /// Whose result it is.
    pub job: JobId,
    /// The epoch it was written under.
    pub epoch: Epoch,
    /// Bytes on disk.
    pub length: u64,
    /// Time since it was last written.
    pub age: Duration,
}

/// The results on this node's disk. Cheap to clone.
#[derive(Clone)]
pub struct ResultStore {
    inner: Arc<Inner>,
}

impl fmt::Debug for ResultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.inner.options;
        f.debug_struct("ResultStore")
            .field("options", options)
            .finish_non_exhaustive()
    }
}

struct Inner {
    options: StoreOptions,
    writes: Disk,
    reads: Disk,
    remote_reads: Disk,
    cache: Cache,
    peers: OnceLock<Peers>,
    book: OnceLock<Arc<dyn ReplicaBook>>,
    fence: Fence,
    pages: Arc<Pages>,
    metrics: ResultMetrics,
}

impl ResultStore {
    /// Opens the store and makes its folder if there is none.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub async fn open(options: StoreOptions) -> io::Result<Self> {
        Self::open_on(options, Threads::Own).await
    }

    /// As [`ResultStore::open`]; says where blocking work is done.
    pub(crate) async fn open_on(options: StoreOptions, threads: Threads) -> io::Result<Self> {
        let writes = Disk::new(WRITES, threads);
        let dir = options.dir.clone();
        writes
            .run(move || names::create_root(&dir))
            .await
            .map_err(io::Error::other)??;
        Ok(Self {
            inner: Arc::new(Inner {
                options,
                writes,
                reads: Disk::new(READS, threads),
                // It waits for the network, which its caller must not.
                remote_reads: Disk::new(REMOTE_READS, Threads::Own),
                cache: Cache::default(),
                peers: OnceLock::new(),
                book: OnceLock::new(),
                fence: Fence::default(),
                pages: Arc::default(),
                metrics: ResultMetrics::new().map_err(io::Error::other)?,
            }),
        })
    }

    /// What the store counts.
    #[must_use]
    pub fn metrics(&self) -> &ResultMetrics {
        &self.inner.metrics
    }

    /// Joins the store to those of the other nodes; only the first call counts. Before it, and
    /// without it, the store is alone.
    pub fn join(&self, peers: Peers) {
        let _ = self.inner.peers.set(peers);
    }

    /// Says where changes of the nodes that hold a result being written are noted; only the first
    /// call counts.
    pub fn note_replicas(&self, book: Arc<dyn ReplicaBook>) {
        let _ = self.inner.book.set(book);
    }

    /// Removes what of an ended job is stored in other epochs than the one of its manifest, and
    /// says how many files that were.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn remove_other_epochs(&self, job: JobId, keep: Epoch) -> io::Result<usize> {
        let dir = self.inner.options.dir.clone();
        let remove = move || names::remove_others(&dir, job, keep);
        let removed = self.inner.writes.run(remove).await;
        removed.map_err(io::Error::other)?
    }

    /// Removes all that is stored of a job, and says how many files that were. A reader that has
    /// begun reads on.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn remove(&self, job: JobId) -> io::Result<usize> {
        self.inner.cache.forget(job);
        self.inner.fence.forget(job);
        let dir = self.inner.options.dir.clone();
        let removed = self
            .inner
            .writes
            .run(move || names::remove(&dir, job))
            .await;
        removed.map_err(io::Error::other)?
    }

    /// Everything stored here, in no order.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn list(&self) -> io::Result<Vec<StoredResult>> {
        let dir = self.inner.options.dir.clone();
        let listed = self.inner.reads.run(move || names::list(&dir)).await;
        listed.map_err(io::Error::other)?
    }

    /// Bytes of all files of the store.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn usage_bytes(&self) -> io::Result<u64> {
        Ok(self.list().await?.iter().map(|stored| stored.length).sum())
    }

    pub(super) fn path(&self, job: JobId, epoch: Epoch) -> PathBuf {
        names::path(&self.inner.options.dir, job, epoch)
    }

    pub(super) fn writes(&self) -> &Disk {
        &self.inner.writes
    }

    pub(super) fn pages(&self) -> &Arc<Pages> {
        &self.inner.pages
    }

    pub(super) fn fence(&self) -> &Fence {
        &self.inner.fence
    }

    pub(super) fn book(&self) -> Option<&Arc<dyn ReplicaBook>> {
        self.inner.book.get()
    }

    pub(super) fn reads(&self) -> &Disk {
        &self.inner.reads
    }

    pub(super) fn remote_reads(&self) -> &Disk {
        &self.inner.remote_reads
    }

    pub(crate) fn peers(&self) -> Option<&Peers> {
        self.inner.peers.get()
    }

    pub(super) fn cached(&self, job: JobId, manifest: &ResultManifest) -> Option<Known> {
        self.inner.cache.get(job, manifest)
    }

    pub(super) fn remember(&self, job: JobId, manifest: &ResultManifest, known: Known) {
        self.inner.cache.put(job, manifest, known);
    }

    pub(super) fn holder(&self) -> Holder {
        Holder {
            node_id: self.inner.options.node_id.0,
            store_uuid: self.inner.options.store_uuid.clone(),
        }
    }

    /// Whether the registry would hold a result of so many bytes itself.
    fn has_room_inline(&self, bytes: u64) -> bool {
        self.book().is_some_and(|book| book.has_room(bytes))
    }

    fn target(&self, job: JobId, epoch: Epoch) -> Target {
        Target {
            path: self.path(job, epoch),
            job,
            epoch,
            limits: self.inner.options.limits,
            inline_most: self.inner.options.inline_bytes,
            pages: Arc::clone(&self.inner.pages),
        }
    }

    /// The folder of the store.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.inner.options.dir
    }
}

#[async_trait]
impl ResultStorePort for ResultStore {
    async fn writer(&self, job: JobId, epoch: Epoch) -> Result<Box<dyn ResultWriter>, StoreError> {
        self.copying_writer(job, epoch, &Copying::default()).await
    }

    async fn copying_writer(
        &self,
        job: JobId,
        epoch: Epoch,
        copying: &Copying,
    ) -> Result<Box<dyn ResultWriter>, StoreError> {
        let earlier = if copying.fresh {
            if !self.fence().raise(job, epoch) {
                return Err(StoreError::Superseded { job, epoch });
            }
            Earlier::Here
        } else {
            self.go_on(job, epoch, &copying.nodes).await?
        };
        let target = self.target(job, epoch);
        let writer = writer::Writer::open(self.clone(), target, copying, earlier).await?;
        Ok(Box::new(writer))
    }
}

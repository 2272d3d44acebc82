//! The copies of a result being written.
//!
//! **Invariant:** the owner is never more than [`AHEAD_MOST`] ahead of a copy that it counts on, and
//! waits for none that is lost: such a one is replaced, or done without. A copy that is still
//! catching up holds nothing back. At the end each copy that is lost is replaced once more, and the
//! substitute waited for as long as a copy may be silent: whoever is not whole by then is no holder.

use std::collections::BTreeSet;
use std::fs::File;
use std::sync::Arc;
use std::time::Duration;

use libra_proto::registry::Holder;
use libra_proto::safety::{self, Safety};
use libra_proto::types::{Epoch, JobId, NodeId};
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::AbortOnDropHandle;

use super::pump::{self, CopyState, Goal, Subject};
use crate::peer::Peers;
use crate::results::store::ResultStore;

/// Bytes that a copy may lack: with a batch and the stream's window on top still below the 10 MB
/// that Spark can send again.
const AHEAD_MOST: u64 = 4 << 20;
/// Others that are tried in place of those that were lost.
const SUBSTITUTES_MOST: usize = 4;
/// More than any copy may take to come on, or to be lost: only a last resort.
const WAIT_MOST: Duration = Duration::from_secs(30);

/// The copies of one result, as its owner sees them.
pub(crate) struct Copies {
    store: ResultStore,
    job: JobId,
    epoch: Epoch,
    file: Arc<File>,
    goal: watch::Sender<Goal>,
    copies: Vec<Copy>,
    /// How many there should be.
    wanted: usize,
    tried: BTreeSet<NodeId>,
    superseded: bool,
}

struct Copy {
    node: NodeId,
    store_uuid: String,
    state: watch::Receiver<CopyState>,
    /// Has it ever been near: then it is waited for.
    near: bool,
    _pump: AbortOnDropHandle<()>,
}

impl Copies {
    /// Begins to copy a file of which so many bytes are written; `None` if it is to be here only.
    pub(crate) fn begin(
        store: &ResultStore,
        job: JobId,
        epoch: Epoch,
        nodes: &[NodeId],
        file: Arc<File>,
        written: u64,
    ) -> Option<Self> {
        let this_node = store.peers()?.this_node();
        let others = nodes.iter().copied().filter(|node| *node != this_node);
        let others: BTreeSet<NodeId> = others.collect();
        if others.is_empty() {
            return None;
        }
        let mut copies = Self {
            store: store.clone(),
            job,
            epoch,
            file,
            goal: watch::Sender::new(Goal { written, flush: 0 }),
            copies: Vec::new(),
            wanted: others.len(),
            tried: BTreeSet::new(),
            superseded: false,
        };
        for node in others {
            copies.add(node);
        }
        if copies.copies.len() < copies.wanted {
            copies.replace_missing();
            copies.note();
        }
        Some(copies)
    }

    /// Whether a newer epoch is being written.
    pub(crate) fn is_superseded(&self) -> bool {
        let superseded = |copy: &Copy| copy.state.borrow().superseded;
        self.superseded || self.copies.iter().any(superseded)
    }

    fn add(&mut self, node: NodeId) {
        self.tried.insert(node);
        let Some((peers, known)) = self
            .store
            .peers()
            .and_then(|peers| Some((peers, peers.node(node)?)))
        else {
            tracing::warn!(job = %self.job, %node, "copy of a result left out: the node is not known");
            return;
        };
        let (sender, state) = watch::channel(CopyState::default());
        let subject = Subject {
            peers: peers.clone(),
            node,
            job: self.job,
            epoch: self.epoch,
            file: Arc::clone(&self.file),
            disk: self.store.reads().clone(),
        };
        let pump = tokio::spawn(pump::run(subject, self.goal.subscribe(), sender));
        self.copies.push(Copy {
            node,
            store_uuid: known.store_uuid,
            state,
            near: false,
            _pump: AbortOnDropHandle::new(pump),
        });
    }

    /// Says how far the file is written.
    pub(crate) fn wrote(&self, written: u64) {
        self.goal.send_if_modified(|goal| {
            let more = goal.written != written;
            goal.written = written;
            more
        });
    }

    /// Waits until the file may grow to `len` bytes.
    pub(crate) async fn room(&mut self, len: u64) {
        self.tend();
        let needed = len
            .saturating_sub(AHEAD_MOST)
            .min(self.goal.borrow().written);
        let lacking = |copy: &Copy| copy.near && copy.state.borrow().durable < needed;
        if self.copies.iter().any(lacking) {
            self.flush();
            self.wait(needed, false).await;
        }
    }

    /// Waits until all that is written is durable on every copy that is counted on; if it is the
    /// end, also for those that catch up, and then for the substitutes of those that were lost
    /// meanwhile, each for a moment.
    ///
    /// Switch [`Safety::CopiesBeforeEnd`]: off, the end waits for none.
    pub(crate) async fn durable(&mut self, the_end: bool) {
        self.tend();
        if the_end && safety::off(Safety::CopiesBeforeEnd) {
            return;
        }
        self.flush();
        let needed = self.goal.borrow().written;
        let replaced = self.wait(needed, the_end).await;
        if the_end && replaced {
            self.wait_at_most(needed, self.patience(), self.patience())
                .await;
        }
    }

    fn patience(&self) -> Duration {
        let peers = self.store.peers();
        peers.map(Peers::copy_patience).unwrap_or_default()
    }

    fn flush(&self) {
        self.goal.send_if_modified(|goal| {
            let more = goal.flush < goal.written;
            goal.flush = goal.flush.max(goal.written);
            more
        });
    }

    /// Waits for what is counted on; whether a copy was lost meanwhile that has a substitute now.
    async fn wait(&mut self, needed: u64, for_all: bool) -> bool {
        let for_others = if for_all {
            self.patience()
        } else {
            Duration::ZERO
        };
        self.wait_at_most(needed, WAIT_MOST, for_others).await
    }

    /// As [`Copies::wait`], so long for those that are near and for others.
    async fn wait_at_most(&mut self, needed: u64, near: Duration, others: Duration) -> bool {
        let begun = Instant::now();
        for copy in &mut self.copies {
            let limit = if copy.near { near } else { others };
            if limit.is_zero() {
                continue;
            }
            let there = |state: &CopyState| state.lost.is_some() || state.durable >= needed;
            let waited = timeout_at(begun + limit, copy.state.wait_for(there)).await;
            if waited.is_err() {
                tracing::warn!(job = %self.job, node = %copy.node, "copy of a result is behind");
            }
        }
        self.tend()
    }

    /// Notes who is near, does without those that are lost, and has others in their place; whether
    /// there are such others.
    fn tend(&mut self) -> bool {
        let written = self.goal.borrow().written;
        for copy in &mut self.copies {
            let durable = copy.state.borrow().durable;
            copy.near |= durable + AHEAD_MOST >= written;
        }
        self.superseded = self.is_superseded();
        let job = self.job;
        let before = self.copies.len();
        self.copies.retain(|copy| {
            let lost = copy.state.borrow().lost.clone();
            if let Some(cause) = &lost {
                tracing::warn!(%job, node = %copy.node, cause, "copy of a result left out");
            }
            lost.is_none()
        });
        let left = self.copies.len();
        if left < before && !self.superseded {
            self.replace_missing();
            self.note();
        }
        self.copies.len() > left
    }

    fn replace_missing(&mut self) {
        let others = self.store.peers().map(|peers| peers.others());
        for node in others.unwrap_or_default() {
            let enough = self.copies.len() >= self.wanted;
            if enough || self.tried.len() >= self.wanted + SUBSTITUTES_MOST {
                return;
            }
            if !self.tried.contains(&node.node_id) {
                self.add(node.node_id);
            }
        }
    }

    /// Has the registry know who holds the result now: a new owner asks these.
    fn note(&self) {
        let (Some(book), Some(peers)) = (self.store.book(), self.store.peers()) else {
            return;
        };
        let mut nodes = vec![peers.this_node()];
        nodes.extend(self.copies.iter().map(|copy| copy.node));
        let (book, job, epoch) = (Arc::clone(book), self.job, self.epoch);
        tokio::spawn(async move { book.note(job, epoch, nodes).await });
    }

    /// Those that have the whole file, durably.
    ///
    /// Switch [`Safety::CopiesBeforeEnd`]: off, all that are not known to be lost.
    pub(crate) fn holders(&self, length: u64, hash: u64) -> Vec<Holder> {
        let whole = |copy: &&Copy| {
            let state = copy.state.borrow();
            let is_there = state.durable == length && state.hash == hash;
            state.lost.is_none() && (is_there || safety::off(Safety::CopiesBeforeEnd))
        };
        let holders = self.copies.iter().filter(whole);
        holders
            .map(|copy| Holder {
                node_id: copy.node.0,
                store_uuid: copy.store_uuid.clone(),
            })
            .collect()
    }
}

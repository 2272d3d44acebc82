//! Result files and their copies on other nodes.
//!
//! **Invariant:** what an end names as a holder has the whole file durably; a writer of an older
//! epoch is refused where a newer one has written.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libra_proto::registry::{Holder, PutReplicas, ResultManifest, StatementState, command};
use libra_proto::safety::{self, Safety};
use libra_raft::simulation::{Bell, Runtime};

use super::Node;
use crate::sim::disk::{Part, ResultFile, Stored};

/// A copy that is silent for so long is replaced; production's patience.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two attempts at a copy.
const RETRY: Duration = Duration::from_millis(50);

/// The writer has been superseded: another node writes the result in a newer epoch.
#[derive(Debug)]
pub(super) struct Superseded;

/// How far a result is stored when its writer is opened.
#[derive(Debug, Clone, Default)]
pub(super) struct Progress {
    pub(super) begun: bool,
    pub(super) perhaps_begun: bool,
    pub(super) complete: bool,
}

/// One statement's result, being written here and on other nodes.
pub(super) struct Writer {
    node: Node,
    job: u64,
    epoch: u64,
    copies: Arc<Copies>,
    pub(super) progress: Progress,
}

/// How far the copies have come.
struct Copies {
    acked: Mutex<BTreeMap<u64, usize>>,
    /// Rung with every part appended, and with every acknowledgement.
    moved: Bell,
    over: std::sync::atomic::AtomicBool,
}

impl Copies {
    fn acked(&self) -> MutexGuard<'_, BTreeMap<u64, usize>> {
        self.acked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_over(&self) -> bool {
        self.over.load(std::sync::atomic::Ordering::Relaxed)
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.copies
            .over
            .store(true, std::sync::atomic::Ordering::Relaxed);
        self.copies.moved.nudge();
    }
}

/// What a node has of a result.
type Had = Option<(u64, Vec<Stored>)>;

fn lets_in(file: &ResultFile, epoch: u64) -> bool {
    file.epoch <= epoch || safety::off(Safety::EpochCheck)
}

impl Node {
    /// Opens the result of a statement: anew, or where the longest copy ends.
    pub(super) async fn open_result(
        &self,
        job: u64,
        epoch: u64,
        replicas: &[u64],
        fresh: bool,
    ) -> Result<Writer, Superseded> {
        let others: Vec<u64> = replicas
            .iter()
            .copied()
            .filter(|id| *id != self.id())
            .collect();
        let mut progress = Progress::default();
        let mut longest = self.take_over(job, epoch).ok_or(Superseded)?;
        if !fresh {
            for other in &others {
                let asked = self
                    .world()
                    .ask(self.id(), *other, PATIENCE, |peer| async move {
                        peer.take_over(job, epoch)
                    });
                match asked.await {
                    None => progress.perhaps_begun = true,
                    Some(None) => return Err(Superseded),
                    Some(Some(had)) => {
                        let length = |had: &Had| had.as_ref().map_or(0, |(_, parts)| parts.len());
                        if length(&had) > length(&longest) {
                            longest = had;
                        }
                    }
                }
            }
        }
        let parts = longest.map(|(_, parts)| parts).unwrap_or_default();
        progress.begun = !parts.is_empty();
        progress.perhaps_begun &= !progress.begun;
        progress.complete = matches!(parts.last(), Some((_, Part::Complete)));
        {
            let mut results = self.0.disk.results();
            let file = results.entry(job).or_default();
            if !lets_in(file, epoch) {
                return Err(Superseded);
            }
            file.synced = file.synced.min(parts.len());
            if file.parts != parts {
                file.synced = 0;
            }
            file.parts = parts;
            file.epoch = file.epoch.max(epoch);
        }
        let copies = Arc::new(Copies {
            acked: Mutex::new(others.iter().map(|id| (*id, 0)).collect()),
            moved: Bell::default(),
            over: std::sync::atomic::AtomicBool::new(false),
        });
        for other in others {
            Runtime::go(self.clone().pump(job, epoch, other, Arc::clone(&copies)));
        }
        Ok(Writer {
            node: self.clone(),
            job,
            epoch,
            copies,
            progress,
        })
    }

    /// Lets a writer of that epoch in, and none of an older one any more; tells what is here. None
    /// if a newer one was let in before.
    fn take_over(&self, job: u64, epoch: u64) -> Option<Had> {
        let mut results = self.0.disk.results();
        let file = results.entry(job).or_default();
        if !lets_in(file, epoch) {
            return None;
        }
        file.epoch = file.epoch.max(epoch);
        let had = !file.parts.is_empty();
        Some(had.then(|| (file.epoch, file.parts.clone())))
    }

    /// Keeps one copy up with the file here, until the writer is gone.
    async fn pump(self, job: u64, epoch: u64, to: u64, copies: Arc<Copies>) {
        let mut moved = copies.moved.listen();
        // The first message replaces whatever the copy has.
        let mut sent = None;
        while !copies.is_over() {
            let (parts, from) = {
                let results = self.0.disk.results();
                let Some(file) = results.get(&job) else {
                    return;
                };
                let from = sent.unwrap_or(0);
                (file.parts.get(from..).unwrap_or_default().to_vec(), from)
            };
            if sent.is_some() && parts.is_empty() {
                if !moved.heard().await {
                    return;
                }
                continue;
            }
            let stored = self
                .world()
                .ask(self.id(), to, PATIENCE, |peer| async move {
                    peer.store_copy(job, epoch, from, parts).await
                });
            match stored.await.flatten() {
                Some(length) => {
                    sent = Some(length);
                    copies.acked().insert(to, length);
                    copies.moved.nudge();
                }
                None => Runtime::pause(RETRY).await,
            }
        }
    }

    /// Takes a piece of a copy; answers with how much is durable here. None if it is refused.
    async fn store_copy(
        &self,
        job: u64,
        epoch: u64,
        from: usize,
        parts: Vec<Stored>,
    ) -> Option<usize> {
        let length = {
            let mut results = self.0.disk.results();
            let file = results.entry(job).or_default();
            if !lets_in(file, epoch) || file.parts.len() < from {
                return None;
            }
            file.epoch = file.epoch.max(epoch);
            let same = file.parts.get(from..from + parts.len()) == Some(&parts[..]);
            if !same || file.parts.len() != from + parts.len() {
                file.synced = file.synced.min(from);
                file.parts.truncate(from);
                file.parts.extend(parts);
            }
            file.parts.len()
        };
        Runtime::pause(self.0.disk.sync_takes()).await;
        self.synced(job, length);
        Some(length)
    }

    /// The file is durable as far as it went when the sync began.
    fn synced(&self, job: u64, length: usize) {
        if let Some(file) = self.0.disk.results().get_mut(&job) {
            file.synced = file.synced.max(length.min(file.parts.len()));
        }
    }

    /// The file that a manifest speaks of, if it is here and whole.
    pub(super) fn holds(&self, job: u64, manifest: &ResultManifest) -> Option<Vec<Stored>> {
        let results = self.0.disk.results();
        let file = results.get(&job)?;
        let whole = file.seal() == (manifest.file_length, manifest.file_hash);
        whole.then(|| file.parts.clone())
    }
}

impl Writer {
    /// The response that a reattach continues after.
    pub(super) fn last_response_id(&self) -> Option<String> {
        let results = self.node.0.disk.results();
        let (id, part) = results.get(&self.job)?.parts.last()?;
        match part {
            // It may share its response with the first batch.
            Part::Schema => None,
            Part::Batch(_) | Part::Complete => Some(id.clone()),
        }
    }

    /// Appends one response.
    pub(super) fn append(&mut self, response_id: String, part: Part) -> Result<(), Superseded> {
        {
            let mut results = self.node.0.disk.results();
            let file = results.entry(self.job).or_default();
            if !lets_in(file, self.epoch) {
                return Err(Superseded);
            }
            // What comes again from the first response on is known already.
            let known = match &part {
                Part::Schema => file.parts.iter().any(|(_, part)| *part == Part::Schema),
                Part::Batch(_) | Part::Complete => {
                    // A schema may share its response with the first batch.
                    file.parts
                        .iter()
                        .any(|had| had.0 == response_id && had.1 == part)
                }
            };
            if !known {
                file.parts.push((response_id, part));
            }
        }
        self.copies.moved.nudge();
        Ok(())
    }

    /// Makes what was appended durable here.
    pub(super) async fn sync(&self) {
        let length = {
            let results = self.node.0.disk.results();
            results.get(&self.job).map_or(0, |file| file.parts.len())
        };
        Runtime::pause(self.node.0.disk.sync_takes()).await;
        self.node.synced(self.job, length);
    }

    /// Seals the result: durable here, and on the copies that make it.
    pub(super) async fn seal(&self) -> Result<ResultManifest, Superseded> {
        let manifest = |holders: &[u64]| {
            let results = self.node.0.disk.results();
            let file = results.get(&self.job).cloned().unwrap_or_default();
            let (file_length, file_hash) = file.seal();
            ResultManifest {
                epoch: self.epoch,
                file_length,
                file_hash,
                batches: file_length,
                holders: holders.iter().map(|id| holder(*id)).collect(),
                ..ResultManifest::default()
            }
        };
        if safety::off(Safety::CopiesBeforeEnd) {
            let mut holders = vec![self.node.id()];
            holders.extend(self.copies.acked().keys());
            return Ok(manifest(&holders));
        }
        self.sync().await;
        let missing = self.wait_for_copies().await;
        for lost in missing {
            self.replace(lost).await?;
        }
        let length = manifest(&[]).file_length as usize;
        let mut holders = vec![self.node.id()];
        let acked = self.copies.acked();
        holders.extend(
            acked
                .iter()
                .filter(|(_, at)| **at == length)
                .map(|(id, _)| *id),
        );
        drop(acked);
        let results = self.node.0.disk.results();
        let ours = results
            .get(&self.job)
            .is_some_and(|file| lets_in(file, self.epoch));
        drop(results);
        if ours {
            Ok(manifest(&holders))
        } else {
            Err(Superseded)
        }
    }

    /// Waits until all copies are whole, at most for the patience; returns those that are not.
    async fn wait_for_copies(&self) -> Vec<u64> {
        let length = {
            let results = self.node.0.disk.results();
            results.get(&self.job).map_or(0, |file| file.parts.len())
        };
        let mut moved = self.copies.moved.listen();
        let missing = || -> Vec<u64> {
            let acked = self.copies.acked();
            let behind = acked.iter().filter(|(_, at)| **at < length);
            behind.map(|(id, _)| *id).collect()
        };
        let all = async {
            while !missing().is_empty() {
                if !moved.heard().await {
                    return;
                }
            }
        };
        let _ = Runtime::within(PATIENCE, Box::pin(all)).await;
        missing()
    }

    /// Has another node hold a copy instead of one that does not come along; waits for it once.
    async fn replace(&self, lost: u64) -> Result<(), Superseded> {
        let me = self.node.id();
        let taken: Vec<u64> = self.copies.acked().keys().copied().collect();
        let up = self.node.view(|registry| {
            let nodes = registry.nodes().filter(|node| node.state().is_up());
            nodes.map(|node| node.node_id).collect::<Vec<u64>>()
        });
        let other = up
            .unwrap_or_default()
            .into_iter()
            .find(|id| *id != me && !taken.contains(id));
        self.copies.acked().remove(&lost);
        let Some(other) = other else { return Ok(()) };
        let mut replicas = vec![me];
        replicas.extend(self.copies.acked().keys());
        replicas.push(other);
        let put = PutReplicas {
            job: self.job,
            epoch: self.epoch,
            replicas,
        };
        self.node.propose(command::Kind::PutReplicas(put)).await;
        self.copies.acked().insert(other, 0);
        Runtime::go(
            self.node
                .clone()
                .pump(self.job, self.epoch, other, Arc::clone(&self.copies)),
        );
        self.wait_for_copies().await;
        Ok(())
    }
}

fn holder(node_id: u64) -> Holder {
    Holder {
        node_id,
        store_uuid: format!("store-{node_id}"),
    }
}

/// Whether a statement in that state has a result to read.
pub(super) fn has_result(state: StatementState) -> bool {
    state == StatementState::Succeeded
}

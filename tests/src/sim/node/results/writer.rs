//! The writer of one statement's result.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libra_proto::registry::{Holder, PutReplicas, ResultManifest, command};
use libra_proto::safety::{self, Safety};
use libra_raft::simulation::{Bell, Runtime};

use super::super::Node;
use super::{PATIENCE, Progress, Superseded, lets_in};
use crate::sim::disk::{Part, ResultFile, Stored, inline};

/// One statement's result, being written here and on other nodes.
pub(in super::super) struct Writer {
    pub(super) node: Node,
    pub(super) job: u64,
    pub(super) epoch: u64,
    /// Who is to have copies.
    pub(super) others: Vec<u64>,
    pub(super) copies: Arc<Copies>,
    pub(in super::super) progress: Progress,
    /// What is stored nowhere, for the end to bring along; `None` once there is a file.
    pub(super) gathered: Option<Vec<Stored>>,
}

/// The most responses that the registry holds of one result.
const INLINE_MOST: usize = 4;

/// How far the copies have come.
pub(super) struct Copies {
    pub(super) acked: Mutex<BTreeMap<u64, usize>>,
    /// Rung with every part appended, and with every acknowledgement.
    pub(super) moved: Bell,
    pub(super) over: std::sync::atomic::AtomicBool,
}

impl Copies {
    pub(super) fn acked(&self) -> MutexGuard<'_, BTreeMap<u64, usize>> {
        self.acked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_over(&self) -> bool {
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
impl Writer {
    pub(super) fn begin_copies(&self) {
        for other in &self.others {
            self.copies.acked().insert(*other, 0);
            let (node, copies) = (self.node.clone(), Arc::clone(&self.copies));
            Runtime::go(node.pump(self.job, self.epoch, *other, copies));
        }
    }

    /// Gives the result a file, and copies, if it has none yet.
    fn begin_file(&mut self) {
        if let Some(parts) = self.gathered.take() {
            let mut results = self.node.0.disk.results();
            let file = results.entry(self.job).or_default();
            if lets_in(file, self.epoch) {
                (file.parts, file.synced) = (parts, 0);
            }
            drop(results);
            self.begin_copies();
        }
    }

    /// All of it, if the registry is to hold it.
    fn goes_inline(&self) -> Option<&[Stored]> {
        let parts = self.gathered.as_deref()?;
        matches!(parts.last(), Some((_, Part::Complete))).then_some(parts)
    }

    /// The response that a reattach continues after.
    pub(in super::super) fn last_response_id(&self) -> Option<String> {
        let results = self.node.0.disk.results();
        let (id, part) = results.get(&self.job)?.parts.last()?;
        match part {
            // It may share its response with the first batch.
            Part::Schema => None,
            Part::Batch(_) | Part::Complete => Some(id.clone()),
        }
    }

    /// Appends one response.
    pub(in super::super) fn append(
        &mut self,
        response_id: String,
        part: Part,
    ) -> Result<(), Superseded> {
        {
            let mut results = self.node.0.disk.results();
            let file = results.entry(self.job).or_default();
            if !lets_in(file, self.epoch) {
                return Err(Superseded);
            }
            let parts = self.gathered.as_mut().unwrap_or(&mut file.parts);
            // What comes again from the first response on is known already.
            let known = match &part {
                Part::Schema => parts.iter().any(|(_, part)| *part == Part::Schema),
                Part::Batch(_) | Part::Complete => {
                    // A schema may share its response with the first batch.
                    parts
                        .iter()
                        .any(|had| had.0 == response_id && had.1 == part)
                }
            };
            if !known {
                parts.push((response_id, part));
            }
        }
        if self
            .gathered
            .as_ref()
            .is_some_and(|it| it.len() > INLINE_MOST)
        {
            self.begin_file();
        }
        self.copies.moved.nudge();
        Ok(())
    }

    /// Makes what was appended durable here, unless the end is to bring it along.
    pub(in super::super) async fn sync(&mut self) {
        if self.goes_inline().is_none() {
            self.keep().await;
        }
    }

    /// Makes what was appended durable here.
    pub(in super::super) async fn keep(&mut self) {
        self.begin_file();
        let length = {
            let results = self.node.0.disk.results();
            results.get(&self.job).map_or(0, |file| file.parts.len())
        };
        Runtime::pause(self.node.0.disk.sync_takes()).await;
        self.node.synced(self.job, length);
    }

    /// Seals the result: durable here, and on the copies that make it.
    pub(in super::super) async fn seal(&mut self) -> Result<ResultManifest, Superseded> {
        if let Some(parts) = self.goes_inline() {
            let file = ResultFile {
                parts: parts.to_vec(),
                ..ResultFile::default()
            };
            let (file_length, file_hash) = file.seal();
            return Ok(ResultManifest {
                epoch: self.epoch,
                file_length,
                file_hash,
                batches: file_length,
                inline: inline(parts).into(),
                ..ResultManifest::default()
            });
        }
        self.begin_file();
        self.seal_file().await
    }

    fn manifest(&self, holders: &[u64]) -> ResultManifest {
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
    }

    async fn seal_file(&mut self) -> Result<ResultManifest, Superseded> {
        if safety::off(Safety::CopiesBeforeEnd) {
            let mut holders = vec![self.node.id()];
            holders.extend(self.copies.acked().keys());
            return Ok(self.manifest(&holders));
        }
        self.keep().await;
        let missing = self.wait_for_copies().await;
        for lost in missing {
            self.replace(lost).await?;
        }
        let length = self.manifest(&[]).file_length as usize;
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
            Ok(self.manifest(&holders))
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

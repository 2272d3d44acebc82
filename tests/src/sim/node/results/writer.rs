//! The writer of one statement's result.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use libra_proto::registry::{Holder, PutReplicas, ResultManifest, command};
use libra_proto::safety::{self, Safety};
use libra_raft::simulation::{Bell, Runtime};

use super::super::Node;
use super::{PATIENCE, Progress, Superseded, lets_in};
use crate::sim::disk::Part;

/// One statement's result, being written here and on other nodes.
pub(in super::super) struct Writer {
    pub(super) node: Node,
    pub(super) job: u64,
    pub(super) epoch: u64,
    pub(super) copies: Arc<Copies>,
    pub(in super::super) progress: Progress,
}

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
    pub(in super::super) async fn sync(&self) {
        let length = {
            let results = self.node.0.disk.results();
            results.get(&self.job).map_or(0, |file| file.parts.len())
        };
        Runtime::pause(self.node.0.disk.sync_takes()).await;
        self.node.synced(self.job, length);
    }

    /// Seals the result: durable here, and on the copies that make it.
    pub(in super::super) async fn seal(&self) -> Result<ResultManifest, Superseded> {
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

//! Result files and their copies on other nodes.
//!
//! **Invariant:** what an end names as a holder has the whole file durably; a writer of an older
//! epoch is refused where a newer one has written.

mod writer;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use libra_proto::registry::{ResultManifest, StatementState};
use libra_proto::safety::{self, Safety};
use libra_raft::simulation::{Bell, Runtime};

use super::Node;
use crate::sim::disk::{Part, ResultFile, Stored};

use writer::Copies;
pub(super) use writer::Writer;

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
        let gathers = fresh && longest.is_none() && job.is_multiple_of(2);
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
            acked: Mutex::default(),
            moved: Bell::default(),
            over: std::sync::atomic::AtomicBool::new(false),
        });
        let writer = Writer {
            node: self.clone(),
            job,
            epoch,
            others,
            copies,
            progress,
            gathered: gathers.then(Vec::new),
        };
        if !gathers {
            writer.begin_copies();
        }
        Ok(writer)
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

/// Whether a statement in that state has a result to read.
pub(super) fn has_result(state: StatementState) -> bool {
    state == StatementState::Succeeded
}

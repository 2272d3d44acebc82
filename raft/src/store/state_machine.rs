//! openraft's state machine: the registry in memory, its snapshots in files.
//!
//! **Invariant:** nothing decides here. A committed command reaches [`Registry::apply`], its
//! changes reach the feeds, and only then is its proposer answered.

use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use futures::{Stream, TryStreamExt};
use libra_proto::admin::{Event, MembersChanged, Position, event};
use openraft::storage::RaftStateMachine;
use openraft::{EntryPayload, OptionalSend, RaftSnapshotBuilder};
use tokio::sync::watch;

use super::snapshot_dir::{Restored, SnapshotDir};
use super::snapshot_file::SnapshotFile;
use super::space::Space;
use crate::events::{EventLog, Events};
use crate::feed::Publisher;
use crate::registry::Registry;
use crate::type_config::{
    EntryResponder, LogId, Membership, Snapshot, SnapshotMeta, StoredMembership, TypeConfig,
};

/// Readers wait while a batch is applied, so batches are kept short.
const BATCH: usize = 256;

/// The registry, as everyone on this node reads it.
#[derive(Debug)]
pub(crate) struct Shared {
    registry: RwLock<Registry>,
    publisher: Publisher,
    events: Arc<EventLog>,
    /// Index up to which it is applied, exclusive.
    applied: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(registry: Registry, publisher: Publisher, next: u64) -> Self {
        Self {
            events: Arc::new(EventLog::new(registry.applied_index())),
            registry: RwLock::new(registry),
            publisher,
            applied: watch::Sender::new(next),
        }
    }

    pub(crate) fn view<T>(&self, read: impl FnOnce(&Registry) -> T) -> T {
        read(&self.registry.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// What operators are told.
    pub(crate) fn events(&self) -> Events {
        Events::new(Arc::clone(&self.events))
    }

    /// Index up to which the registry is applied, exclusive.
    pub(crate) fn watch_applied(&self) -> watch::Receiver<u64> {
        self.applied.subscribe()
    }

    fn change<T>(&self, change: impl FnOnce(&mut Registry) -> T) -> T {
        change(
            &mut self
                .registry
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }
}

#[derive(Debug)]
pub(crate) struct StateMachine {
    shared: Arc<Shared>,
    snapshots: Arc<SnapshotDir>,
    space: Arc<Space>,
    last_applied: Option<LogId>,
    membership: StoredMembership,
}

impl StateMachine {
    /// A state machine that goes on from a snapshot; `shared` holds its registry already.
    pub(crate) fn new(
        shared: Arc<Shared>,
        snapshots: Arc<SnapshotDir>,
        space: Arc<Space>,
        meta: SnapshotMeta,
    ) -> Self {
        Self {
            shared,
            snapshots,
            space,
            last_applied: meta.last_log_id,
            membership: meta.last_membership,
        }
    }

    /// Applies a batch under one lock, publishes what it changed, then answers. Fails at a command
    /// that this build cannot apply as the others do: going on would be another registry.
    fn apply_batch(&mut self, batch: Vec<EntryResponder>) -> io::Result<()> {
        let Some(last) = batch.last().map(|(entry, _)| entry.log_id) else {
            return Ok(());
        };
        let (mut changes, mut events) = (Vec::new(), Vec::new());
        let mut answers = Vec::with_capacity(batch.len());
        self.shared.change(|registry| {
            for (entry, responder) in batch {
                let (term, index) = (*entry.log_id.leader_id, entry.log_id.index);
                let applied = match entry.payload {
                    EntryPayload::Normal(proposal) => {
                        if registry.is_beyond(&proposal.0) {
                            let reason = "the cluster uses forms that this Libra does not know";
                            return Err(io::Error::other(reason));
                        }
                        let command = &proposal.0;
                        let applied = registry.apply_and_tell(
                            index,
                            term,
                            command,
                            &mut changes,
                            &mut events,
                        );
                        Some(applied)
                    }
                    EntryPayload::Blank => {
                        registry.advance(index, term);
                        None
                    }
                    EntryPayload::Membership(membership) => {
                        registry.advance(index, term);
                        events.extend(members_changed(&membership, index, registry.clock_ms()));
                        self.membership = StoredMembership::new(Some(entry.log_id), membership);
                        None
                    }
                };
                answers.extend(responder.map(|responder| (responder, applied)));
            }
            Ok(())
        })?;
        self.last_applied = Some(last);
        self.shared.publisher.changes(changes, last.index);
        self.shared.events.publish(events, last.index);
        self.shared.applied.send_replace(last.index + 1);
        for (responder, applied) in answers {
            responder.send(applied.map(Box::new));
        }
        Ok(())
    }

    fn meta(&self) -> SnapshotMeta {
        SnapshotMeta {
            last_log_id: self.last_applied,
            last_membership: self.membership.clone(),
        }
    }
}

impl RaftStateMachine<TypeConfig> for StateMachine {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        Ok((self.last_applied, self.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder, io::Error>> + Unpin + OptionalSend,
    {
        let mut batch = Vec::new();
        while let Some(entry) = entries.try_next().await? {
            batch.push(entry);
            if batch.len() == BATCH {
                self.apply_batch(std::mem::take(&mut batch))?;
            }
        }
        self.apply_batch(batch)
    }

    async fn try_create_snapshot_builder(&mut self, force: bool) -> Option<SnapshotBuilder> {
        if !force && self.space.is_full() {
            tracing::warn!("no snapshot while the disk is full");
            return None;
        }
        Some(self.get_snapshot_builder().await)
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        SnapshotBuilder {
            meta: self.meta(),
            // Copies no record, only the maps that point to them.
            registry: self.shared.view(Registry::clone),
            snapshots: Arc::clone(&self.snapshots),
        }
    }

    async fn install_snapshot(
        &mut self,
        _meta: &SnapshotMeta,
        snapshot: SnapshotFile,
    ) -> Result<(), io::Error> {
        let snapshots = Arc::clone(&self.snapshots);
        // Written anew from what was understood, so that what lies here is what is in memory.
        let install = move || {
            let (meta, registry) = snapshots.read(&snapshot)?;
            snapshots.write(meta.clone(), registry.snapshot())?;
            Ok::<_, io::Error>(Restored { meta, registry })
        };
        let Restored { meta, registry } = tokio::task::spawn_blocking(install).await??;
        self.last_applied = meta.last_log_id;
        self.membership = meta.last_membership;
        self.shared.change(|current| *current = registry);
        self.shared.publisher.replaced();
        let applied = self.last_applied.map_or(0, |id| id.index);
        self.shared.events.replaced(applied);
        let next = self.last_applied.map_or(0, |id| id.index + 1);
        self.shared.applied.send_replace(next);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        Ok(self.snapshots.newest().map(into_snapshot))
    }
}

/// Of the group as it is after a change, not in the middle of one.
fn members_changed(membership: &Membership, index: u64, at_ms: u64) -> Option<Event> {
    if membership.get_joint_config().len() != 1 {
        return None;
    }
    let learners = membership.learner_ids().collect();
    let members = MembersChanged {
        voters: membership.voter_ids().collect(),
        learners,
    };
    Some(Event {
        position: Some(Position { index, ordinal: 0 }),
        at_ms,
        kind: Some(event::Kind::MembersChanged(members)),
    })
}

/// The registry as of one moment, to be written while it goes on.
pub(crate) struct SnapshotBuilder {
    meta: SnapshotMeta,
    registry: Registry,
    snapshots: Arc<SnapshotDir>,
}

impl RaftSnapshotBuilder<TypeConfig> for SnapshotBuilder {
    type SnapshotData = SnapshotFile;

    async fn build_snapshot(&mut self) -> Result<Snapshot, io::Error> {
        let meta = self.meta.clone();
        let records = self.registry.snapshot();
        let snapshots = Arc::clone(&self.snapshots);
        let write = move || snapshots.write(meta, records);
        Ok(into_snapshot(tokio::task::spawn_blocking(write).await??))
    }
}

fn into_snapshot(file: SnapshotFile) -> Snapshot {
    Snapshot {
        meta: file.meta.clone(),
        snapshot: file,
    }
}

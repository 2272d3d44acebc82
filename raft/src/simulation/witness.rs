//! The production state machine, watched: one entry at a time.

use std::io;
use std::sync::Arc;

use futures::{Stream, TryStreamExt};
use libra_proto::registry::Command;
use openraft::storage::RaftStateMachine;
use openraft::{EntryPayload, OptionalSend};

use super::SimTypes;
use super::bell::Bell;
use crate::registry::Registry;
use crate::store::snapshot_file::SnapshotFile;
use crate::store::state_machine::{Shared, SnapshotBuilder, StateMachine};
use crate::type_config::{EntryResponder, LogId, Snapshot, SnapshotMeta, StoredMembership};

/// Sees one node's registry after every entry.
pub trait Witness: Send + Sync + 'static {
    /// The entry at `index` is applied; `command` is none for one that carries no command.
    fn applied(&self, registry: &Registry, index: u64, term: u64, command: Option<&Command>);

    /// The whole registry was taken from a snapshot.
    fn restored(&self, registry: &Registry);
}

/// The state machine of one node.
pub(super) struct Watched {
    inner: StateMachine,
    shared: Arc<Shared>,
    witness: Arc<dyn Witness>,
    /// Rung with the index up to which the registry is applied, exclusive.
    applied: Arc<Bell>,
}

impl Watched {
    pub(super) fn new(
        inner: StateMachine,
        shared: Arc<Shared>,
        witness: Arc<dyn Witness>,
        applied: Arc<Bell>,
    ) -> Self {
        shared.view(|registry| {
            witness.restored(registry);
            applied.ring(registry.applied_index() + 1);
        });
        Self {
            inner,
            shared,
            witness,
            applied,
        }
    }
}

impl RaftStateMachine<SimTypes> for Watched {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = SnapshotBuilder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership), io::Error> {
        RaftStateMachine::<SimTypes>::applied_state(&mut self.inner).await
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> Result<(), io::Error>
    where
        Strm: Stream<Item = Result<EntryResponder<SimTypes>, io::Error>> + Unpin + OptionalSend,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let (index, term) = (entry.log_id.index, *entry.log_id.leader_id);
            let command = match &entry.payload {
                EntryPayload::Normal(proposal) => Some(Arc::clone(&proposal.0)),
                EntryPayload::Blank | EntryPayload::Membership(_) => None,
            };
            let one = futures::stream::iter([Ok((entry, responder))]);
            RaftStateMachine::<SimTypes>::apply(&mut self.inner, one).await?;
            self.shared.view(|registry| {
                self.witness
                    .applied(registry, index, term, command.as_deref());
            });
            self.applied.ring(index + 1);
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> SnapshotBuilder {
        RaftStateMachine::<SimTypes>::get_snapshot_builder(&mut self.inner).await
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: SnapshotFile,
    ) -> Result<(), io::Error> {
        RaftStateMachine::<SimTypes>::install_snapshot(&mut self.inner, meta, snapshot).await?;
        self.shared.view(|registry| self.witness.restored(registry));
        let next = meta.last_log_id.map_or(0, |id| id.index + 1);
        self.applied.ring(next);
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<Snapshot>, io::Error> {
        RaftStateMachine::<SimTypes>::get_current_snapshot(&mut self.inner).await
    }
}

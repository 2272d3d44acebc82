//! What one command may have changed in the registry, and what it may not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use libra_proto::registry::{Command, SessionRecord, StatementRecord, StatementState, command};
use libra_proto::types::JobId;
use libra_raft::registry::Registry;

use super::State;
use crate::sim::disk::{ResultFile, from_inline};
use crate::sim::spark::ENDPOINT;
use crate::sim::world::World;

/// What of a registry is compared with what it was: to copy all of it after every entry would take
/// most of the time.
#[derive(Debug, Default)]
pub(super) struct Before {
    sessions: BTreeMap<String, SessionRecord>,
    statements: BTreeMap<u64, Arc<StatementRecord>>,
    cleanups: BTreeMap<String, usize>,
    taken: u32,
}

impl Before {
    /// The operation id of a statement, as it was committed.
    pub(super) fn operation_of(&self, job: u64) -> Option<&str> {
        let statement = self.statements.get(&job)?;
        Some(&statement.operation_id)
    }

    pub(super) fn of(registry: &Registry) -> Self {
        let sessions = registry.sessions_after(None);
        let cleanups = |session: &SessionRecord| {
            let id = session.session_id.parse();
            id.map_or(0, |id| registry.cleanups_of(&id).count())
        };
        let statements = registry.statements_before(None, None);
        Self {
            cleanups: registry
                .sessions_after(None)
                .map(|session| (session.session_id.clone(), cleanups(session)))
                .collect(),
            sessions: sessions
                .map(|session| (session.session_id.clone(), session.clone()))
                .collect(),
            statements: statements
                .map(|statement| (statement.job, Arc::clone(statement)))
                .collect(),
            taken: registry.demand(ENDPOINT).taken,
        }
    }
}

impl State {
    /// What a command may have changed, and what it may not.
    pub(super) fn follow(
        &mut self,
        world: &World,
        before: &Before,
        now: &Registry,
        command: &Command,
    ) {
        self.check_epochs(before, now, command);
        self.check_statements(world, before, now, command);
        let taken = now.demand(ENDPOINT).taken;
        let slots = now.settings().map_or(0, |settings| settings.slots);
        if taken > slots && taken > before.taken {
            self.violate("I7", format!("{taken} of {slots} slots are taken"));
        }
    }

    /// I1: epochs rise, each has one owner, and what an owner commits is of the present one.
    fn check_epochs(&mut self, before: &Before, now: &Registry, command: &Command) {
        for session in now.sessions_after(None) {
            let id = &session.session_id;
            self.check_session(before.sessions.get(id), session, command);
        }
        if let Some((session, epoch)) = owner_command(before, command)
            && let Some(held) = before.sessions.get(&session)
            && held.epoch != epoch
            && self.changed(&session, command, before)
        {
            let held = held.epoch;
            let text = format!(
                "a command of {session}'s owner in epoch {epoch} was applied in epoch {held}: \
                 {:?}",
                command.kind
            );
            self.violate("I1", text);
        }
    }

    /// Whether a command of an owner's changed its session, or the statement that it names.
    fn changed(&self, session: &str, command: &Command, before: &Before) -> bool {
        let now = &self.newest;
        let job = match command.kind.as_ref() {
            Some(command::Kind::Finish(c)) => c.job,
            Some(command::Kind::PutReplicas(c)) => c.job,
            _ => 0,
        };
        let same_statement = match (before.statements.get(&job), now.statements.get(&job)) {
            // They may be of two nodes.
            (Some(old), Some(new)) => Arc::ptr_eq(old, new) || old == new,
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        };
        !same_statement
            || before.sessions.get(session) != now.sessions.get(session)
            || before.cleanups.get(session) != now.cleanups.get(session)
    }

    fn check_session(
        &mut self,
        old: Option<&SessionRecord>,
        session: &SessionRecord,
        command: &Command,
    ) {
        let (id, epoch, owner) = (&session.session_id, session.epoch, session.owner_node);
        let old_epoch = old.map_or(0, |old| old.epoch);
        if epoch < old_epoch {
            self.violate("I1", format!("{id} went from epoch {old_epoch} to {epoch}"));
        }
        let known = self.owners.insert((id.clone(), epoch), owner);
        if let Some(known) = known.filter(|known| *known != owner) {
            let text = format!("{id} has the owners n{known} and n{owner} in epoch {epoch}");
            self.violate("I1", text);
        }
        if let (Some(old), Some(command::Kind::NodeDown(_))) = (old, &command.kind)
            && epoch > old.epoch
        {
            self.fenced.insert((id.clone(), old.owner_node), epoch);
        }
    }

    fn check_statements(
        &mut self,
        world: &World,
        before: &Before,
        now: &Registry,
        command: &Command,
    ) {
        for statement in now.statements_before(None, None) {
            let job = statement.job;
            let old = before.statements.get(&job);
            if old.is_some_and(|old| Arc::ptr_eq(old, statement)) {
                continue;
            }
            let (from, to) = (
                old.map_or(StatementState::Unspecified, |old| old.state()),
                statement.state(),
            );
            if old.is_some() && from != to && !from.may_become(to) {
                let text = format!("job-{job} went from {} to {}", from.label(), to.label());
                self.violate("I4", text);
            }
            let finishes = matches!(command.kind, Some(command::Kind::Finish(_)));
            if finishes && from != to && to == StatementState::Succeeded {
                self.check_holders(world, statement);
            }
        }
        let known = before.statements.keys().copied();
        let gone: BTreeSet<u64> = known
            .filter(|job| now.statement(JobId(*job)).is_none())
            .collect();
        if !gone.is_empty() {
            self.violate("I2", format!("the registry has forgotten {gone:?}"));
        }
    }

    /// I5: each holder that an end names has the whole file durably.
    fn check_holders(&mut self, world: &World, statement: &StatementRecord) {
        let Some(manifest) = &statement.result else {
            let text = format!("job-{} succeeded without a result", statement.job);
            return self.violate("I5", text);
        };
        let sealed = (manifest.file_length, manifest.file_hash);
        let inline = from_inline(&manifest.inline).map(|parts| ResultFile {
            parts,
            ..ResultFile::default()
        });
        if !inline.is_some_and(|file| manifest.inline.is_empty() || file.seal() == sealed) {
            let text = format!(
                "job-{} ended with another result than it had",
                statement.job
            );
            return self.violate("I5", text);
        }
        for holder in &manifest.holders {
            let Some(disk) = world.disk(holder.node_id) else {
                continue;
            };
            let results = disk.results();
            let file = results.get(&statement.job);
            if !file.is_some_and(|file| file.is_durable() && file.seal() == sealed) {
                let text = format!(
                    "job-{} ended with n{} as a holder, which has {:?} of {} parts durably",
                    statement.job,
                    holder.node_id,
                    file.map(|file| file.synced),
                    manifest.file_length
                );
                drop(results);
                self.violate("I5", text);
            }
        }
    }
}

/// The session and the epoch that a command of an owner names.
fn owner_command(before: &Before, command: &Command) -> Option<(String, u64)> {
    let of_job = |job: u64| Some(before.statements.get(&job)?.session_id.clone());
    match command.kind.as_ref()? {
        command::Kind::OpenSession(c) => Some((c.session_id.clone(), c.epoch)),
        command::Kind::ResetSession(c) => Some((c.session_id.clone(), c.epoch)),
        command::Kind::FailSession(c) => Some((c.session_id.clone(), c.epoch)),
        command::Kind::SessionClosed(c) => Some((c.session_id.clone(), c.epoch)),
        command::Kind::Finish(c) => Some((of_job(c.job)?, c.epoch)),
        command::Kind::CleanupDone(c) => Some((of_job(c.job)?, c.epoch)),
        command::Kind::PutReplicas(c) => Some((of_job(c.job)?, c.epoch)),
        _ => None,
    }
}

//! What must be true whatever happens (the invariants of the design), checked as it happens.
//!
//! **Invariant:** nothing here can be seen by what is checked; it knows more than any node does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libra_proto::registry::{Command, SessionRecord, StatementRecord, StatementState, command};
use libra_proto::types::JobId;
use libra_raft::registry::Registry;
use libra_raft::simulation::Runtime;

use super::spark::ENDPOINT;
use super::world::World;

/// The registry's own contradictions are looked for once in so many entries: it reads everything.
const CHECK_EVERY: u64 = 32;
/// Registries are compared once in so many entries: what has come apart stays apart.
const COMPARE_EVERY: u64 = 8;

/// A promise that was not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which: `I1` to `I10`, or what else went wrong.
    pub invariant: &'static str,
    /// What happened.
    pub text: String,
    /// When.
    pub at: Duration,
}

/// A statement that a client was told is accepted.
#[derive(Debug, Clone)]
pub struct Promise {
    /// What it runs.
    pub code: String,
    /// Its Idempotency-Key.
    pub key: String,
    /// The highest state that any finished read has seen.
    pub seen: StatementState,
    /// It was queued when a cancel was acknowledged, and so never runs.
    pub never_runs: bool,
    /// A cancel was acknowledged while it had not ended.
    pub cancelled: bool,
}

/// The truth about one simulation.
#[derive(Debug, Default)]
pub struct Truth(Mutex<State>);

/// What of a registry is compared with what it was: to copy all of it after every entry would take
/// most of the time.
#[derive(Debug, Default)]
struct Before {
    sessions: BTreeMap<String, SessionRecord>,
    statements: BTreeMap<u64, Arc<StatementRecord>>,
    cleanups: BTreeMap<String, usize>,
    taken: u32,
}

impl Before {
    fn of(registry: &Registry) -> Self {
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

#[derive(Debug, Default)]
struct State {
    violations: Vec<Violation>,
    /// The hash of the registry at each index, by whoever came there first.
    hashes: BTreeMap<u64, (u64, u64)>,
    head: u64,
    newest: Before,
    owners: BTreeMap<(String, u64), u64>,
    /// Sessions that were moved because a lease was over, with the epoch they got.
    fenced: BTreeMap<String, u64>,
    promises: BTreeMap<u64, Promise>,
    keys: BTreeMap<String, u64>,
    commands: u64,
}

impl Truth {
    /// Something that must not be.
    pub fn violation(&self, invariant: &'static str, text: String) {
        self.lock().violate(invariant, text);
    }

    /// What was found, in order.
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.lock().violations.clone()
    }

    /// Whether anything was found.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        !self.lock().violations.is_empty()
    }

    /// All statements that were promised, by id.
    #[must_use]
    pub fn promises(&self) -> BTreeMap<u64, Promise> {
        self.lock().promises.clone()
    }

    /// How many commands were applied, on the node that was first.
    #[must_use]
    pub fn commands(&self) -> u64 {
        self.lock().commands
    }

    /// A node has applied an entry.
    pub fn applied(
        &self,
        world: &World,
        node: u64,
        registry: &Registry,
        (index, _term): (u64, u64),
        command: Option<&Command>,
    ) {
        let mut state = self.lock();
        if index % COMPARE_EVERY == 0 {
            state.compare(node, index, registry);
        }
        if index <= state.head {
            return;
        }
        state.head = index;
        if let Some(command) = command {
            let now = Before::of(registry);
            let before = std::mem::replace(&mut state.newest, now);
            state.commands += 1;
            state.follow(world, &before, registry, command);
        }
        if index % CHECK_EVERY == 0
            && let Err(contradiction) = registry.check_invariants()
        {
            state.violate("registry", format!("at index {index}: {contradiction}"));
        }
    }

    /// A node has taken its registry from a snapshot.
    pub fn restored(&self, node: u64, registry: &Registry) {
        let index = registry.applied_index();
        if index > 0 {
            self.lock().compare(node, index, registry);
        }
    }

    /// A node acts for a session as its owner in that epoch: it speaks to Spark, or proposes. Once the
    /// group has counted its lease as over it must not, however far behind it is itself. (That an
    /// operation is released whose end is applied does no harm, whenever that is.)
    pub fn acts(&self, node: u64, session: &str, epoch: u64, fence_is_open: bool) {
        let mut state = self.lock();
        let newest = state.fenced.get(session).copied().unwrap_or(0);
        if newest > epoch {
            state.violate(
                "I1",
                format!(
                    "n{node} acts for {session} in epoch {epoch} after its lease was over and \
                     epoch {newest} was committed (its fence is {})",
                    if fence_is_open { "open" } else { "closed" }
                ),
            );
        }
    }

    /// A client was told that its statement is accepted.
    pub fn accepted(&self, job: u64, code: &str, key: &str, seen: StatementState) {
        let mut state = self.lock();
        if let Some(known) = state.keys.insert(key.to_owned(), job)
            && known != job
        {
            state.violate(
                "I3",
                format!("key {key} was accepted as job-{known} and as job-{job}"),
            );
        }
        let promise = state.promises.entry(job).or_insert_with(|| Promise {
            code: code.to_owned(),
            key: key.to_owned(),
            seen,
            never_runs: false,
            cancelled: false,
        });
        if promise.code != code {
            let text = format!("job-{job} was told to run {} and {code}", promise.code);
            state.violate("I2", text);
        }
    }

    /// The statement that was accepted under that key.
    #[must_use]
    pub fn job_of(&self, key: &str) -> Option<u64> {
        self.lock().keys.get(key).copied()
    }

    /// What a read that begins now must see at least; none for a statement nobody was promised.
    #[must_use]
    pub fn floor(&self, job: u64) -> Option<StatementState> {
        self.lock().promises.get(&job).map(|promise| promise.seen)
    }

    /// A read that began when `floor` was known has ended on that node.
    pub fn saw(&self, node: u64, floor: StatementState, statement: &StatementRecord) {
        let mut state = self.lock();
        let seen = statement.state();
        if rank(seen) < rank(floor) || (floor.has_ended() && seen != floor) {
            let text = format!(
                "n{node} shows job-{} as {}, after it was seen as {}",
                statement.job,
                seen.label(),
                floor.label()
            );
            state.violate("I4/I6", text);
        }
        if let Some(promise) = state.promises.get_mut(&statement.job)
            && rank(seen) > rank(promise.seen)
        {
            promise.seen = seen;
        }
    }

    /// A statement that was promised is not found on that node.
    pub fn not_found(&self, node: u64, job: u64) {
        let text = format!("n{node} does not know job-{job}, which was acknowledged before");
        self.violation("I2/I6", text);
    }

    /// A cancel was acknowledged.
    pub fn cancelled(&self, statement: &StatementRecord) {
        let mut state = self.lock();
        let job = statement.job;
        if statement.cancel_requested_at_ms == 0 && !statement.state().has_ended() {
            let text = format!("the cancel of job-{job} was acknowledged and is not committed");
            state.violate("I8", text);
        }
        if let Some(promise) = state.promises.get_mut(&job) {
            let ended = statement.state();
            let never_started = statement.started_at_ms == 0;
            promise.cancelled |= statement.cancel_requested_at_ms != 0;
            promise.never_runs |= never_started && ended == StatementState::Cancelled;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How far a statement is; ends are equally far.
fn rank(state: StatementState) -> u8 {
    match state {
        StatementState::Unspecified => 0,
        StatementState::Queued => 1,
        StatementState::Running => 2,
        StatementState::Succeeded | StatementState::Failed | StatementState::Cancelled => 3,
    }
}

impl State {
    fn violate(&mut self, invariant: &'static str, text: String) {
        self.violations.push(Violation {
            invariant,
            text,
            at: Runtime::now(),
        });
    }

    /// I9: equal registries at equal index.
    fn compare(&mut self, node: u64, index: u64, registry: &Registry) {
        let hash = registry.state_hash();
        match self.hashes.get(&index) {
            Some((known, first)) if *known != hash => {
                let text = format!("at index {index} n{node} has another registry than n{first}");
                self.violate("I9", text);
            }
            Some(_) => {}
            None => {
                self.hashes.insert(index, (hash, node));
            }
        }
    }

    /// What a command may have changed, and what it may not.
    fn follow(&mut self, world: &World, before: &Before, now: &Registry, command: &Command) {
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
        if epoch > old_epoch && matches!(command.kind, Some(command::Kind::NodeDown(_))) {
            self.fenced.insert(id.clone(), epoch);
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
        for holder in &manifest.holders {
            let Some(disk) = world.disk(holder.node_id) else {
                continue;
            };
            let results = disk.results();
            let file = results.get(&statement.job);
            let sealed = (manifest.file_length, manifest.file_hash);
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

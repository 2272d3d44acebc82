//! What must be true whatever happens (the invariants of the design), checked as it happens.
//!
//! **Invariant:** nothing here can be seen by what is checked; it knows more than any node does.

mod follow;

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libra_proto::registry::{Command, StatementRecord, StatementState};
use libra_raft::registry::Registry;
use libra_raft::simulation::Runtime;

use super::world::World;
use follow::Before;

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

#[derive(Debug, Default)]
struct State {
    violations: Vec<Violation>,
    /// The hash of the registry at each index, by whoever came there first.
    hashes: BTreeMap<u64, (u64, u64)>,
    head: u64,
    newest: Before,
    owners: BTreeMap<(String, u64), u64>,
    /// Sessions that were moved away from a node because its lease was over, with the epoch they got.
    fenced: BTreeMap<(String, u64), u64>,
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
        let fenced = state.fenced.get(&(session.to_owned(), node));
        let newest = fenced.copied().unwrap_or(0);
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

    /// A leader has renewed a lease in its term. When it was asked to, so many of its voters had gone on
    /// to a newer term: with a majority of them gone no quorum can have told it since that it leads.
    pub fn renewed(&self, leader: u64, term: u64, (gone_on, voters): (usize, usize)) {
        if gone_on * 2 > voters {
            let text = format!(
                "n{leader} renews a lease in term {term}, which {gone_on} of {voters} voters had left \
                 before it was asked to"
            );
            self.violation("I1", text);
        }
    }

    /// An operation goes to Spark for a statement: under the id that is committed.
    pub fn sends(&self, node: u64, job: u64, operation: &str) {
        let mut state = self.lock();
        let known = state.newest.operation_of(job);
        if known != Some(operation) {
            let text = format!("n{node} sends job-{job} as {operation}, committed is {known:?}");
            state.violate("I3", text);
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
}

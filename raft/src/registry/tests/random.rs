//! Random sequences of commands, held against the invariants of the design.

use std::collections::{BTreeMap, BTreeSet};

use libra_proto::registry::command::Kind;
use libra_proto::registry::*;
use libra_proto::types::{Change, JobId};
use proptest::prelude::*;

use super::bench::Bench;
use super::moves::{Move, moves};
use crate::registry::Registry;
use crate::registry::state::Records;

/// Slots taken by endpoint, and by endpoint and pool, counted from the records alone.
type Taken = (BTreeMap<String, u32>, BTreeMap<(String, String), u32>);

fn taken(records: &Records) -> Taken {
    let running = records
        .statements
        .values()
        .filter(|s| s.state() == StatementState::Running);
    let running = running.map(|s| (s.endpoint.clone(), s.pool.clone()));
    let kept = records
        .cleanups
        .values()
        .map(|c| (c.endpoint.clone(), c.pool.clone()));
    let mut taken = Taken::default();
    for (endpoint, pool) in running.chain(kept) {
        *taken.0.entry(endpoint.clone()).or_default() += 1;
        *taken.1.entry((endpoint, pool)).or_default() += 1;
    }
    taken
}

/// I7: no more than the slots, unless there were more before they were lowered. A paused pool gets
/// none.
fn check_slots(before: &Records, after: &Records) {
    let slots = after.settings.map_or(0, |settings| settings.slots);
    let (was, is) = (taken(before), taken(after));
    for (endpoint, n) in &is.0 {
        let allowed = slots.max(was.0.get(endpoint).copied().unwrap_or(0));
        assert!(
            *n <= allowed,
            "{n} slots taken on {endpoint}, {allowed} allowed"
        );
    }
    for (lane, n) in &is.1 {
        let max = after.pools.get(&lane.1).map_or(0, |pool| pool.max_running);
        let paused = [before, after].map(|r| r.pools.get(&lane.1).is_some_and(|pool| pool.paused));
        let allowed = match (paused, max) {
            ([true, true], _) => 0,
            (_, 0) => u32::MAX,
            (_, max) => max,
        };
        let allowed = allowed.max(was.1.get(lane).copied().unwrap_or(0));
        assert!(
            *n <= allowed,
            "{n} slots taken by {lane:?}, {allowed} allowed"
        );
    }
}

/// The statement without the names of those who hold its result, which may change after its end.
fn without_holders(statement: &StatementRecord) -> StatementRecord {
    let mut statement = statement.clone();
    if let Some(result) = &mut statement.result {
        result.holders.clear();
    }
    statement
}

/// I4 and I8: statements only go forward, keep what they were accepted as, and are forgotten only
/// after their end.
fn check_statements(before: &Records, after: &Records) {
    for (job, old) in &before.statements {
        let Some(new) = after.statements.get(job) else {
            assert!(
                old.state().has_ended(),
                "{job} was forgotten before its end"
            );
            continue;
        };
        let legal = old.state() == new.state() || old.state().may_become(new.state());
        assert!(legal, "{job}: {:?} -> {:?}", old.state(), new.state());
        assert!(
            !old.state().has_ended() || without_holders(old) == without_holders(new),
            "{job} changed after its end"
        );
        let fixed = |s: &StatementRecord| {
            (
                s.operation_id.clone(),
                s.session_id.clone(),
                s.pool.clone(),
                s.submitted_at_ms,
            )
        };
        assert_eq!(fixed(old), fixed(new));
        assert!(
            old.cancel_requested_at_ms == 0
                || old.cancel_requested_at_ms == new.cancel_requested_at_ms
        );
        let waits = new.state() == StatementState::Queued;
        assert!(
            !waits || new.cancel_requested_at_ms == 0,
            "{job} is queued after its cancel"
        );
    }
    for job in after
        .statements
        .keys()
        .filter(|job| !before.statements.contains_key(job))
    {
        assert!(job.0 > before.last_job, "{job} was given out before");
    }
}

/// By session, for ever: the owner in each of its epochs.
type Owners = BTreeMap<String, BTreeMap<u64, u64>>;

/// I1: states of sessions go by the table, epochs rise with every reopening and every move, for
/// ever, and each has one owner. Who is given a session is UP.
fn check_sessions(before: &Records, after: &Records, owners: &mut Owners) {
    for (id, new) in &after.sessions {
        let known = owners.entry(id.clone()).or_default();
        let highest = known.last_key_value().map_or(0, |(epoch, _)| *epoch);
        let old = before.sessions.get(id);
        match old {
            None => assert!(new.epoch > highest, "{id} was made anew in an old epoch"),
            Some(old) if old.epoch != new.epoch => {
                assert_eq!(new.epoch, old.epoch + 1, "{id}");
                let moved = old.owner_node != new.owner_node && old.state() == new.state();
                assert!(moved || !old.state().is_owned(), "{id} reopened");
            }
            Some(_) => {}
        }
        let given = old.is_none_or(|old| old.epoch != new.epoch);
        let node = after.nodes.get(&new.owner_node);
        assert!(
            !given || after.nodes.is_empty() || node.is_some_and(|node| node.state().is_up()),
            "{id} was given to a node that is not UP"
        );
        let owner = *known.entry(new.epoch).or_insert(new.owner_node);
        assert_eq!(owner, new.owner_node, "{id} has two owners in one epoch");
        let from = old.map_or(new.state(), |old| old.state());
        assert!(
            from == new.state() || from.may_become(new.state()),
            "{id}: {from:?} -> {:?}",
            new.state()
        );
    }
}

/// The level never falls.
fn check_nodes(before: &Records, after: &Records) {
    assert!(after.feature_level >= before.feature_level);
    assert!(!after.nodes.contains_key(&0));
}

/// Everything that changed is named, and nothing is named that is refused.
fn check_changes(before: &Records, after: &Records, changes: &[Change]) {
    let jobs: BTreeSet<JobId> = before
        .statements
        .keys()
        .chain(after.statements.keys())
        .copied()
        .collect();
    for job in jobs {
        if before.statements.get(&job) != after.statements.get(&job) {
            let named = changes
                .iter()
                .any(|c| matches!(c, Change::Statement(j, _) if *j == job));
            assert!(named, "{job} changed in silence");
        }
    }
    let ids: BTreeSet<&String> = before
        .sessions
        .keys()
        .chain(after.sessions.keys())
        .collect();
    for id in ids {
        let kept = |records: &Records| -> Vec<_> {
            records
                .cleanups
                .values()
                .filter(|c| c.session_id == *id)
                .cloned()
                .collect()
        };
        if before.sessions.get(id) != after.sessions.get(id) || kept(before) != kept(after) {
            let named = changes
                .iter()
                .any(|c| matches!(c, Change::Session(s) if s.as_str() == id));
            assert!(named, "{id} changed in silence");
        }
    }
    let shared = |r: &Records| {
        (
            r.settings,
            r.pools.clone(),
            r.nodes.clone(),
            r.feature_level,
        )
    };
    if shared(before) != shared(after) {
        assert!(
            changes.contains(&Change::Settings),
            "settings changed in silence"
        );
    }
}

/// What a command may change: all but the place in the log and the clock.
fn content(records: &Records) -> Records {
    Records {
        applied_index: 0,
        applied_term: 0,
        clock_ms: 0,
        ..records.clone()
    }
}

/// A repeated command changes nothing, whatever it is.
fn check_repeat(registry: &Registry, command: &Command, first: &applied::Result) {
    let mut again = registry.clone();
    let mut changes = Vec::new();
    let applied = again.apply(registry.applied_index() + 1, 1, command, &mut changes);
    assert_eq!(
        content(&again.records),
        content(&registry.records),
        "{command:?} twice"
    );
    if !command.request_id.is_empty() {
        assert_eq!(applied.result.as_ref(), Some(first), "{command:?} twice");
        return;
    }
    let submitted = |result: Option<&applied::Result>| match result {
        Some(applied::Result::Submitted(submitted)) => {
            submitted.statement.as_ref().map(|statement| statement.job)
        }
        _ => None,
    };
    if let Some(Kind::Submit(_)) = command.kind {
        assert_eq!(submitted(applied.result.as_ref()), submitted(Some(first)));
    }
    if let (Some(Kind::Finish(_)), applied::Result::Done(_)) = (&command.kind, first) {
        assert_eq!(
            applied.result,
            Some(applied::Result::Done(Done { changed: false }))
        );
    }
}

pub(super) struct Run {
    pub(super) bench: Bench,
    owners: Owners,
    answers: Vec<Applied>,
    /// How many commands of each sort were taken and refused.
    pub(super) taken: usize,
    pub(super) refused: usize,
}

impl Run {
    pub(super) fn new() -> Self {
        Self {
            bench: Bench::new(Mode::Isolated, 3),
            owners: Owners::new(),
            answers: Vec::new(),
            taken: 0,
            refused: 0,
        }
    }

    pub(super) fn step(&mut self, step: &Move, fresh: usize) -> Command {
        let registry = &mut self.bench.registry;
        let before = registry.records.clone();
        let command = step.command(registry, fresh);
        let mut changes = Vec::new();
        let applied = registry.apply(before.applied_index + 1, 1, &command, &mut changes);
        let result = applied.result.clone().unwrap();
        registry.check_invariants().unwrap();
        let after = &registry.records;
        if matches!(result, applied::Result::Rejected(_)) {
            self.refused += 1;
            assert_eq!(content(&before), content(after), "{command:?} was refused");
            assert_eq!(changes, []);
        } else {
            self.taken += 1;
        }
        assert!(after.clock_ms >= before.clock_ms);
        check_slots(&before, after);
        check_statements(&before, after);
        check_sessions(&before, after, &mut self.owners);
        check_nodes(&before, after);
        check_changes(&before, after, &changes);
        check_repeat(registry, &command, &result);
        self.answers.push(applied);
        command
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_keeps_the_invariants(steps in moves(250)) {
        let mut run = Run::new();
        for (n, step) in steps.iter().enumerate() {
            run.step(step, n);
        }
    }

    #[test]
    fn equal_logs_give_equal_state_also_through_a_snapshot(steps in moves(120), cut in 0..120_usize) {
        let mut run = Run::new();
        let start = run.bench.registry.clone();
        let log: Vec<Command> = steps.iter().enumerate().map(|(n, step)| run.step(step, n)).collect();
        let mut other = start.clone();
        let mut changes = Vec::new();
        for (n, (command, answer)) in log.iter().zip(&run.answers).enumerate() {
            if n == cut {
                other = Registry::restore(other.snapshot()).unwrap();
                // A log that begins before the snapshot is replayed over it.
                for (index, early) in (start.applied_index() + 1..).zip(log.iter().take(n)) {
                    other.apply(index, 1, early, &mut changes);
                }
            }
            let index = other.applied_index() + 1;
            prop_assert_eq!(&other.apply(index, 1, command, &mut changes), answer);
        }
        prop_assert_eq!(&other.records, &run.bench.registry.records);
        prop_assert_eq!(&other.index, &run.bench.registry.index);
        prop_assert_eq!(other.state_hash(), run.bench.registry.state_hash());
    }
}

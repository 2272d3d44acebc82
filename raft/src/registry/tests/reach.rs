//! Whether the random sequences get anywhere: properties of what never happens say nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use libra_proto::registry::*;
use proptest::strategy::{Strategy, ValueTree};

use super::moves::moves;
use super::random::Run;
use crate::registry::state::Records;

/// How often things happened that only a cluster knows.
#[derive(Debug, Default)]
struct Cluster {
    moved: usize,
    moved_while_running: usize,
    stranded: usize,
    replicas: usize,
    holders: usize,
    answered_again: usize,
    of_the_leader: usize,
    states: BTreeSet<&'static str>,
}

impl Cluster {
    fn count(&mut self, before: &Records, after: &Records, command: &Command) {
        for (id, new) in &after.sessions {
            let Some(old) = before.sessions.get(id) else {
                continue;
            };
            if old.owner_node != new.owner_node && old.state() == new.state() {
                let runs = |s: &Arc<StatementRecord>| {
                    s.state() == StatementState::Running && s.session_id == *id
                };
                self.moved += 1;
                self.moved_while_running += usize::from(after.statements.values().any(runs));
            }
        }
        let up = |node: &NodeRecord| node.state().is_up();
        let owned = |s: &Arc<SessionRecord>| s.state().is_owned();
        let nobody = !after.nodes.is_empty() && !after.nodes.values().any(up);
        self.stranded += usize::from(nobody && after.sessions.values().any(owned));
        let copies = after.statements.values().map(|s| s.replicas.len()).max();
        self.replicas += usize::from(copies > Some(1));
        let known = before.requests.values().map(|request| &request.request_id);
        let known: BTreeSet<&Vec<u8>> = known.collect();
        self.answered_again += usize::from(known.contains(&command.request_id));
        let changed = before.statements.iter().filter(|(job, old)| {
            let new = after.statements.get(job);
            old.state().has_ended() && new.is_some_and(|new| new != *old)
        });
        self.holders += changed.count();
        self.of_the_leader += usize::from(command.leader_term != 0);
        let states = after.nodes.values().map(|node| node.state().label());
        self.states.extend(states);
    }

    fn is_enough(&self) -> bool {
        let counts = [
            self.moved,
            self.moved_while_running,
            self.stranded,
            self.replicas,
            self.holders,
            self.answered_again,
            self.of_the_leader,
        ];
        counts.iter().all(|n| *n > 10) && self.states.len() == 3
    }
}

/// The random commands must not all be refused, or the properties above say little.
#[test]
fn random_sequences_reach_every_state() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut states = BTreeSet::new();
    let (mut taken, mut refused, mut kept, mut reopened) = (0, 0, 0, 0);
    let mut cluster = Cluster::default();
    for _ in 0..40 {
        let steps = moves(250).new_tree(&mut runner).unwrap().current();
        let mut run = Run::new();
        for (n, step) in steps.iter().enumerate() {
            let before = run.bench.registry.records.clone();
            let command = run.step(step, n);
            let records = &run.bench.registry.records;
            cluster.count(&before, records, &command);
            states.extend(records.statements.values().map(|s| s.state().label()));
            states.extend(records.sessions.values().map(|s| s.state().as_str_name()));
            states.extend(records.statements.values().filter_map(|s| {
                match s.error.as_ref()?.error_class.as_str() {
                    "LIBRA_TIMEOUT" => Some("timeout"),
                    "LIBRA_SESSION_RESET" => Some("reset"),
                    "LIBRA_OUTCOME_UNKNOWN" => Some("unknown"),
                    "LIBRA_INTERRUPTED" => Some("interrupted"),
                    _ => None,
                }
            }));
            kept += records.cleanups.len();
            reopened += usize::from(records.sessions.values().any(|s| s.epoch > 2));
        }
        taken += run.taken;
        refused += run.refused;
    }
    println!(
        "{taken} taken, {refused} refused, {kept} clean-ups held, {reopened} reopened, {states:?}"
    );
    println!("{cluster:?}");
    assert!(cluster.is_enough());
    assert_eq!(states.len(), 5 + 5 + 4);
    assert!(taken > refused && kept > 100 && reopened > 100);
}

//! Who is to hold a result, and who holds it.

use libra_proto::registry::command::Kind;
use libra_proto::registry::*;
use libra_proto::types::{Change, JobId, NodeId};

use super::bench::*;
use super::nodes_bench::*;
use crate::registry::state::INLINE_KEPT;

const HASH: u64 = 77;

/// Nodes 1 to 3, session `a` open on node 1, job 1 running.
fn bench() -> Bench {
    let mut bench = Bench::new(Mode::Isolated, 2);
    bench.register(&[1, 2, 3]);
    bench.open("a", "spark-a");
    bench.run("op-1");
    bench
}

fn succeeds(nodes: &[u64]) -> Finish {
    Finish {
        result: Some(ResultManifest {
            file_hash: HASH,
            holders: holders(nodes),
            ..ResultManifest::default()
        }),
        ..finish(1, 1, StatementState::Succeeded)
    }
}

fn held(bench: &Bench, node: u64) -> Vec<u64> {
    let held = bench.registry.held_by(NodeId(node));
    held.map(|statement| statement.job).collect()
}

#[test]
fn the_owner_names_other_replicas() {
    let mut bench = bench();
    assert_eq!(bench.statement(1).replicas, [1]);
    assert!(bench.changed(put_replicas(1, 1, &[1, 3])));
    assert_eq!(bench.statement(1).replicas, [1, 3]);
    assert_eq!(bench.changes, [Change::Statement(JobId(1), sid("a"))]);
    assert!(!bench.changed(put_replicas(1, 1, &[1, 3])));
    // A node that is DOWN may be named: the owner knows better, or finds out.
    bench.done(down(3, "boot-3"));
    bench.done(put_replicas(1, 1, &[1, 2, 3]));
    for (list, code) in [
        (vec![], RejectionCode::Malformed),
        (vec![2, 1], RejectionCode::Malformed),
        (vec![1, 2, 2], RejectionCode::Malformed),
        (vec![1, 9], RejectionCode::UnknownNode),
    ] {
        assert_eq!(bench.code(put_replicas(1, 1, &list)), code, "{list:?}");
    }
    assert_eq!(
        bench.code(put_replicas(1, 2, &[1])),
        RejectionCode::StaleEpoch
    );
    assert_eq!(
        bench.code(put_replicas(9, 1, &[1])),
        RejectionCode::UnknownJob
    );
    bench.done(ends(1, StatementState::Succeeded));
    assert_eq!(
        bench.code(put_replicas(1, 1, &[1])),
        RejectionCode::AlreadyEnded
    );
}

#[test]
fn statements_that_wait_have_no_replicas_yet() {
    let mut bench = bench();
    bench.run("op-2");
    bench.run("op-3");
    assert_eq!(bench.state(3), StatementState::Queued);
    assert_eq!(
        bench.code(put_replicas(3, 1, &[1])),
        RejectionCode::IllegalTransition
    );
}

#[test]
fn holders_follow_the_copies_of_a_sealed_result() {
    let mut bench = bench();
    assert_eq!(
        bench.code(put_holders(1, HASH, &[1])),
        RejectionCode::IllegalTransition
    );
    bench.done(Kind::Finish(succeeds(&[1, 2])));
    assert_eq!(
        (held(&bench, 1), held(&bench, 2), held(&bench, 3)),
        (vec![1], vec![1], vec![])
    );
    assert!(bench.changed(put_holders(1, HASH, &[2, 3])));
    assert_eq!(bench.changes, [Change::Statement(JobId(1), sid("a"))]);
    assert_eq!(
        (held(&bench, 1), held(&bench, 2), held(&bench, 3)),
        (vec![], vec![1], vec![1])
    );
    assert!(!bench.changed(put_holders(1, HASH, &[2, 3])));
    // The owner did not hear of its commit, and says it again.
    assert!(!bench.changed(Kind::Finish(succeeds(&[1, 2]))));
    assert_eq!(held(&bench, 3), [1]);
    assert_eq!(
        bench.code(put_holders(1, HASH + 1, &[1])),
        RejectionCode::IllegalTransition
    );
    assert_eq!(
        bench.code(put_holders(2, HASH, &[1])),
        RejectionCode::UnknownJob
    );
    for list in [vec![], vec![0], vec![2, 2]] {
        assert_eq!(
            bench.code(put_holders(1, HASH, &list)),
            RejectionCode::Malformed
        );
    }
    bench.done(Kind::Retire(Retire {
        jobs: vec![1],
        sessions: Vec::new(),
    }));
    assert_eq!(held(&bench, 3), [0_u64; 0]);
}

#[test]
fn small_results_have_room_until_there_are_too_many() {
    let mut bench = bench();
    let room = |bench: &Bench, bytes| bench.registry.has_room_inline(bytes);
    assert!(room(&bench, INLINE_KEPT) && !room(&bench, INLINE_KEPT + 1));
    let mut small = succeeds(&[]);
    if let Some(result) = &mut small.result {
        result.inline = vec![7; 100].into();
    }
    bench.done(Kind::Finish(small));
    assert!(room(&bench, INLINE_KEPT - 100) && !room(&bench, INLINE_KEPT - 99));
    // It is nobody's file: nothing is to be copied.
    assert_eq!(bench.registry.under_copied(JobId(0), 10, 10).found, []);
    bench.done(Kind::Retire(Retire {
        jobs: vec![1],
        sessions: Vec::new(),
    }));
    assert!(room(&bench, INLINE_KEPT));
}

#[test]
fn a_removed_node_stays_named_and_out_of_reach() {
    let mut bench = bench();
    bench.done(Kind::Finish(succeeds(&[1, 2, 3])));
    let reach = |bench: &Bench| -> Vec<u64> {
        let result = bench.statement(1).result.as_ref().unwrap();
        let near = result
            .holders
            .iter()
            .filter(|holder| bench.registry.is_within_reach(holder));
        near.map(|holder| holder.node_id).collect()
    };
    assert_eq!(reach(&bench), [1, 2, 3]);
    bench.done(remove(3));
    assert_eq!(held(&bench, 3), [1]);
    assert_eq!(reach(&bench), [1, 2]);
    bench.done(drain(2, true));
    assert_eq!(reach(&bench), [1, 2], "it still works");
    bench.done(down(2, "boot-2"));
    assert_eq!(reach(&bench), [1]);
    let wiped = NodeRecord {
        store_uuid: "another".to_owned(),
        ..node(2, "boot-2b")
    };
    bench.done(Kind::RegisterNode(RegisterNode { node: Some(wiped) }));
    assert_eq!(reach(&bench), [1], "its copy went with its store");
}

#[test]
fn no_replicas_in_the_settings_are_one() {
    let mut bench = bench();
    let none = Settings {
        result_replicas: 0,
        ..settings(Mode::Isolated, 2)
    };
    match bench.done(put_settings(none, 1)) {
        applied::Result::Settings(settings) => assert_eq!(settings.result_replicas, 1),
        other => panic!("no settings: {other:?}"),
    }
    assert_eq!(bench.registry.copies_wanted(), 1);
}

#[test]
fn results_on_too_few_nodes_are_found_in_turn() {
    let mut bench = Bench::new(Mode::Isolated, 9);
    bench.register(&[1, 2, 3]);
    let two = Settings {
        result_replicas: 2,
        ..settings(Mode::Isolated, 9)
    };
    bench.done(put_settings(two, 1));
    bench.open("a", "spark-a");
    let held_by: [&[u64]; 5] = [&[1], &[1, 2], &[3], &[2], &[1, 3]];
    for (job, nodes) in (1..).zip(held_by) {
        bench.run(&format!("op-{job}"));
        bench.done(Kind::Finish(Finish {
            job,
            ..succeeds(nodes)
        }));
    }
    bench.run("op-6");
    let look = |bench: &Bench, from: u64, looked, found| -> (Vec<(u64, Vec<u64>)>, Option<u64>) {
        let shortages = bench.registry.under_copied(JobId(from), looked, found);
        let found = shortages.found.iter().map(|found| {
            let targets = found.targets.iter().map(|node| node.0).collect();
            (found.job.0, targets)
        });
        (found.collect(), shortages.next.map(|job| job.0))
    };
    let all = vec![(1, vec![3, 2]), (3, vec![2, 1]), (4, vec![1, 3])];
    assert_eq!(look(&bench, 0, 100, 100), (all.clone(), None));
    assert_eq!(look(&bench, 2, 100, 100), (all[1..].to_vec(), None));
    assert_eq!(look(&bench, 0, 2, 100), (all[..1].to_vec(), Some(3)));
    assert_eq!(look(&bench, 0, 100, 1), (all[..1].to_vec(), Some(2)));
    assert_eq!(look(&bench, 5, 100, 100), (vec![], None));
    // Nobody within reach has it any more: there is nothing to copy from, and what is on node 2
    // is on one node less.
    bench.done(down(3, "boot-3"));
    let left = vec![(1, vec![2]), (4, vec![1]), (5, vec![2])];
    assert_eq!(look(&bench, 0, 100, 100), (left, None));
}

/// An owner that could not store a result is known to those that come after it.
#[test]
fn who_could_not_store_a_result_is_noted_with_the_move() {
    let mut bench = bench();
    bench.run("op-2");
    let give = |epoch, to_node, job| {
        Kind::MoveSession(MoveSession {
            session_id: "a".to_owned(),
            epoch,
            to_node,
            not_stored: job,
            ..MoveSession::default()
        })
    };
    let noted = |bench: &Bench, job| bench.statement(job).not_stored_on.clone();
    bench.done(give(1, 2, 1));
    assert_eq!((noted(&bench, 1), noted(&bench, 2)), (vec![1], vec![]));
    assert!(
        bench
            .changes
            .contains(&Change::Statement(JobId(1), sid("a")))
    );
    // Of an older epoch, to nowhere, or to where it is: nothing was given away.
    assert_eq!(bench.code(give(1, 3, 1)), RejectionCode::StaleEpoch);
    bench.done(down(3, "boot-3"));
    assert_eq!(bench.code(give(2, 3, 1)), RejectionCode::NoNode);
    bench.done(give(2, 2, 1));
    assert_eq!(noted(&bench, 1), [1]);
    bench.done(give(2, 1, 1));
    bench.done(give(3, 2, 1));
    assert_eq!(noted(&bench, 1), [1, 2, 1], "in order, and again");
    // What does not run there, or is not known, is nobody's word.
    bench.done(Kind::Finish(finish(2, 4, StatementState::Succeeded)));
    bench.done(give(4, 1, 2));
    bench.done(give(5, 2, 99));
    assert_eq!(
        (noted(&bench, 1), noted(&bench, 2)),
        (vec![1, 2, 1], vec![])
    );
}

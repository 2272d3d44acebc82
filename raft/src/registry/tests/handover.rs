//! What goes with a session that moves: what waits, what runs, what is to be cleaned up.

use libra_proto::registry::*;
use libra_proto::types::{Change, JobId, NodeId};

use super::bench::*;
use super::nodes_bench::*;

/// Nodes 1 to 3, session `a` open on node 1.
fn bench() -> Bench {
    let mut bench = Bench::new(Mode::Isolated, 2);
    bench.register(&[1, 2, 3]);
    bench.open("a", "spark-a");
    bench
}

fn answered(bench: &mut Bench, kind: command::Kind) -> (u64, u64) {
    match bench.done(kind) {
        applied::Result::Session(session) => (session.owner_node, session.epoch),
        other => panic!("no session: {other:?}"),
    }
}

#[test]
fn running_statements_run_on_and_queued_ones_wait_on() {
    let mut bench = bench();
    for n in 1..=3 {
        bench.run(&format!("op-{n}"));
    }
    bench.done(cancel(2));
    bench.done(down(1, "boot-1"));
    assert_eq!(
        (bench.session("a").owner_node, bench.session("a").epoch),
        (2, 2)
    );
    assert_eq!(bench.state(1), StatementState::Running);
    assert_ne!(
        bench.statement(2).cancel_requested_at_ms,
        0,
        "the intent goes along"
    );
    assert_eq!(bench.state(3), StatementState::Queued);
    assert_eq!(bench.eligible("default"), 1);
    assert_eq!(bench.registry.demand(ENDPOINT).taken, 2);
    // The old owner is late, the new one is not.
    assert_eq!(
        bench.code(ends(1, StatementState::Succeeded)),
        RejectionCode::StaleEpoch
    );
    bench.done(command::Kind::Finish(finish(
        1,
        2,
        StatementState::Succeeded,
    )));
    assert_eq!(bench.statement(1).ended_on_node, 2);
    assert_eq!(bench.jobs(start(&[3])), [3]);
}

#[test]
fn clean_ups_move_even_with_a_session_that_has_ended() {
    let mut bench = bench();
    bench.run("op-1");
    bench.done(fail("a", 1, "LIBRA_SPARK_UNREACHABLE"));
    assert_eq!(bench.registry.demand(ENDPOINT).taken, 1);
    bench.done(down(1, "boot-1"));
    let owned: Vec<&str> = bench
        .registry
        .sessions_owned_by(NodeId(2))
        .map(|session| session.session_id.as_str())
        .collect();
    assert_eq!(owned, ["a"]);
    assert!(bench.changes.contains(&Change::Session(sid("a"))));
    assert_eq!(bench.session("a").state(), SessionState::Failed);
    assert_eq!(bench.code(cleanup_done(1, 1)), RejectionCode::StaleEpoch);
    bench.done(cleanup_done(1, 2));
    assert_eq!(bench.registry.demand(ENDPOINT).taken, 0);
    // Nothing is left to own.
    bench.done(down(2, "boot-2"));
    assert_eq!(
        (bench.session("a").owner_node, bench.session("a").epoch),
        (2, 2)
    );
    assert_eq!(bench.code(move_to("a", 2, 3)), RejectionCode::SessionFailed);
}

#[test]
fn closing_sessions_are_closed_by_their_new_owner() {
    let mut bench = bench();
    bench.done(close("a"));
    bench.done(down(1, "boot-1"));
    assert_eq!(bench.session("a").state(), SessionState::Closing);
    assert_eq!(bench.code(closed("a", 1)), RejectionCode::StaleEpoch);
    bench.done(closed("a", 2));
    assert_eq!(bench.code(move_to("a", 2, 3)), RejectionCode::SessionClosed);
}

#[test]
fn a_session_moves_by_wish_and_once() {
    let mut bench = bench();
    assert_eq!(answered(&mut bench, move_to("a", 1, 3)), (3, 2));
    assert!(bench.changes.contains(&Change::Session(sid("a"))));
    assert_eq!(bench.code(move_to("a", 1, 3)), RejectionCode::StaleEpoch);
    assert_eq!(
        answered(&mut bench, move_to("a", 2, 3)),
        (3, 2),
        "it is there"
    );
    assert_eq!(bench.changes, []);
    assert_eq!(bench.code(move_to("a", 2, 9)), RejectionCode::UnknownNode);
    bench.done(drain(2, true));
    assert_eq!(bench.code(move_to("a", 2, 2)), RejectionCode::NoNode);
    assert_eq!(
        bench.code(move_to("b", 2, 1)),
        RejectionCode::UnknownSession
    );
}

#[test]
fn a_session_moves_by_itself_only_to_even_things_out() {
    let mut bench = bench();
    assert_eq!(
        answered(&mut bench, move_to("a", 1, 0)),
        (1, 1),
        "no better anywhere"
    );
    bench.open("b", "spark-b");
    assert_eq!(answered(&mut bench, move_to("a", 1, 0)), (2, 2));
    assert_eq!(answered(&mut bench, move_to("a", 2, 0)), (2, 2));
}

#[test]
fn replicas_are_chosen_at_the_start_and_anew_with_a_move() {
    let mut bench = bench();
    let wanted = Settings {
        result_replicas: 2,
        ..settings(Mode::Isolated, 2)
    };
    bench.done(put_settings(wanted, 1));
    for n in 1..=3 {
        bench.run(&format!("op-{n}"));
    }
    let replicas = |bench: &Bench, job| bench.statement(job).replicas.clone();
    assert_eq!(replicas(&bench, 1), [1, 3]);
    assert_eq!(replicas(&bench, 2), [1, 2]);
    assert_eq!(replicas(&bench, 3), [0_u64; 0], "it waits");
    bench.done(ends(1, StatementState::Succeeded));
    bench.done(start(&[3]));
    assert_eq!(replicas(&bench, 3), [1, 3]);
    bench.done(down(1, "boot-1"));
    assert_eq!(bench.session("a").owner_node, 2);
    assert_eq!(replicas(&bench, 2), [2, 3]);
    assert_eq!(replicas(&bench, 3), [2, 3]);
    assert!(
        bench
            .changes
            .contains(&Change::Statement(JobId(3), sid("a")))
    );
    assert_eq!(
        replicas(&bench, 1),
        [1, 3],
        "what has ended stays as it was"
    );
}

#[test]
fn a_session_goes_to_no_node_that_does_not_reach_its_spark() {
    let mut bench = Bench::new(Mode::Isolated, 3);
    bench.register(&[1, 2, 3]);
    // All of node 1.
    for id in ["a", "b", "c"] {
        bench.open(id, &format!("spark-{id}"));
    }
    let give = |id: &str, epoch: u64, to_node: u64, cut_off: &[u64]| {
        let pair = |node: &u64| Unreachable {
            node_id: *node,
            endpoint: ENDPOINT.to_owned(),
        };
        command::Kind::MoveSession(MoveSession {
            session_id: id.to_owned(),
            epoch,
            to_node,
            unreachable: cut_off.iter().map(pair).collect(),
            ..MoveSession::default()
        })
    };
    let refusal = bench.refused(give("a", 1, 2, &[2]));
    assert_eq!(
        (refusal.code(), refusal.subject.as_str()),
        (RejectionCode::EndpointUnreachable, "2")
    );
    bench.done(give("a", 1, 0, &[2]));
    assert_eq!(bench.session("a").owner_node, 3, "the one that reaches it");
    bench.done(give("b", 1, 0, &[2, 3]));
    assert_eq!(bench.session("b").owner_node, 1, "nobody else reaches it");
    // Its owner does not reach it: it goes although that evens nothing out.
    bench.done(give("a", 2, 0, &[3]));
    assert_eq!(bench.session("a").owner_node, 2);
    bench.done(give("a", 3, 0, &[2, 3]));
    assert_eq!(
        bench.session("a").owner_node,
        1,
        "however much that one has"
    );
    // Where none does, as if all did.
    bench.done(give("c", 1, 0, &[1, 2, 3]));
    assert_eq!(bench.session("c").owner_node, 2);
}

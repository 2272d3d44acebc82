//! Request ids and leader terms: what is applied once, and what counts in one term only.

use libra_proto::registry::command::Kind;
use libra_proto::registry::*;

use super::bench::*;
use crate::registry::Registry;
use crate::registry::update::{REQUEST_BYTES_KEPT, REQUESTS_KEPT};

fn id(n: u128) -> Vec<u8> {
    n.to_be_bytes().to_vec()
}

fn asked(bench: &Bench, request: u128, kind: Kind) -> Command {
    Command {
        request_id: id(request),
        ..bench.command(kind)
    }
}

fn put_pool(name: &str, max_running: u32) -> Kind {
    Kind::PutPool(PutPool {
        pool: Some(pool(name, max_running)),
    })
}

#[test]
fn the_same_request_is_applied_once_and_answered_the_same() {
    let mut bench = Bench::with_open_session(2);
    let first = asked(&bench, 1, put_pool("p", 1));
    let answer = bench.apply_command(&first);
    bench.done(put_pool("p", 2));
    let before = bench.registry.records.clone();
    bench.now += 50;
    let again = Command {
        proposed_at_ms: bench.now,
        ..first
    };
    assert_eq!(bench.apply_command(&again), answer);
    assert_eq!(bench.changes, []);
    assert_eq!(bench.registry.pool("p").unwrap().max_running, 2);
    assert_eq!(bench.registry.records.pools, before.pools);
    assert_eq!(bench.registry.records.requests, before.requests);
    assert_eq!(bench.registry.clock_ms(), bench.now, "time goes on");
    // The id decides, whatever else is asked.
    let other = asked(&bench, 1, create("b", "spark-b"));
    assert_eq!(bench.apply_command(&other), answer);
    assert!(bench.registry.session(&sid("b")).is_none());
    assert_eq!(bench.registry.request(&id(1)).unwrap().result, Some(answer));
    assert_eq!(bench.registry.request(&id(2)), None);
}

#[test]
fn what_was_refused_may_be_tried_again() {
    let mut bench = Bench::new(Mode::Isolated, 2);
    let early = asked(&bench, 1, submit("a", "op-1"));
    let refused = bench.apply_command(&early);
    assert!(matches!(refused, applied::Result::Rejected(_)));
    bench.open("a", "spark-a");
    let taken = bench.apply_command(&early);
    assert!(matches!(taken, applied::Result::Submitted(_)), "{taken:?}");
}

#[test]
fn an_id_has_sixteen_bytes_or_none() {
    let mut bench = Bench::new(Mode::Isolated, 2);
    for length in [1, 15, 17] {
        let odd = Command {
            request_id: vec![7; length],
            ..bench.command(put_pool("p", 1))
        };
        match bench.apply_command(&odd) {
            applied::Result::Rejected(refusal) => {
                assert_eq!(refusal.code(), RejectionCode::Malformed);
            }
            other => panic!("not refused: {other:?}"),
        }
    }
}

#[test]
fn a_command_of_the_leader_counts_in_its_own_term_only() {
    let mut bench = Bench::with_open_session(1);
    bench.run("op-1");
    bench.run("op-2");
    let of_term = |bench: &Bench, leader_term, request: u128, kind| Command {
        leader_term,
        ..asked(bench, request, kind)
    };
    bench.now += 10;
    for term in [TERM + 1, TERM + 9, u64::MAX] {
        let late = of_term(&bench, term, 3, cancel(1));
        match bench.apply_command(&late) {
            applied::Result::Rejected(refusal) => {
                assert_eq!(refusal.code(), RejectionCode::StaleTerm);
                assert_eq!(refusal.limit, TERM);
            }
            other => panic!("not refused: {other:?}"),
        }
        assert_eq!(bench.registry.clock_ms(), bench.now);
    }
    assert_eq!(bench.statement(1).cancel_requested_at_ms, 0);
    let now = of_term(&bench, TERM, 3, cancel(1));
    assert!(matches!(
        bench.apply_command(&now),
        applied::Result::Statement(_)
    ));
    assert_ne!(bench.statement(1).cancel_requested_at_ms, 0);
    // A known request of another term is no exception.
    let stale = of_term(&bench, TERM + 1, 3, cancel(1));
    assert!(matches!(
        bench.apply_command(&stale),
        applied::Result::Rejected(_)
    ));
}

#[test]
fn the_newest_requests_are_kept_and_a_snapshot_holds_them() {
    let mut registry = Registry::default();
    let mut changes = Vec::new();
    let mut apply = |registry: &mut Registry, n: usize| {
        let command = Command {
            proposed_at_ms: 1,
            request_id: id(n as u128),
            kind: Some(put_pool("p", u32::try_from(n).unwrap())),
            ..Command::default()
        };
        registry.apply(registry.applied_index() + 1, 1, &command, &mut changes)
    };
    for n in 1..=REQUESTS_KEPT + 2 {
        apply(&mut registry, n);
    }
    registry.check_invariants().unwrap();
    assert_eq!(registry.records.requests.len(), REQUESTS_KEPT);
    assert!(registry.request(&id(2)).is_none() && registry.request(&id(3)).is_some());

    let mut restored = Registry::restore(registry.snapshot()).unwrap();
    assert_eq!(restored.records, registry.records);
    assert_eq!(restored.index, registry.index);
    assert_eq!(apply(&mut restored, 3), apply(&mut registry, 3));
    assert_eq!(restored.pool("p"), registry.pool("p"));
    assert_eq!(
        restored.pool("p").unwrap().max_running as usize,
        REQUESTS_KEPT + 2
    );
}

#[test]
fn big_answers_are_kept_as_long_as_they_fit() {
    let mut bench = Bench::with_open_session(1);
    let wide = Settings {
        queued_bytes: u64::MAX,
        max_queued: 1_000,
        ..settings(Mode::Isolated, 1)
    };
    bench.done(put_settings(wide, 1));
    let mebibyte = 1 << 20;
    for n in 1..=20 {
        let big = Submit {
            code: "x".repeat(mebibyte),
            ..submit_to("a", "default", &format!("op-{n}"))
        };
        let command = asked(&bench, n, Kind::Submit(big));
        bench.apply_command(&command);
    }
    let kept = bench.registry.records.requests.len() as u64;
    assert_eq!(kept, REQUEST_BYTES_KEPT / mebibyte as u64 - 1);
    assert!(bench.registry.request(&id(20)).is_some());
    assert!(bench.registry.request(&id(1)).is_none());
}

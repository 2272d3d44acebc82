//! What the registry lets pass once a safety is off: so a checker has something to see.

use libra_proto::registry::{Mode, StatementState};
use libra_proto::safety::{Safety, take_off};

use super::bench::*;

#[test]
fn without_the_epoch_check_an_old_owner_ends_statements() {
    let mut bench = Bench::with_open_session(5);
    bench.run("op-1");
    bench.done(close("a"));
    bench.done(ends(1, StatementState::Cancelled));
    bench.done(closed("a", 1));
    bench.done(reopen("a", "spark-a2"));
    bench.done(open("a", 2, "spark-a2"));
    bench.run("op-2");
    let late = ends(2, StatementState::Succeeded);
    bench.refused(late.clone());
    take_off(&[Safety::EpochCheck]);
    bench.done(late);
    assert_eq!(bench.state(2), StatementState::Succeeded);
    // A later one than there is yet is nobody's.
    bench.refused(closed("a", 3));
}

#[test]
fn without_the_referee_more_runs_than_there_are_slots() {
    let mut bench = Bench::new(Mode::Isolated, 1);
    bench.open("a", "spark-a");
    for operation in ["op-1", "op-2", "op-3"] {
        bench.run(operation);
    }
    assert!(bench.jobs(start(&[2, 3])).is_empty());
    take_off(&[Safety::SlotReferee]);
    assert_eq!(bench.jobs(start(&[2])), [2]);
    assert_eq!(bench.registry.demand(ENDPOINT).taken, 2);
}

//! Snapshots: there and back, and what is refused.

use libra_proto::registry::snapshot_record::Entity;
use libra_proto::registry::*;

use super::bench::*;
use crate::registry::{FEATURE_LEVEL, Registry, RestoreError};

fn busy() -> Bench {
    let mut bench = Bench::with_open_session(2);
    for n in 1..=4 {
        bench.done(submit("a", &format!("op-{n}")));
    }
    bench.done(ends_unknown(1));
    bench.register(&[1]);
    for n in 1..=2_u128 {
        let asked = Command {
            request_id: n.to_be_bytes().to_vec(),
            ..bench.command(cancel(4))
        };
        bench.apply_command(&asked);
    }
    bench
}

fn records(bench: &Bench) -> Vec<SnapshotRecord> {
    bench.registry.snapshot().collect()
}

fn restore(records: Vec<SnapshotRecord>) -> RestoreError {
    Registry::restore(records).unwrap_err()
}

#[test]
fn a_restored_registry_is_the_same() {
    let bench = busy();
    let restored = Registry::restore(records(&bench)).unwrap();
    restored.check_invariants().unwrap();
    assert_eq!(restored.records, bench.registry.records);
    assert_eq!(restored.index, bench.registry.index);
    assert_eq!(restored.state_hash(), bench.registry.state_hash());
    assert_eq!(restored.feature_level(), FEATURE_LEVEL);
    assert_eq!(
        Registry::restore(Registry::default().snapshot())
            .unwrap()
            .state_hash(),
        Registry::default().state_hash()
    );
}

#[test]
fn a_snapshot_stays_as_it_was_taken() {
    let mut bench = busy();
    let before = records(&bench);
    let taken = bench.registry.snapshot();
    bench.done(cancel(2));
    assert_eq!(taken.collect::<Vec<_>>(), before);
    assert_ne!(records(&bench), before);
}

#[test]
fn broken_snapshots_are_refused() {
    let whole = records(&busy());
    assert_eq!(restore(vec![]), RestoreError::NoHeader);
    assert_eq!(
        restore(whole.get(1..).unwrap().to_vec()),
        RestoreError::NoHeader
    );

    let mut twice = whole.clone();
    twice.extend(whole.first().cloned());
    assert_eq!(restore(twice), RestoreError::SecondHeader);

    let mut strange = whole.clone();
    strange.insert(1, SnapshotRecord { entity: None });
    assert_eq!(restore(strange), RestoreError::UnknownKind { position: 1 });

    let header = SnapshotHeader {
        feature_level: FEATURE_LEVEL + 1,
        ..SnapshotHeader::default()
    };
    let newer = SnapshotRecord {
        entity: Some(Entity::Header(header)),
    };
    assert!(matches!(restore(vec![newer]), RestoreError::TooNew { .. }));

    for position in 1..whole.len() {
        let mut twice = whole.clone();
        twice.extend(whole.get(position).cloned());
        assert!(
            matches!(restore(twice), RestoreError::Duplicate { .. }),
            "record {position}"
        );
    }
}

#[test]
fn contradictions_in_snapshots_are_refused() {
    let whole = records(&busy());
    let without = |unwanted: fn(&Entity) -> bool| {
        let kept = whole
            .iter()
            .filter(|record| !record.entity.as_ref().is_some_and(unwanted));
        restore(kept.cloned().collect())
    };
    let no_session = without(|entity| matches!(entity, Entity::Session(_)));
    assert!(matches!(no_session, RestoreError::Inconsistent { .. }));
    let no_statement = without(|entity| matches!(entity, Entity::Statement(s) if s.job == 1));
    assert!(matches!(no_statement, RestoreError::Inconsistent { .. }));

    let with = |change: fn(&mut Entity)| {
        let mut changed = whole.clone();
        changed
            .iter_mut()
            .filter_map(|record| record.entity.as_mut())
            .for_each(change);
        restore(changed)
    };
    let no_state = with(|entity| {
        if let Entity::Statement(s) = entity {
            s.state = 99
        }
    });
    assert!(matches!(no_state, RestoreError::Inconsistent { .. }));
    let no_number = with(|entity| {
        if let Entity::Header(h) = entity {
            h.next_job = 2
        }
    });
    assert!(matches!(no_number, RestoreError::Inconsistent { .. }));
    let never_applied = with(|entity| {
        if let Entity::Request(r) = entity {
            r.index += 100
        }
    });
    assert!(matches!(never_applied, RestoreError::Inconsistent { .. }));
    let no_answer = with(|entity| {
        if let Entity::Request(r) = entity {
            r.applied = None
        }
    });
    assert!(matches!(no_answer, RestoreError::Inconsistent { .. }));
    let same_request = with(|entity| {
        if let Entity::Request(r) = entity {
            r.request_id = vec![1; 16]
        }
    });
    assert!(matches!(same_request, RestoreError::Inconsistent { .. }));
    let no_form = with(|entity| {
        if let Entity::Session(s) = entity {
            s.session_id = "/".to_owned()
        }
    });
    assert!(matches!(no_form, RestoreError::SessionId { .. }));
}

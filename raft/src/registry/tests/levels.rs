//! Feature levels: two builds do the same with every entry until all nodes know the next level.

use libra_proto::registry::command::Kind;
use libra_proto::registry::*;
use proptest::prelude::*;

use super::bench::*;
use super::moves::moves;
use super::nodes_bench::*;
use crate::registry::state::{FIRST_LEVEL, TEST_LEVEL};
use crate::registry::{FEATURE_LEVEL, Registry, RestoreError};

/// Two builds of one cluster, given the same entries.
struct Pair {
    old: Registry,
    new: Registry,
}

impl Pair {
    fn new() -> Self {
        let start = Bench::new(Mode::Isolated, 3).registry;
        Self {
            old: start.clone(),
            new: Registry {
                known_level: TEST_LEVEL,
                ..start
            },
        }
    }

    /// Applies an entry to both, which must agree in all they say and hold.
    fn both(&mut self, command: &Command) -> applied::Result {
        assert!(!self.old.is_beyond(command) && !self.new.is_beyond(command));
        let index = self.new.applied_index() + 1;
        let (mut told_old, mut told_new) = (Vec::new(), Vec::new());
        let of_old = self.old.apply(index, TERM, command, &mut told_old);
        let of_new = self.new.apply(index, TERM, command, &mut told_new);
        assert_eq!(of_old, of_new, "{command:?}");
        assert_eq!(told_old, told_new);
        assert_eq!(self.old.state_hash(), self.new.state_hash(), "{command:?}");
        self.new.check_invariants().unwrap();
        of_new.result.unwrap()
    }
}

fn of(kind: Kind) -> Command {
    Command {
        proposed_at_ms: 1,
        kind: Some(kind),
        ..Command::default()
    }
}

fn registers(id: u64, feature_level: u32) -> Command {
    of(Kind::RegisterNode(RegisterNode {
        node: Some(NodeRecord {
            feature_level,
            ..node(id, &format!("boot-{feature_level}"))
        }),
    }))
}

fn refusal(result: applied::Result) -> (RejectionCode, u64) {
    match result {
        applied::Result::Rejected(refusal) => (refusal.code(), refusal.limit),
        other => panic!("not refused: {other:?}"),
    }
}

fn weight(registry: &Registry) -> u32 {
    registry.pool("p").unwrap().weight
}

#[test]
fn a_level_is_raised_once_every_node_knows_it() {
    let mut pair = Pair::new();
    let (known, next) = (FEATURE_LEVEL.into(), of(raise(TEST_LEVEL)));
    pair.both(&registers(1, 0));
    pair.both(&registers(2, TEST_LEVEL));
    assert_eq!(
        refusal(pair.both(&next)),
        (RejectionCode::FeatureLevel, FIRST_LEVEL.into())
    );
    pair.both(&registers(1, FEATURE_LEVEL));
    assert_eq!(
        refusal(pair.both(&next)),
        (RejectionCode::FeatureLevel, known)
    );
    let pool = of(Kind::PutPool(PutPool {
        pool: Some(pool("p", 1)),
    }));
    pair.both(&pool);
    assert_eq!(weight(&pair.new), 2, "both builds do it the old way");

    // Node 1 is down, and may come back as it was: it still counts.
    pair.both(&of(down(1, "boot-1")));
    assert_eq!(
        refusal(pair.both(&next)),
        (RejectionCode::FeatureLevel, known)
    );

    // Node 1 is updated.
    pair.both(&registers(1, TEST_LEVEL));
    assert!(
        pair.old.is_beyond(&next),
        "a build without it stops before this entry"
    );
    assert!(!pair.new.is_beyond(&next));
    let mut changes = Vec::new();
    let mut apply = |registry: &mut Registry, command: &Command| {
        let index = registry.applied_index() + 1;
        let applied = registry.apply(index, TERM, command, &mut changes);
        registry.check_invariants().unwrap();
        applied.result.unwrap()
    };
    let new = &mut pair.new;
    assert_eq!(
        apply(new, &next),
        applied::Result::Done(Done { changed: true })
    );
    assert_eq!(new.feature_level(), TEST_LEVEL);
    assert_eq!(
        apply(new, &next),
        applied::Result::Done(Done { changed: false })
    );
    apply(new, &pool);
    assert_eq!(weight(new), 4, "the new way");

    // There is no way back, and no place for a build that does not know it.
    let back = refusal(apply(new, &of(raise(FEATURE_LEVEL))));
    assert_eq!(back, (RejectionCode::FeatureLevel, TEST_LEVEL.into()));
    let late = refusal(apply(new, &registers(3, FEATURE_LEVEL)));
    assert_eq!(late, (RejectionCode::FeatureLevel, TEST_LEVEL.into()));
    let too_far = refusal(apply(new, &of(raise(TEST_LEVEL + 1))));
    assert_eq!(too_far, (RejectionCode::FeatureLevel, TEST_LEVEL.into()));
    assert_eq!(
        refusal(apply(new, &of(raise(0)))).0,
        RejectionCode::Malformed
    );

    // Nor does its snapshot find one.
    let refused = Registry::restore(new.snapshot()).unwrap_err();
    assert_eq!(
        refused,
        RestoreError::TooNew {
            found: TEST_LEVEL,
            known: FEATURE_LEVEL
        }
    );
    let restored = Registry::restore_knowing(TEST_LEVEL, new.snapshot()).unwrap();
    assert_eq!(restored.state_hash(), new.state_hash());
}

#[test]
fn an_old_build_leaves_and_the_level_rises() {
    let mut pair = Pair::new();
    pair.both(&registers(1, FEATURE_LEVEL));
    pair.both(&registers(2, TEST_LEVEL));
    let next = of(raise(TEST_LEVEL));
    refusal(pair.both(&next));
    pair.both(&of(remove(1)));
    assert!(pair.old.is_beyond(&next));
    assert_eq!(pair.new.level_of_nodes(), Some(TEST_LEVEL));
}

#[test]
fn a_level_that_nobody_knows_is_refused_by_all() {
    let mut pair = Pair::new();
    pair.both(&registers(1, TEST_LEVEL));
    let far = of(raise(TEST_LEVEL + 7));
    assert_eq!(
        refusal(pair.both(&far)),
        (RejectionCode::FeatureLevel, TEST_LEVEL.into())
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes, until the level rises; and it does not while node 9 is there.
    #[test]
    fn two_builds_are_equal_until_the_level_rises(steps in moves(150)) {
        let mut pair = Pair::new();
        pair.both(&registers(9, FEATURE_LEVEL));
        for (n, step) in steps.iter().enumerate() {
            let command = step.command(&pair.new, n);
            pair.both(&command);
        }
        prop_assert_eq!(pair.new.feature_level(), FEATURE_LEVEL);
        prop_assert_eq!(pair.old.snapshot().collect::<Vec<_>>(), pair.new.snapshot().collect::<Vec<_>>());
    }
}

//! When a node is declared down, and that its own lease is over by then.

use proptest::prelude::*;

use crate::lease::owner::OwnerLease;

use super::*;

const PATIENCE: Patience = Patience {
    lease: ms(1_200),
    margin: ms(200),
    tick: ms(50),
    late: ms(200),
};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn member(node: u64, boot: &str) -> Member {
    Member {
        node_id: NodeId(node),
        boot_id: boot.to_owned(),
    }
}

fn renewal(node: u64, boot: &str) -> Renewal {
    Renewal {
        node_id: NodeId(node),
        boot_id: boot.to_owned(),
        unreachable: BTreeSet::new(),
    }
}

/// The clocks of a leader that began at 10 s, with nodes 1 and 2.
fn clocks() -> Clocks {
    let mut clocks = Clocks::new(PATIENCE, ms(10_000));
    clocks.admit(&[member(1, "a"), member(2, "b")], ms(10_000));
    clocks
}

/// Ticks every 50 ms after `from`, up to `to`; node 1 renews at each. Who is down then?
fn ticks(clocks: &mut Clocks, from: u64, to: u64) -> Vec<u64> {
    let mut down = Vec::new();
    for now in (from + 50..=to).step_by(50) {
        clocks.renewed(renewal(1, "a"), ms(now)).unwrap();
        down = clocks.tick(ms(now)).iter().map(|d| d.node_id.0).collect();
    }
    down
}

#[test]
fn a_new_leader_waits_a_full_lease_and_a_margin_from_its_start() {
    let mut clocks = clocks();
    assert_eq!(ticks(&mut clocks, 10_000, 11_350), [0; 0]);
    assert_eq!(ticks(&mut clocks, 11_350, 11_400), [2]);
}

#[test]
fn the_leader_before_is_waited_for_only_as_long_as_its_lease_can_go_on() {
    let mut clocks = clocks();
    clocks.was_silent(NodeId(2), ms(600), ms(10_000));
    assert_eq!(ticks(&mut clocks, 10_000, 10_750), [0; 0]);
    assert_eq!(ticks(&mut clocks, 10_750, 10_800), [2]);
}

#[test]
fn a_silence_in_the_past_does_not_count_against_what_was_heard_since() {
    let mut clocks = clocks();
    clocks.was_silent(NodeId(2), ms(600), ms(10_000));
    clocks.renewed(renewal(2, "b"), ms(10_100)).unwrap();
    assert_eq!(ticks(&mut clocks, 10_000, 11_450), [0; 0]);
    clocks.was_silent(NodeId(9), ms(600), ms(11_450));
    assert_eq!(ticks(&mut clocks, 11_450, 11_500), [2]);
}

#[test]
fn it_is_suspect_at_half_and_down_at_the_end() {
    let mut clocks = clocks();
    clocks.renewed(renewal(2, "b"), ms(10_100)).unwrap();
    let mut ticked = 10_000;
    for (at, state) in [
        (10_100, Liveness::Up),
        (10_650, Liveness::Up),
        (10_700, Liveness::Suspect),
        (11_450, Liveness::Suspect),
        (11_500, Liveness::Down),
    ] {
        let observed = |clocks: &Clocks| {
            let node = clocks
                .observe(ms(at))
                .into_iter()
                .find(|n| n.node_id.0 == 2);
            node.map(|node| node.state)
        };
        ticks(&mut clocks, ticked, at);
        ticked = at;
        assert_eq!(observed(&clocks), Some(state), "{at}");
    }
}

#[test]
fn a_leader_that_stood_still_starts_all_clocks_anew() {
    let mut clocks = clocks();
    ticks(&mut clocks, 10_000, 10_050);
    // Due at 10 100, and forgiven until 10 300.
    assert_eq!(clocks.tick(ms(20_000)), []);
    assert_eq!(ticks(&mut clocks, 20_000, 21_350), [0; 0]);
    assert_eq!(ticks(&mut clocks, 21_350, 21_400), [2]);
}

#[test]
fn a_tick_that_is_hardly_late_starts_nothing_anew() {
    let mut clocks = clocks();
    assert_eq!(ticks(&mut clocks, 10_000, 11_200), [0; 0]);
    clocks.renewed(renewal(1, "a"), ms(11_450)).unwrap();
    let down = clocks.tick(ms(11_450));
    assert_eq!(down.len(), 1);
}

#[test]
fn a_renewal_of_an_older_start_is_ignored() {
    let mut clocks = clocks();
    let old = clocks.renewed(renewal(2, "a"), ms(10_500));
    assert_eq!(old, Err(Refusal::NotRegistered));
    let stranger = clocks.renewed(renewal(3, "c"), ms(10_500));
    assert_eq!(stranger, Err(Refusal::NotRegistered));
    assert_eq!(ticks(&mut clocks, 10_000, 11_400), [2]);
}

#[test]
fn a_newer_start_proves_that_the_older_one_is_gone() {
    let mut clocks = clocks();
    ticks(&mut clocks, 10_000, 11_350);
    clocks.admit(&[member(1, "a"), member(2, "b2")], ms(11_350));
    let old = clocks.renewed(renewal(2, "b"), ms(11_360));
    assert_eq!(old, Err(Refusal::NotRegistered));
    assert_eq!(ticks(&mut clocks, 11_350, 12_700), [0; 0]);
    assert_eq!(ticks(&mut clocks, 12_700, 12_750), [2]);
}

#[test]
fn a_node_that_gives_its_sessions_up_is_not_waited_for() {
    let mut clocks = clocks();
    clocks.renewed(renewal(2, "b"), ms(10_040)).unwrap();
    clocks.gave_up(NodeId(2), "an older start");
    assert_eq!(clocks.tick(ms(10_050)), []);
    clocks.gave_up(NodeId(2), "b");
    let refused = clocks.renewed(renewal(2, "b"), ms(10_060));
    assert_eq!(refused, Err(Refusal::Over));
    assert_eq!(clocks.tick(ms(10_100)).len(), 1);
}

#[test]
fn what_is_decided_stays_so_until_the_registry_has_it() {
    let mut clocks = clocks();
    assert_eq!(ticks(&mut clocks, 10_000, 11_400), [2]);
    let refused = clocks.renewed(renewal(2, "b"), ms(11_401));
    assert_eq!(refused, Err(Refusal::Over));
    assert_eq!(ticks(&mut clocks, 11_400, 11_450), [2], "said again");
    // Not even a leader that stood still takes it back: it may be committed.
    assert_eq!(clocks.tick(ms(15_000)).len(), 1);
    clocks.admit(&[member(1, "a")], ms(15_050));
    assert_eq!(clocks.tick(ms(15_050)), []);
    let refused = clocks.renewed(renewal(2, "b"), ms(15_060));
    assert_eq!(refused, Err(Refusal::NotRegistered));
}

#[test]
fn it_says_who_cannot_reach_which_endpoint() {
    let mut clocks = clocks();
    let cut_off = Renewal {
        unreachable: BTreeSet::from(["sc://spark:15002".to_owned()]),
        ..renewal(1, "a")
    };
    for now in (10_050..=11_400).step_by(50) {
        clocks.renewed(cut_off.clone(), ms(now)).unwrap();
        let down = clocks.tick(ms(now));
        if now == 11_400 {
            let said = (NodeId(1), "sc://spark:15002".to_owned());
            assert_eq!(down[0].unreachable, [said]);
        }
    }
    clocks.renewed(renewal(1, "a"), ms(11_410)).unwrap();
    assert_eq!(clocks.unreachable(), []);
}

/// One attempt of the owner to renew: how long after the last, the way to the leader, and back;
/// whether it is lost on the way there, or back.
#[derive(Debug, Clone)]
struct Attempt {
    after: u64,
    there: u64,
    back: u64,
    lost: Option<Lost>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lost {
    There,
    Back,
}

fn attempts() -> impl Strategy<Value = Vec<Attempt>> {
    let lost = prop_oneof![
        6 => Just(None),
        1 => Just(Some(Lost::There)),
        1 => Just(Some(Lost::Back)),
    ];
    let way = prop_oneof![3 => 0_u64..20, 1 => 0_u64..1_500];
    let attempt = (0_u64..500, way.clone(), way, lost);
    let attempt = attempt.prop_map(|(after, there, back, lost)| Attempt {
        after,
        there,
        back,
        lost,
    });
    prop::collection::vec(attempt, 1..12)
}

/// Between two looks of the leader: as it should be, a little late, or after standing still.
fn looks() -> impl Strategy<Value = Vec<u64>> {
    let look = prop_oneof![30 => 50_u64..60, 3 => 60_u64..250, 1 => 250_u64..3_000];
    prop::collection::vec(look, 100..160)
}

#[derive(Debug, Clone, Copy)]
enum Happening {
    /// A renewal that was sent then comes in, to be answered then.
    Arrival { sent: u64, answered: Option<u64> },
    /// The answer to what was sent then comes in.
    Answer { sent: u64 },
    /// The leader looks at its clocks.
    Look,
    /// Another node leads from now on.
    Succession,
}

/// What happens when, in order; the number tells apart what happens at once.
type Course = BTreeMap<(u64, usize), Happening>;

fn course(attempts: &[Attempt], looks: &[u64], succession: Option<u64>) -> Course {
    let mut course = Course::new();
    let mut add = |at, happening| {
        let number = course.len();
        course.insert((at, number), happening);
    };
    let (mut sent, mut looked) = (0, 0);
    for attempt in attempts {
        sent += attempt.after;
        let arrives = sent + attempt.there;
        let answered = (attempt.lost != Some(Lost::Back)).then_some(arrives + attempt.back);
        if attempt.lost != Some(Lost::There) {
            add(arrives, Happening::Arrival { sent, answered });
        }
    }
    for look in looks {
        looked += look;
        add(looked, Happening::Look);
    }
    if let Some(at) = succession {
        add(at, Happening::Succession);
    }
    course
}

proptest! {
    /// Whatever is lost or late, whenever the leader looks, stands still or is followed by another,
    /// and although the owner's clock runs up to a tenth slower: by the time that anybody declares
    /// the node down its own lease is over, and what comes later does not bring it back.
    #[test]
    fn the_owners_lease_is_over_before_it_is_declared_down(
        attempts in attempts(),
        looks in looks(),
        succession in prop::option::of(1_u64..4_000),
        owners_pace in 900_u32..=1_100,
    ) {
        let mut course = course(&attempts, &looks, succession);
        let owners = |real: u64| ms(real) * owners_pace / 1_000;
        let mut owner = OwnerLease::new(PATIENCE.lease);
        let mut clocks = Clocks::new(PATIENCE, ms(0));
        clocks.admit(&[member(1, "a")], ms(0));
        let mut declared = None;
        while let Some(((now, number), happening)) = course.pop_first() {
            match happening {
                Happening::Arrival { sent, answered } => {
                    let counted = clocks.renewed(renewal(1, "a"), ms(now)).is_ok();
                    if let Some(answered) = answered.filter(|_| counted) {
                        course.insert((answered, number), Happening::Answer { sent });
                    }
                }
                Happening::Answer { sent } => owner.renewed(owners(sent), owners(now)),
                Happening::Look => {
                    let down = !clocks.tick(ms(now)).is_empty();
                    declared = declared.or(down.then_some(now));
                }
                Happening::Succession => {
                    clocks = Clocks::new(PATIENCE, ms(now));
                    // What an earlier leader has committed the next one knows.
                    let members = declared.map_or(vec![member(1, "a")], |_| Vec::new());
                    clocks.admit(&members, ms(now));
                }
            }
            if let Some(declared) = declared {
                let spell = owner.spell(owners(now));
                prop_assert_eq!(spell, None, "declared at {}, held at {}", declared, now);
            }
        }
    }
}

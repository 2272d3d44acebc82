//! What is to be done next, by fault, roles and seed. PURE.

use super::Fault;
use super::act::{Act, Cast, Net};
use super::place::{Need, Place};
use crate::evidence::Dice;

/// Late packets: ms, more or less.
const LATE: (u64, u64) = (50, 40);
/// Lost ones of a hundred.
const LOST: u8 = 20;
/// A low rate, kbit in a second.
const RATE: u64 = 4_000;
/// How far a clock jumps, s.
const JUMP: i64 = 600;
/// How many sessions are moved in one injection, one after the other.
const MOVES: usize = 20;
/// How long a slow fsync takes, ms: within a lease, and beyond it.
const SLOW: [u64; 2] = [300, 3_000];
/// Where copies are to come late, ms: two of them, for name and bytes, are longer than the time between
/// an end and the power cut, and each is within the patience that a copy has.
const SLOW_COPIES: u64 = 600;

/// How long a process is stopped, ms: about when its sessions have just moved, or well beyond.
fn stopped(dice: &mut Dice) -> u64 {
    1_500 + dice.below(3_000)
}

/// What one injection of a fault does, one thing or two.
pub(super) fn acts(
    fault: Fault,
    turn: usize,
    cast: &Cast,
    place: &Place,
    dice: &mut Dice,
) -> Vec<Act> {
    match fault {
        Fault::Mixed => mixed(cast, place, dice),
        Fault::ClockCut => {
            let node = cast.owner(dice);
            vec![Act::Clock(node, -JUMP), Act::Net(Net::FromNodes(node))]
        }
        Fault::DiskLoss => {
            let lost = cast.owner(dice);
            // Not the leader: with a slow one hardly anything ends before the cut.
            let others = cast.without(&[lost, cast.leader]);
            let at = usize::try_from(dice.below(others.len() as u64)).unwrap_or(0);
            let slow = others.get(at).copied().unwrap_or(cast.leader);
            vec![
                Act::SlowSync(slow, SLOW_COPIES),
                Act::Lose(cast.nodes.clone(), lost),
            ]
        }
        Fault::Pools if turn % 2 == 1 => vec![Act::Kill(vec![cast.leader])],
        Fault::Pools => vec![Act::Kill(vec![cast.owner(dice)])],
        single => vec![act(single, cast, dice)],
    }
}

fn act(fault: Fault, cast: &Cast, dice: &mut Dice) -> Act {
    let follower = |dice: &mut Dice| cast.follower(dice).unwrap_or(cast.leader);
    match fault {
        Fault::OwnerKill | Fault::Pools => Act::Kill(vec![cast.owner(dice)]),
        Fault::LeaderKill => Act::Kill(vec![cast.leader]),
        Fault::FollowerKill | Fault::Mixed => Act::Kill(vec![follower(dice)]),
        Fault::MajorityKill => Act::Kill(cast.majority(dice)),
        Fault::AllKill => Act::Kill(cast.nodes.clone()),
        Fault::OwnerStop => Act::Stop(cast.owner(dice), stopped(dice)),
        Fault::LeaderStop => Act::Stop(cast.leader, stopped(dice)),
        Fault::RollingRestart => Act::Roll(cast.nodes.clone()),
        Fault::BlackHole => Act::Net(Net::Isolated(cast.owner(dice))),
        Fault::LeaderBlackHole => Act::Net(Net::Isolated(cast.leader)),
        Fault::OneWay => {
            let node = cast.any(dice);
            Act::Net(if dice.once_in(2) {
                Net::Deaf(node)
            } else {
                Net::Mute(node)
            })
        }
        Fault::Partial => {
            let one = follower(dice);
            // With the leader, or between two that do not lead.
            let others = cast.without(&[one]);
            let at = usize::try_from(dice.below(others.len() as u64)).unwrap_or(0);
            Act::Net(Net::Apart(one, others.get(at).copied().unwrap_or(one)))
        }
        Fault::RaftCut => Act::Net(Net::FromNodes(cast.any(dice))),
        Fault::SparkCut => Act::Net(Net::FromSpark(cast.owner(dice))),
        Fault::Delay => Act::Net(Net::Late(cast.any(dice), LATE.0, LATE.1)),
        Fault::Loss => Act::Net(Net::Lossy(cast.any(dice), LOST)),
        Fault::LowRate => Act::Net(Net::Slow(cast.any(dice), RATE)),
        Fault::ClockJump | Fault::ClockCut => {
            let seconds = if dice.once_in(2) { JUMP } else { -JUMP };
            Act::Clock(cast.any(dice), seconds)
        }
        Fault::DiskFull => Act::Fill(cast.any(dice)),
        Fault::SlowFsync => {
            let millis = SLOW[usize::from(dice.once_in(2))];
            Act::SlowSync(cast.any(dice), millis)
        }
        Fault::FsyncError => Act::FailSync(cast.any(dice)),
        Fault::PowerCut => Act::PowerCut(vec![cast.any(dice)]),
        Fault::PowerCutAll => Act::PowerCut(cast.nodes.clone()),
        Fault::DiskLoss => Act::Lose(cast.nodes.clone(), cast.owner(dice)),
        Fault::SparkKill => Act::Spark,
        Fault::Membership => Act::Replace(cast.any(dice)),
        Fault::SessionMoves => Act::MoveSessions(MOVES),
    }
}

/// Two things that can be done together, each alone taken back later.
fn mixed(cast: &Cast, place: &Place, dice: &mut Dice) -> Vec<Act> {
    let mut faults = vec![
        Fault::OwnerKill,
        Fault::LeaderKill,
        Fault::OwnerStop,
        Fault::LeaderStop,
        Fault::OneWay,
        Fault::Partial,
        Fault::RaftCut,
    ];
    let more = [
        Fault::BlackHole,
        Fault::LeaderBlackHole,
        Fault::SparkCut,
        Fault::Delay,
        Fault::Loss,
        Fault::SlowFsync,
    ];
    let here = |fault: &Fault| {
        let mut needs = fault.needs().iter();
        needs.all(|need| place.lacks(*need, false).is_none())
    };
    faults.extend(more.into_iter().filter(here));
    dice.shuffle(&mut faults);
    let mut acts: Vec<Act> = Vec::new();
    for fault in faults {
        let next = act(fault, cast, dice);
        let busy: Vec<u64> = acts.iter().flat_map(Act::victims).collect();
        // One thing at a time to one node: what is taken back is all that was done to it.
        if !next.victims().iter().any(|node| busy.contains(node)) {
            acts.push(next);
        }
        if acts.len() == 2 {
            break;
        }
    }
    acts
}

/// Whether a fault can be done at a place, and why not.
pub(super) fn hindrance(fault: Fault, place: &Place, real: bool) -> Option<String> {
    let mut needs = fault.needs().iter().copied();
    needs.find_map(|need: Need| place.lacks(need, real))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cast() -> Cast {
        Cast {
            nodes: vec![1, 2, 3],
            leader: 1,
            owners: vec![2, 3],
        }
    }

    #[test]
    fn the_seed_decides_and_roles_are_kept() {
        let place = Place::Loopback("test".to_owned());
        for fault in Fault::all() {
            let draw = |seed| {
                let mut dice = Dice::new(seed, 5);
                let turns = (0..10).map(|turn| acts(*fault, turn, &cast(), &place, &mut dice));
                turns.collect::<Vec<_>>()
            };
            assert_eq!(draw(3), draw(3), "{fault}");
            for act in draw(4).into_iter().flatten() {
                match fault {
                    Fault::OwnerKill | Fault::OwnerStop => assert_ne!(act.victims(), [1]),
                    Fault::LeaderKill | Fault::LeaderBlackHole => assert_eq!(act.victims(), [1]),
                    Fault::MajorityKill => assert_eq!(act.victims().len(), 2),
                    _ => {}
                }
            }
        }
    }

    #[test]
    fn two_faults_at_a_time_are_of_different_nodes() {
        let place = Place::Loopback("test".to_owned());
        let mut dice = Dice::new(1, 5);
        for turn in 0..50 {
            let drawn = acts(Fault::Mixed, turn, &cast(), &place, &mut dice);
            let victims: Vec<u64> = drawn.iter().flat_map(Act::victims).collect();
            let mut once = victims.clone();
            once.sort_unstable();
            once.dedup();
            assert_eq!(once.len(), victims.len(), "{drawn:?}");
            assert!(!drawn.is_empty());
        }
    }

    #[test]
    fn what_a_place_lacks_is_told() {
        let place = Place::Loopback("not root".to_owned());
        assert_eq!(hindrance(Fault::OwnerKill, &place, true), None);
        let told = hindrance(Fault::BlackHole, &place, false).unwrap();
        assert!(told.contains("not root"), "{told}");
        assert!(hindrance(Fault::SparkKill, &place, true).is_some());
    }
}

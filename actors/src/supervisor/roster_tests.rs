//! Who runs, and in which term.

use proptest::prelude::*;

use super::*;

const PARTS: [Part; 3] = [Part::Sessions, Part::Scheduler, Part::Reaper];

#[test]
fn parts_of_the_leader_start_with_leadership_and_stop_with_it() {
    let mut roster = Roster::new(&PARTS);
    assert_eq!(roster.lead(None), [Step::Start(Part::Sessions, 0)]);
    let started = [
        Step::Start(Part::Scheduler, 3),
        Step::Start(Part::Reaper, 3),
    ];
    assert_eq!(roster.lead(Some(3)), started);
    assert_eq!(roster.lead(Some(3)), []);
    let stopped = [Step::Stop(Part::Scheduler), Step::Stop(Part::Reaper)];
    assert_eq!(roster.lead(None), stopped);
    roster.ended(Part::Scheduler);
    assert_eq!(roster.vacated(Part::Scheduler), None);
}

#[test]
fn the_next_term_waits_until_nothing_of_the_last_is_left() {
    let mut roster = Roster::new(&[Part::Scheduler]);
    assert_eq!(roster.lead(Some(3)), [Step::Start(Part::Scheduler, 3)]);
    assert_eq!(roster.lead(None), [Step::Stop(Part::Scheduler)]);
    assert_eq!(roster.lead(Some(4)), []);
    roster.ended(Part::Scheduler);
    assert_eq!(roster.lead(Some(5)), []);
    let next = Some(Step::Start(Part::Scheduler, 5));
    assert_eq!(roster.vacated(Part::Scheduler), next);
    assert_eq!(roster.vacated(Part::Scheduler), None);
}

/// `None` in between was too short to be seen.
#[test]
fn another_term_is_another_instance() {
    let mut roster = Roster::new(&[Part::Reaper]);
    assert_eq!(roster.lead(Some(3)), [Step::Start(Part::Reaper, 3)]);
    assert_eq!(roster.lead(Some(4)), [Step::Stop(Part::Reaper)]);
    roster.ended(Part::Reaper);
    let next = Some(Step::Start(Part::Reaper, 4));
    assert_eq!(roster.vacated(Part::Reaper), next);
}

#[test]
fn a_crash_is_followed_by_another_of_the_same_term() {
    let mut roster = Roster::new(&[Part::Reaper]);
    assert_eq!(roster.lead(Some(3)), [Step::Start(Part::Reaper, 3)]);
    roster.crashed(Part::Reaper);
    let next = Some(Step::Start(Part::Reaper, 3));
    assert_eq!(roster.vacated(Part::Reaper), next);
}

#[test]
fn what_ends_by_itself_is_not_started_again_in_its_term() {
    let mut roster = Roster::new(&[Part::Reaper, Part::Sessions]);
    assert_eq!(roster.lead(Some(3)).len(), 2);
    for part in [Part::Reaper, Part::Sessions] {
        roster.ended(part);
        assert_eq!(roster.vacated(part), None);
    }
    assert_eq!(roster.lead(Some(3)), []);
    assert_eq!(roster.lead(Some(4)), [Step::Start(Part::Reaper, 4)]);
}

proptest! {
    /// Whatever happens in whatever order: never two of a part, never one of a term that is not
    /// led when it begins, and in the end the right ones run.
    #[test]
    fn one_instance_of_the_term_that_is_led(
        happenings in prop::collection::vec((0_usize..3, 0_u8..5, 0_u64..4), 0..60),
    ) {
        let mut roster = Roster::new(&PARTS);
        // What an outside model knows: running or being stopped in a term; left behind.
        let mut runs: BTreeMap<Part, u64> = BTreeMap::new();
        let mut left: BTreeMap<Part, bool> = BTreeMap::new();
        let (mut led, mut highest) = (None, 0);
        let mut done: BTreeMap<Part, u64> = BTreeMap::new();
        let mut stopping: BTreeMap<Part, bool> = BTreeMap::new();
        let mut steps = roster.lead(None);
        for (which, what, rise) in happenings.into_iter().chain([(0, 0, 1)]) {
            let part = PARTS[which];
            match what {
                0 => {
                    highest += rise;
                    led = (rise != 0).then_some(highest);
                    steps = roster.lead(led);
                }
                1 if runs.contains_key(&part) => {
                    runs.remove(&part);
                    left.insert(part, true);
                    roster.crashed(part);
                }
                2 if runs.contains_key(&part) => {
                    let term = runs.remove(&part).unwrap_or_default();
                    if stopping.remove(&part).is_none() {
                        done.insert(part, term);
                    }
                    left.insert(part, true);
                    roster.ended(part);
                }
                3 if left.remove(&part).is_some() => steps.extend(roster.vacated(part)),
                _ => {}
            }
            for step in steps.drain(..) {
                match step {
                    Step::Start(part, term) => {
                        prop_assert!(!runs.contains_key(&part), "two of {part:?}");
                        prop_assert!(!left.contains_key(&part), "{part:?} is not gone yet");
                        let wanted = if part.leads() { led } else { Some(0) };
                        prop_assert_eq!(wanted, Some(term));
                        prop_assert_ne!(done.get(&part), Some(&term));
                        runs.insert(part, term);
                        stopping.remove(&part);
                    }
                    Step::Stop(part) => {
                        prop_assert!(runs.contains_key(&part));
                        stopping.insert(part, true);
                    }
                }
            }
        }
    }
}

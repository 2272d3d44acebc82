//! Which nodes are to hold the result of a statement that runs.
//!
//! **Invariant:** pure. The owner comes first, nobody comes twice, and after a move the old owner
//! stays among them as long as it works: it alone surely holds all that was written so far. Where it
//! does not work, one that holds a copy stays, if one is there.

/// Where a statement runs, and who could hold its result.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seat<'a> {
    pub(super) job: u64,
    pub(super) owner: u64,
    /// Nodes that are UP, ascending.
    pub(super) up: &'a [u64],
    /// Nodes that still work, ascending: UP or DRAINING.
    pub(super) working: &'a [u64],
    /// How many copies the settings ask for; 0 counts as 1.
    pub(super) wanted: usize,
}

/// The owner, then those of `before`, its owner first, that are UP, then the UP nodes that follow the
/// owner by id, beginning elsewhere with every job so that copies are spread: as many as wanted, or
/// as there are. One more where otherwise the owner of `before` would be left out although it works,
/// or none of the list would hold what was written so far.
pub(super) fn choose(seat: &Seat<'_>, before: &[u64]) -> Vec<u64> {
    let others: Vec<u64> = after(seat.owner, seat.up).collect();
    let skip = usize::try_from(seat.job).unwrap_or(usize::MAX) % others.len().max(1);
    let ring = others.iter().cycle().skip(skip).take(others.len());
    let kept = before.iter().filter(|node| seat.up.contains(node));
    let mut chosen = vec![seat.owner];
    for node in kept.chain(ring) {
        if chosen.len() >= seat.wanted {
            break;
        }
        if !chosen.contains(node) {
            chosen.push(*node);
        }
    }
    let works = |node: &u64| seat.up.contains(node) || seat.working.contains(node);
    match before.first().filter(|first| works(first)) {
        // Another that was to hold a copy may still be catching up.
        Some(first) if !chosen.contains(first) => chosen.push(*first),
        Some(_) => {}
        None if chosen.iter().any(|node| before.contains(node)) => {}
        None => {
            let of = |set: &[u64]| before.iter().copied().find(|node| set.contains(node));
            chosen.extend(of(seat.up).or_else(|| of(seat.working)));
        }
    }
    chosen
}

/// The others in order of their ids, from the one after `owner` on and around.
fn after(owner: u64, nodes: &[u64]) -> impl Iterator<Item = u64> {
    let (above, below) = (
        nodes.iter().filter(move |node| **node > owner),
        nodes.iter().filter(move |node| **node < owner),
    );
    above.chain(below).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn seat<'a>(job: u64, owner: u64, up: &'a [u64], wanted: usize) -> Seat<'a> {
        Seat {
            job,
            owner,
            up,
            working: up,
            wanted,
        }
    }

    #[test]
    fn copies_of_a_new_statement_spread_by_job() {
        let up = [1, 2, 3, 4];
        let first = |job, owner, wanted| choose(&seat(job, owner, &up, wanted), &[]);
        assert_eq!(first(0, 2, 2), [2, 3]);
        assert_eq!(first(1, 2, 2), [2, 4]);
        assert_eq!(first(2, 2, 2), [2, 1]);
        assert_eq!(first(3, 2, 2), [2, 3]);
        assert_eq!(first(1, 2, 3), [2, 4, 1]);
        assert_eq!(first(7, 4, 0), [4], "none wanted is one");
        assert_eq!(first(7, 4, 1), [4]);
        assert_eq!(first(0, 4, 99), [4, 1, 2, 3], "no more than there are");
        assert_eq!(
            choose(&seat(5, 1, &[], 2), &[]),
            [1],
            "a registry without nodes"
        );
        assert_eq!(
            choose(&seat(5, 9, &[1], 2), &[]),
            [9, 1],
            "the owner need not be UP"
        );
    }

    #[test]
    fn who_holds_what_was_written_stays_after_a_move() {
        let up = [1, 2, 3];
        let moved = |to, wanted, before: &[u64]| choose(&seat(0, to, &up, wanted), before);
        assert_eq!(moved(2, 2, &[9, 3]), [2, 3], "the dead owner goes");
        assert_eq!(moved(3, 2, &[9, 3]), [3, 1], "the new owner has a copy");
        assert_eq!(moved(3, 2, &[1, 2]), [3, 1], "the old owner has the most");
        assert_eq!(
            moved(3, 1, &[1]),
            [3, 1],
            "the only copy is kept beside the new one"
        );
        assert_eq!(moved(3, 1, &[9]), [3], "nobody is left that has one");
        let draining = Seat {
            working: &[1, 2, 3, 4],
            ..seat(0, 2, &[2, 3], 2)
        };
        assert_eq!(choose(&draining, &[4]), [2, 3, 4]);
        assert_eq!(
            choose(&draining, &[4, 3]),
            [2, 3, 4],
            "the old owner drains"
        );
        assert_eq!(choose(&draining, &[4, 2]), [2, 3, 4], "to one with a copy");
        assert_eq!(
            choose(&draining, &[9, 4]),
            [2, 3, 4],
            "the old owner is dead"
        );
        assert_eq!(choose(&draining, &[9, 4, 3]), [2, 3], "one is enough then");
        assert_eq!(
            moved(3, 1, &[1, 3]),
            [3, 1],
            "the owner's copy may be short"
        );
    }

    fn nodes() -> impl Strategy<Value = BTreeSet<u64>> {
        proptest::collection::btree_set(1..8_u64, 0..6)
    }

    proptest! {
        #[test]
        fn any_list_is_led_by_the_owner_and_as_long_as_it_can_be(
            (job, owner, wanted) in (0..50_u64, 1..8_u64, 0..5_usize),
            (up, draining, before) in (nodes(), nodes(), proptest::collection::vec(1..8_u64, 0..4)),
        ) {
            let working: Vec<u64> = up.union(&draining).copied().collect();
            let up: Vec<u64> = up.into_iter().collect();
            let seat = Seat { job, owner, up: &up, working: &working, wanted };
            let chosen = choose(&seat, &before);
            prop_assert_eq!(chosen.first(), Some(&owner));
            let distinct: BTreeSet<u64> = chosen.iter().copied().collect();
            prop_assert_eq!(distinct.len(), chosen.len(), "somebody twice in {:?}", chosen);
            prop_assert!(chosen.iter().skip(1).all(|node| working.contains(node)));
            let possible = up.iter().filter(|node| **node != owner).count() + 1;
            let expected = wanted.clamp(1, possible);
            prop_assert!(chosen.len() == expected || chosen.len() == expected + 1);
            let has_copy = |node: &u64| before.contains(node);
            let works = |node: &&u64| working.contains(node);
            let old_owner = before.first().filter(works);
            prop_assert!(old_owner.is_none_or(|node| chosen.contains(node)), "the old owner left out");
            if chosen.len() > expected {
                let listed: Vec<u64> = chosen.iter().copied().take(expected).collect();
                let needed = match old_owner {
                    Some(node) => !listed.contains(node),
                    None => !listed.iter().any(has_copy),
                };
                prop_assert!(needed, "one more without need");
            }
            let alive = before.iter().any(|node| working.contains(node) || *node == owner);
            prop_assert_eq!(chosen.iter().any(has_copy), alive);
        }

        #[test]
        fn copies_of_many_statements_are_even(owner in 1..6_u64, wanted in 1..5_usize) {
            let up = [1, 2, 3, 4, 5];
            let mut copies = std::collections::BTreeMap::new();
            for job in 0..40 {
                for node in choose(&seat(job, owner, &up, wanted), &[]).into_iter().skip(1) {
                    *copies.entry(node).or_insert(0) += 1;
                }
            }
            for n in copies.values() {
                prop_assert_eq!(*n, 10 * (wanted - 1));
            }
        }
    }
}

//! Which node a session goes to.
//!
//! **Invariant:** pure, and the only place where an owner is chosen: equal loads give equal choices
//! on every node.

use std::collections::BTreeMap;

/// How many sessions each node has that may take one: the nodes that are UP.
pub(super) type Load = BTreeMap<u64, usize>;

/// The node with the fewest sessions, ties by the lowest id. Of nodes that are `barred` only where
/// all are: a session must live somewhere. `None` when there is no node to choose.
pub(super) fn place(load: &Load, barred: impl Fn(u64) -> bool) -> Option<u64> {
    let order = |(node, sessions): &(&u64, &usize)| (barred(**node), **sessions, **node);
    load.iter().min_by_key(order).map(|(node, _)| *node)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn load(of: &[(u64, usize)]) -> Load {
        of.iter().copied().collect()
    }

    #[test]
    fn the_emptiest_node_takes_it_and_ties_go_by_id() {
        type Case<'a> = (&'a [(u64, usize)], &'a [u64], Option<u64>);
        let cases: [Case; 8] = [
            (&[], &[], None),
            (&[(1, 9)], &[], Some(1)),
            (&[(1, 2), (2, 1), (3, 2)], &[], Some(2)),
            (&[(1, 2), (2, 1), (3, 1)], &[], Some(2)),
            (&[(7, 0), (5, 0), (6, 0)], &[], Some(5)),
            (&[(1, 0), (2, 5), (3, 4)], &[1], Some(3)),
            // All are barred: as if none were.
            (&[(1, 1), (2, 0)], &[1, 2], Some(2)),
            (&[(1, 1)], &[1, 9], Some(1)),
        ];
        for (of, barred, expected) in cases {
            let placed = place(&load(of), |node| barred.contains(&node));
            assert_eq!(placed, expected, "{of:?} without {barred:?}");
        }
    }

    proptest! {
        #[test]
        fn sessions_spread_evenly_whatever_was_there(
            before in proptest::collection::btree_map(1..9_u64, 0..20_usize, 1..6),
            sessions in 1..60_usize,
        ) {
            let mut after = before.clone();
            for _ in 0..sessions {
                let node = place(&after, |_| false).unwrap();
                prop_assert_eq!(Some(node), place(&after.clone(), |_| false));
                *after.get_mut(&node).unwrap() += 1;
            }
            let fewest = *after.values().min().unwrap();
            for (node, n) in &after {
                // Whoever was given one is within one of the emptiest.
                prop_assert!(*n <= fewest + 1 || before[node] == *n, "{before:?} -> {after:?}");
            }
            prop_assert_eq!(after.values().sum::<usize>(), before.values().sum::<usize>() + sessions);
        }

        #[test]
        fn barred_nodes_get_none_while_another_is_there(
            of in proptest::collection::btree_map(1..9_u64, 0..20_usize, 2..6),
            open in 0..5_usize,
        ) {
            let open = *of.keys().nth(open % of.len()).unwrap();
            prop_assert_eq!(place(&of, |node| node != open), Some(open));
        }
    }
}

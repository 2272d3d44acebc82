//! Between pools.

use libra_proto::types::JobId;
use proptest::prelude::*;

use crate::fair::allocate::{grants, shares};
use crate::fair::model::{Candidate, Contender, Order, Terms};

fn terms(weight: u32, min_share: u32) -> Terms {
    Terms {
        weight,
        min_share,
        max_running: None,
    }
}

/// A pool whose statements wait in order of acceptance.
fn pool(terms: Terms, running: u32, jobs: impl IntoIterator<Item = u64>) -> Contender {
    let candidate = |job| Candidate {
        job: JobId(job),
        oldest: JobId(job),
    };
    Contender {
        terms,
        running,
        candidates: jobs.into_iter().map(candidate).collect(),
    }
}

/// Pools that never run dry; the job's id divided by 1000 is the pool.
fn busy(pools: &[(Terms, u32)]) -> Vec<Contender> {
    let jobs = |n: u64| (0..100).map(move |k| n * 1000 + k);
    let pools = pools.iter().zip(0_u64..);
    pools
        .map(|((terms, running), n)| pool(*terms, *running, jobs(n)))
        .collect()
}

fn pools_of(granted: &[JobId]) -> Vec<u64> {
    granted.iter().map(|job| job.0 / 1000).collect()
}

/// What each has after the grants.
fn after(pools: &[(Terms, u32)], granted: &[JobId]) -> Vec<u32> {
    let got = |n: u64| pools_of(granted).into_iter().filter(|p| *p == n).count();
    let pools = pools.iter().zip(0_u64..);
    pools
        .map(|((_, running), n)| running + u32::try_from(got(n)).unwrap())
        .collect()
}

#[test]
fn the_guides_example() {
    // 10 slots; low-priority (weight 1, minShare 1), interactive (2, 2), high-priority (3, 4).
    // In the order of their names, which breaks ties.
    let (high, interactive, low) = (terms(3, 4), terms(2, 2), terms(1, 1));
    let all_busy = [(high, 0), (interactive, 0), (low, 0)];
    let granted = grants(Order::Fair, 10, &busy(&all_busy));
    assert_eq!(after(&all_busy, &granted), [5, 3, 2]);
    assert_eq!(shares(10, &[high, interactive, low]), [5, 3, 2]);
    // Whoever ends one gets the next: the split stays.
    for ended in 0..3 {
        let mut pools = [(high, 5), (interactive, 3), (low, 2)];
        pools[ended].1 -= 1;
        let granted = grants(Order::Fair, 1, &busy(&pools));
        assert_eq!(pools_of(&granted), [ended as u64]);
    }
}

#[test]
fn sparks_comparator_by_table() {
    type Case = (&'static str, [(Terms, u32); 2], u64);
    let cases: [Case; 8] = [
        (
            "needy before not needy",
            [(terms(9, 0), 0), (terms(1, 1), 0)],
            1,
        ),
        (
            "needy before lighter",
            [(terms(100, 2), 2), (terms(1, 3), 2)],
            1,
        ),
        (
            "both needy: less of its minShare",
            [(terms(1, 4), 1), (terms(1, 8), 1)],
            1,
        ),
        (
            "both needy: weight is no matter",
            [(terms(9, 2), 1), (terms(1, 4), 1)],
            1,
        ),
        (
            "none needy: less for its weight",
            [(terms(1, 0), 1), (terms(3, 0), 2)],
            1,
        ),
        (
            "none needy: minShare is no matter",
            [(terms(1, 1), 2), (terms(1, 0), 1)],
            1,
        ),
        (
            "equal ratios: by name",
            [(terms(2, 0), 2), (terms(1, 0), 1)],
            0,
        ),
        (
            "nothing runs: by name",
            [(terms(1, 0), 0), (terms(5, 0), 0)],
            0,
        ),
    ];
    for (what, pools, first) in cases {
        let granted = grants(Order::Fair, 1, &busy(&pools));
        assert_eq!(pools_of(&granted), [first], "{what}");
    }
}

#[test]
fn ratios_do_not_overflow() {
    let most = terms(u32::MAX, u32::MAX);
    let pools = [(most, u32::MAX - 1), (most, u32::MAX - 2)];
    assert_eq!(pools_of(&grants(Order::Fair, 1, &busy(&pools))), [1]);
}

#[test]
fn fifo_goes_by_acceptance_whatever_the_weights() {
    let pools = [
        pool(terms(1, 0), 0, [2, 5]),
        pool(terms(100, 10), 0, [1, 3, 4]),
    ];
    let granted = grants(Order::Fifo, 4, &pools);
    assert_eq!(granted, [1, 2, 3, 4].map(JobId));
}

#[test]
fn fifo_between_pools_counts_the_oldest_that_waits_in_each() {
    let out_of_order = Contender {
        candidates: vec![Candidate {
            job: JobId(9),
            oldest: JobId(1),
        }],
        ..pool(terms(1, 0), 0, [])
    };
    let granted = grants(Order::Fifo, 2, &[pool(terms(1, 0), 0, [2]), out_of_order]);
    assert_eq!(granted, [9, 2].map(JobId));
}

#[test]
fn a_pool_at_its_limit_is_passed_over() {
    let limited = Terms {
        max_running: Some(2),
        ..terms(9, 9)
    };
    for order in [Order::Fair, Order::Fifo] {
        let pools = [pool(limited, 1, [1, 2, 3]), pool(terms(1, 0), 0, [9])];
        let granted = grants(order, 8, &pools);
        assert_eq!(granted, [1, 9].map(JobId), "{order:?}");
    }
}

fn any_terms() -> impl Strategy<Value = Terms> {
    let most = prop_oneof![3 => Just(None), 1 => (1_u32..6).prop_map(Some)];
    (1_u32..8, 0_u32..6, most).prop_map(|(weight, min_share, max_running)| Terms {
        weight,
        min_share,
        max_running,
    })
}

/// Pools with what runs and how many wait.
fn any_pools() -> impl Strategy<Value = Vec<Contender>> {
    let pool_of = |(terms, running, waiting): (Terms, u32, u64)| pool(terms, running, 0..waiting);
    let pools = prop::collection::vec((any_terms(), 0_u32..6, 0_u64..8).prop_map(pool_of), 1..6);
    pools.prop_map(|mut pools| {
        for (n, pool) in pools.iter_mut().enumerate() {
            for candidate in &mut pool.candidates {
                // Ids of their own, interleaved between pools.
                candidate.job = JobId(candidate.job.0 * 10 + n as u64);
                candidate.oldest = candidate.job;
            }
        }
        pools
    })
}

fn startable(pool: &Contender) -> usize {
    let room = pool.terms.room(pool.running) as usize;
    room.min(pool.candidates.len())
}

/// How many of its candidates each pool was granted.
fn given(pools: &[Contender], granted: &[JobId]) -> Vec<usize> {
    let got = |pool: &Contender| {
        let own = pool.candidates.iter().map(|c| c.job);
        own.filter(|job| granted.contains(job)).count()
    };
    pools.iter().map(got).collect()
}

fn any_order() -> impl Strategy<Value = Order> {
    prop_oneof![Just(Order::Fair), Just(Order::Fifo)]
}

proptest! {
    #[test]
    fn work_conserving_and_within_every_limit(
        order in any_order(), free in 0_u32..24, pools in any_pools(),
    ) {
        let granted = grants(order, free, &pools);
        let most: usize = pools.iter().map(startable).sum();
        prop_assert_eq!(granted.len(), most.min(free as usize));
        for (pool, got) in pools.iter().zip(given(&pools, &granted)) {
            prop_assert!(got <= startable(pool));
        }
    }

    #[test]
    fn a_pool_starts_its_own_in_its_own_order(
        order in any_order(), free in 0_u32..24, pools in any_pools(),
    ) {
        let granted = grants(order, free, &pools);
        for (pool, got) in pools.iter().zip(given(&pools, &granted)) {
            let own: Vec<JobId> = pool.candidates.iter().map(|c| c.job).collect();
            let started: Vec<JobId> =
                granted.iter().copied().filter(|job| own.contains(job)).collect();
            prop_assert_eq!(&own[..got], &started[..]);
        }
    }

    #[test]
    fn a_total_order_gives_one_answer(free in 0_u32..24, pools in any_pools()) {
        // Slot by slot or all at once is the same.
        let at_once = grants(Order::Fair, free, &pools);
        let mut pools = pools;
        let mut one_by_one = Vec::new();
        for _ in 0..free {
            let Some(job) = grants(Order::Fair, 1, &pools).first().copied() else { break };
            let n = (job.0 % 10) as usize;
            pools[n].running += 1;
            pools[n].candidates.remove(0);
            one_by_one.push(job);
        }
        prop_assert_eq!(at_once, one_by_one);
    }

    #[test]
    fn min_shares_are_met_while_those_with_demand_fit(
        slots in 1_u32..24, pools in prop::collection::vec(any_terms(), 1..6),
    ) {
        let owed = |t: &Terms| t.min_share.min(t.room(0));
        let fits = pools.iter().map(owed).sum::<u32>() <= slots;
        for (terms, got) in pools.iter().zip(shares(slots, &pools)) {
            prop_assert!(!fits || got >= owed(terms), "{terms:?} got {got}");
        }
    }

    #[test]
    fn beyond_the_slots_min_shares_shrink_alike(
        slots in 1_u32..12, min in prop::collection::vec(1_u32..9, 2..6),
    ) {
        prop_assume!(min.iter().sum::<u32>() >= slots);
        let pools: Vec<Terms> = min.iter().map(|min| terms(1, *min)).collect();
        let got = shares(slots, &pools);
        // Nobody is more than one slot ahead of anybody, measured by running/minShare.
        for (a, min_a) in got.iter().zip(&min) {
            for (b, min_b) in got.iter().zip(&min) {
                prop_assert!(a.saturating_sub(1) * min_b <= b * min_a, "{got:?} of {min:?}");
            }
        }
    }

    #[test]
    fn the_split_by_weight_is_right_within_one_slot(
        slots in 1_u32..40, weights in prop::collection::vec(1_u32..8, 2..6),
    ) {
        let pools: Vec<Terms> = weights.iter().map(|weight| terms(*weight, 0)).collect();
        let got = shares(slots, &pools);
        // Taking one slot away from anybody makes it the one who is owed most, or an equal.
        for (a, weight_a) in got.iter().zip(&weights) {
            for (b, weight_b) in got.iter().zip(&weights) {
                prop_assert!(a.saturating_sub(1) * weight_b <= b * weight_a, "{got:?} of {weights:?}");
            }
        }
    }

    #[test]
    fn nobody_below_the_share_starves(
        slots in 1_u32..16,
        pools in prop::collection::vec(any_terms(), 2..6),
        ends in prop::collection::vec(0_usize..1000, 300),
    ) {
        // Statements end one by one in any order; from then on that every slot has changed hands,
        // every pool has its share within one.
        let ideal = shares(slots, &pools);
        let mut running = vec![0_u32; pools.len()];
        running[0] = slots.min(pools[0].room(0));
        for end in ends {
            let held: Vec<usize> = (0..pools.len())
                .flat_map(|n| std::iter::repeat_n(n, running[n] as usize))
                .collect();
            if !held.is_empty() {
                running[held[end % held.len()]] -= 1;
            }
            let now: Vec<_> = pools.iter().copied().zip(running.iter().copied()).collect();
            let free = slots - running.iter().sum::<u32>();
            running = after(&now, &grants(Order::Fair, free, &busy(&now)));
        }
        for (n, (has, share)) in running.iter().zip(&ideal).enumerate() {
            prop_assert!(has.abs_diff(*share) <= 1, "pool {n}: {running:?}, share {ideal:?}");
        }
    }
}

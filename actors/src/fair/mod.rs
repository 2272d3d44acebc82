//! Who gets the next free slot.
//!
//! PURE: no runtime, no clock; demand in, ordered grants out.
//!
//! **Invariant:** work conserving: as long as a slot is free and some pool may start a statement,
//! one is granted.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use libra_proto::types::{EndpointDemand, JobId, PoolDemand};

/// Grants the free slots of one endpoint in order of acceptance, whatever the pool; a pool at its
/// `max_running` is passed over.
#[must_use]
pub fn grants(demand: &EndpointDemand) -> Vec<JobId> {
    let mut free = demand.slots.saturating_sub(demand.taken);
    let mut room: Vec<u32> = demand.pools.iter().map(room_of).collect();
    let mut next = vec![0_usize; demand.pools.len()];
    let mut heads: BinaryHeap<Reverse<(JobId, usize)>> = BinaryHeap::new();
    for (pool, waiting) in demand.pools.iter().enumerate() {
        heads.extend(waiting.head.first().map(|job| Reverse((*job, pool))));
    }
    let mut granted = Vec::new();
    while free > 0
        && let Some(Reverse((job, pool))) = heads.pop()
    {
        if room[pool] == 0 {
            continue;
        }
        granted.push(job);
        free -= 1;
        room[pool] -= 1;
        next[pool] += 1;
        let following = demand.pools[pool].head.get(next[pool]);
        heads.extend(following.map(|job| Reverse((*job, pool))));
    }
    granted
}

fn room_of(pool: &PoolDemand) -> u32 {
    pool.max_running
        .map_or(u32::MAX, |most| most.saturating_sub(pool.running))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pool(name: &str, running: u32, max_running: Option<u32>, head: &[u64]) -> PoolDemand {
        PoolDemand {
            name: name.to_owned(),
            weight: 1,
            min_share: 0,
            max_running,
            running,
            head: head.iter().map(|job| JobId(*job)).collect(),
        }
    }

    fn demand(slots: u32, taken: u32, pools: Vec<PoolDemand>) -> EndpointDemand {
        EndpointDemand {
            endpoint: "sc://h:1".to_owned(),
            slots,
            taken,
            pools,
        }
    }

    #[test]
    fn the_oldest_go_first_across_pools() {
        let pools = vec![pool("a", 0, None, &[2, 5]), pool("b", 0, None, &[1, 3, 4])];
        assert_eq!(grants(&demand(4, 0, pools)), [1, 2, 3, 4].map(JobId));
    }

    #[test]
    fn a_pool_at_its_limit_is_passed_over() {
        let pools = vec![pool("a", 1, Some(2), &[1, 2, 3]), pool("b", 0, None, &[9])];
        assert_eq!(grants(&demand(8, 1, pools)), [1, 9].map(JobId));
    }

    proptest! {
        #[test]
        fn conserving_and_bounded(
            slots in 0_u32..20,
            taken in 0_u32..20,
            waiting in prop::collection::vec((0_usize..6, prop::option::of(0_u32..4)), 0..5),
        ) {
            let pools: Vec<_> = waiting
                .iter()
                .enumerate()
                .map(|(n, (count, most))| {
                    let head: Vec<u64> = (0..*count as u64).map(|k| k * 10 + n as u64).collect();
                    pool(&n.to_string(), 0, *most, &head)
                })
                .collect();
            let startable: usize = pools
                .iter()
                .map(|p| p.head.len().min(p.max_running.map_or(usize::MAX, |m| m as usize)))
                .sum();
            let granted = grants(&demand(slots, taken, pools));
            prop_assert_eq!(granted.len(), startable.min(slots.saturating_sub(taken) as usize));
        }
    }
}

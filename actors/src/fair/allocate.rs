//! Free slots and what the pools offer in, ordered grants out.

use std::cmp::Ordering;

use libra_proto::types::JobId;

use super::model::{Contender, Order, Terms, fair};

/// Grants up to `free` slots, in order; pools are sorted anew for every slot. `contenders` stand
/// in the order of their names, which breaks ties.
#[must_use]
pub fn grants(order: Order, free: u32, contenders: &[Contender]) -> Vec<JobId> {
    let mut given = vec![0_u32; contenders.len()];
    let mut granted = Vec::new();
    for _ in 0..free {
        let open = (0..contenders.len()).filter(|n| next(&contenders[*n], given[*n]).is_some());
        let first = open.min_by(|a, b| {
            let claim = |n: usize| Claim::of(&contenders[n], given[n]);
            claim(*a).before(order, &claim(*b))
        });
        let Some((pool, job)) = first.and_then(|n| Some((n, next(&contenders[n], given[n])?)))
        else {
            break;
        };
        granted.push(job);
        given[pool] += 1;
    }
    granted
}

/// How many of `slots` each pool has when all of them always have something waiting. The pools
/// stand in the order of their names.
#[must_use]
pub fn shares(slots: u32, pools: &[Terms]) -> Vec<u32> {
    let mut running = vec![0_u32; pools.len()];
    for _ in 0..slots {
        let open = (0..pools.len()).filter(|n| pools[*n].room(running[*n]) > 0);
        let first = open.min_by(|a, b| fair((&pools[*a], running[*a]), (&pools[*b], running[*b])));
        let Some(pool) = first else { break };
        running[pool] += 1;
    }
    running
}

/// What the pool would start after `given` grants, unless its limit is met.
fn next(contender: &Contender, given: u32) -> Option<JobId> {
    let running = contender.running.saturating_add(given);
    let candidate = contender.candidates.get(given as usize)?;
    (contender.terms.room(running) > 0).then_some(candidate.job)
}

/// A pool's claim to the next slot.
struct Claim<'a> {
    terms: &'a Terms,
    running: u32,
    oldest: Option<JobId>,
}

impl<'a> Claim<'a> {
    fn of(contender: &'a Contender, given: u32) -> Self {
        let candidate = contender.candidates.get(given as usize);
        Self {
            terms: &contender.terms,
            running: contender.running.saturating_add(given),
            oldest: candidate.map(|candidate| candidate.oldest),
        }
    }

    fn before(&self, order: Order, other: &Self) -> Ordering {
        match order {
            Order::Fair => fair((self.terms, self.running), (other.terms, other.running)),
            Order::Fifo => self.oldest.cmp(&other.oldest),
        }
    }
}

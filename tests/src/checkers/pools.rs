//! Pools get their share, within one slot, counted from what Spark ran.
//!
//! Of each pool under watch more waits than can run, all the time. While most slots are taken, what
//! it has running, averaged over time, is to be its share of what all of them have.

use std::collections::{BTreeMap, BTreeSet};

use super::{Check, Class, Finding, Violation};
use crate::evidence::Evidence;

/// Less of it says nothing: statement-milliseconds.
const LEAST: u64 = 10_000;

pub(super) fn check(evidence: &Evidence) -> Finding {
    let got = got(evidence);
    let all: u64 = got.values().sum();
    let slots = evidence.slots as u64;
    let mut violations = Vec::new();
    for share in &evidence.shares {
        let of_it = got.get(share.pool.as_str()).copied().unwrap_or(0);
        // Within one slot: |of_it / all * slots - share| <= 1.
        let (is, wanted) = (of_it * slots, share.slots * all);
        if is.abs_diff(wanted) > all {
            let (hundredths, pool, wanted) = (is * 100 / all, &share.pool, share.slots);
            let text = format!(
                "pool {pool} had {}.{:02} of {slots} slots, {wanted} are its share",
                hundredths / 100,
                hundredths % 100
            );
            violations.push(Violation::new(Class::Share, None, text));
        }
    }
    Finding::of(Check::Pools, violations).unless(
        all < LEAST,
        format!("pools were busy for {all} statement-milliseconds only"),
    )
}

/// How many statement-milliseconds each pool under watch had, while most slots were taken.
fn got(evidence: &Evidence) -> BTreeMap<&str, u64> {
    let watched: BTreeSet<&str> = evidence.shares.iter().map(|s| s.pool.as_str()).collect();
    let mut pools: BTreeMap<u64, &str> = BTreeMap::new();
    for submit in &evidence.history.submits {
        if let Some(pool) = submit.work.pool.as_deref().filter(|p| watched.contains(p)) {
            pools.insert(submit.work.marker.number(), pool);
        }
    }
    let markers = pools.keys().copied().collect();
    let executions = &evidence.executions;
    let pool_of = |which: usize| {
        let execution = executions.0.get(which)?;
        let marker = execution.markers(&markers).first().copied()?;
        pools.get(&marker).copied()
    };
    let mut got: BTreeMap<&str, u64> = BTreeMap::new();
    let mut running: BTreeMap<&str, u64> = BTreeMap::new();
    let (mut taken, mut before) = (0_usize, 0);
    for step in executions.steps() {
        if taken * 2 > evidence.slots {
            for (pool, n) in &running {
                *got.entry(pool).or_default() += n * (step.at - before);
            }
        }
        before = step.at;
        taken = if step.begins {
            taken + 1
        } else {
            taken.saturating_sub(1)
        };
        if let Some(pool) = pool_of(step.which) {
            let n = running.entry(pool).or_default();
            *n = if step.begins {
                *n + 1
            } else {
                n.saturating_sub(1)
            };
        }
    }
    got
}

//! Four backlogged pools on 12 slots get their shares within one slot, also after a restart of the
//! scheduler and after a change of weight. Time is the runtime's own, so a second takes none.

use std::sync::Arc;
use std::time::Duration;

use libra_proto::registry::PoolRecord;
use libra_tests::sandbox::{MemoryRegistry, PretendSpark, pool, put_pool, submit};

use crate::dice::Dice;
use crate::{ENDPOINT, registry, scheduler};

const SLOTS: u32 = 12;
const LENGTH: Duration = Duration::from_secs(1);
const SAMPLE: Duration = Duration::from_millis(50);
const NAMES: [&str; 4] = ["alpha", "beta", "gamma", "omega"];

#[tokio::test(start_paused = true)]
async fn shares_hold_for_twenty_random_sets_of_pools() {
    let mut dice = Dice(4);
    let mut proportional = 0;
    for set in 0..20 {
        let mut pools = NAMES.map(|name| pool(name, dice.from(1, 5), dice.from(0, 4)));
        let registry = registry(SLOTS, &pools);
        for (n, pool) in std::iter::repeat_n(pools.clone(), 500)
            .flatten()
            .enumerate()
        {
            registry.apply(submit("s", &format!("user-{}", n % 3), &pool.name));
        }
        let _spark = PretendSpark::start(&registry, LENGTH);
        let drill = scheduler(&registry).await;
        proportional += check(&registry, &pools, &format!("set {set}")).await;

        drill.stop(Duration::from_secs(5)).await;
        let _drill = scheduler(&registry).await;
        proportional += check(&registry, &pools, &format!("set {set} after a restart")).await;

        pools[3].weight += dice.from(1, 4);
        registry.apply(put_pool(pools[3].clone()));
        proportional += check(&registry, &pools, &format!("set {set} after PUT")).await;
    }
    // Spark gives every pool a slot before any gets its next, which for some sets is more than one
    // off what the weights say.
    assert!(proportional >= 54, "{proportional} of 60 are proportional");
}

/// Lets one length pass, samples ten lengths, compares; 1 if the pure proportion was kept too.
async fn check(registry: &Arc<MemoryRegistry>, pools: &[PoolRecord; 4], what: &str) -> u32 {
    tokio::time::sleep(LENGTH + SAMPLE / 2).await;
    let samples = 10 * u32::try_from(LENGTH.as_millis() / SAMPLE.as_millis()).unwrap();
    let mut sums = [0_u32; 4];
    for _ in 0..samples {
        let demand = registry.view(|registry| registry.demand(ENDPOINT));
        for (sum, name) in sums.iter_mut().zip(NAMES) {
            let found = demand.pools.iter().find(|pool| pool.name == name).unwrap();
            assert!(found.eligible > 0, "{what}: {name} ran dry");
            *sum += found.running;
        }
        tokio::time::sleep(SAMPLE).await;
    }
    let average = sums.map(|sum| f64::from(sum) / f64::from(samples));
    let off = |share: [f64; 4]| {
        let off = average.iter().zip(share).map(|(a, b)| (a - b).abs());
        off.fold(0.0, f64::max)
    };
    let spark = sparks_split(pools);
    assert!(
        off(spark) <= 1.0,
        "{what}: {average:?}, {spark:?} of {pools:?}"
    );
    u32::from(off(proportion(pools)) <= 1.0)
}

/// What each pool has when slot after slot goes where Spark's comparator says, in its floats.
fn sparks_split(pools: &[PoolRecord; 4]) -> [f64; 4] {
    let mut running = [0.0_f64; 4];
    for _ in 0..SLOTS {
        let key = |n: usize| {
            let (weight, min_share) = (f64::from(pools[n].weight), f64::from(pools[n].min_share));
            let needy = running[n] < min_share;
            let ratio = running[n] / if needy { min_share.max(1.0) } else { weight };
            (!needy, ratio)
        };
        let first = (0..4).min_by(|a, b| key(*a).partial_cmp(&key(*b)).unwrap());
        running[first.unwrap()] += 1.0;
    }
    running
}

/// What each pool is owed if slots could be split: its minShare, and more by weight.
fn proportion(pools: &[PoolRecord; 4]) -> [f64; 4] {
    let min: [f64; 4] = std::array::from_fn(|n| f64::from(pools[n].min_share));
    let (total, slots) = (min.iter().sum::<f64>(), f64::from(SLOTS));
    if total >= slots {
        return min.map(|min| min * slots / total);
    }
    let at = |level: f64| std::array::from_fn(|n| min[n].max(level * f64::from(pools[n].weight)));
    let (mut low, mut high) = (0.0, slots);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        let shares: [f64; 4] = at(middle);
        if shares.iter().sum::<f64>() > slots {
            high = middle;
        } else {
            low = middle;
        }
    }
    at(low)
}

//! Shares through the whole stack: real coordinators, backlogged over REST, before stubs whose
//! statements all take equally long. Also after a kill of the coordinator, and after a change of
//! weight while statements run.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use libra_actors::fair::allocate::shares;
use libra_actors::fair::model::Terms;
use libra_tests::harness::{Libra, Submit};
use libra_tests::stub::engine::Settings;
use libra_tests::stub::server::StubSpark;
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use crate::dice::Dice;

const SETS: u32 = 20;
/// Coordinators that try sets beside each other, each on a stub of its own.
const LANES: u32 = 5;
const SLOTS: u32 = 12;
/// In the order in which `fair` breaks ties.
const NAMES: [&str; 4] = ["alpha", "beta", "gamma", "omega"];
const LENGTH: Duration = Duration::from_secs(1);
const SAMPLE: Duration = Duration::from_millis(50);
/// Lengths that are sampled, after one that is not.
const SAMPLED: u32 = 2;
/// As many as wait at least: what is submitted at once when there are fewer.
const BACKLOG: u64 = 12;

/// Another seed is another twenty sets.
fn seed() -> Result<u64> {
    match std::env::var("LIBRA_TEST_SEED") {
        Ok(seed) => Ok(seed.parse()?),
        Err(_) => Ok(5),
    }
}

#[derive(Debug, Clone)]
struct Pool {
    name: &'static str,
    terms: Terms,
}

#[derive(Debug, Deserialize)]
struct Load {
    name: String,
    queued: u64,
    running: u32,
}

#[derive(Debug, Deserialize)]
struct Loads {
    pools: Vec<Load>,
}

/// A coordinator whose pools never run dry, before a stub.
struct Stack {
    libra: Libra,
    _spark: StubSpark,
}

impl Stack {
    async fn start(slots: u32) -> Result<Self> {
        let spark = StubSpark::start(Settings::default()).await?;
        let libra = Libra::on(&spark.connection_string())
            .set("libra.scheduler.slots", slots)
            .start()
            .await?;
        Ok(Self {
            libra,
            _spark: spark,
        })
    }

    async fn put(&self, pool: &Pool) -> Result<()> {
        let body = json!({"weight": pool.terms.weight, "minShare": pool.terms.min_share,
            "schedulingMode": "FAIR"});
        let request = self
            .libra
            .api
            .request(Method::PUT, &format!("pools/{}", pool.name));
        let reply = self.libra.api.send(request.json(&body)).await?;
        reply.expect(&[200, 201]).map(drop)
    }

    /// Looks at the pools, and submits more where little waits.
    async fn look(&self, pools: &[Pool]) -> Result<Vec<Load>> {
        let loads: Loads = self.libra.api.get("pools").await?.json(&[200])?;
        let load = |pool: &Pool| loads.pools.iter().position(|load| load.name == pool.name);
        let at: Option<Vec<usize>> = pools.iter().map(load).collect();
        let at = at.context("a pool is missing")?;
        let code = format!("/* stub: delay_ms={} */ SELECT 1", LENGTH.as_millis());
        let short = at.iter().filter(|n| loads.pools[**n].queued < BACKLOG);
        let submits = short
            .flat_map(|n| {
                std::iter::repeat_n(&loads.pools[*n].name, usize::try_from(BACKLOG).unwrap())
            })
            .map(|pool| Submit::sql(code.as_str()).pool(pool));
        let submits: Vec<Submit> = submits.collect();
        try_join_all(
            submits
                .iter()
                .map(|submit| self.libra.api.submit("default", submit)),
        )
        .await?;
        let mut loads: Vec<Option<Load>> = loads.pools.into_iter().map(Some).collect();
        Ok(at.into_iter().filter_map(|n| loads[n].take()).collect())
    }

    /// What runs in each pool on average, from one length after now.
    async fn averages(&self, pools: &[Pool]) -> Result<Vec<f64>> {
        let per_length = u32::try_from(LENGTH.as_millis() / SAMPLE.as_millis())?;
        let mut clock = interval(SAMPLE);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sums = vec![0; pools.len()];
        for tick in 0..per_length * (1 + SAMPLED) {
            clock.tick().await;
            let loads = self.look(pools).await?;
            if tick < per_length {
                continue;
            }
            for (sum, load) in sums.iter_mut().zip(&loads) {
                ensure!(load.queued > 0, "{} ran dry", load.name);
                *sum += load.running;
            }
        }
        let samples = f64::from(per_length * SAMPLED);
        Ok(sums.iter().map(|sum| f64::from(*sum) / samples).collect())
    }

    /// Every pool has its share within one slot.
    #[expect(clippy::print_stdout, reason = "shown when the test fails")]
    async fn check(&self, slots: u32, pools: &[Pool], what: &str) -> Result<()> {
        let terms: Vec<Terms> = pools.iter().map(|pool| pool.terms).collect();
        let shares = shares(slots, &terms);
        let averages = self.averages(pools).await?;
        println!("{what}: shares {shares:?}, on average {averages:.2?}");
        let mut pairs = averages.iter().zip(&shares);
        let kept = pairs.all(|(average, share)| (average - f64::from(*share)).abs() <= 1.0);
        ensure!(
            kept,
            "{what}: {averages:?} instead of {shares:?} of {pools:?}"
        );
        Ok(())
    }
}

fn terms(weight: u32, min_share: u32) -> Terms {
    Terms {
        weight,
        min_share,
        max_running: None,
    }
}

/// A set of pools, and what the weight of its last is changed to later.
fn draw(dice: &mut Dice) -> (Vec<Pool>, u32) {
    let pools = NAMES.map(|name| Pool {
        name,
        terms: terms(dice.from(1, 9), dice.from(0, 4)),
    });
    let weight = pools[3].terms.weight + dice.from(1, 4);
    (pools.to_vec(), weight)
}

/// Tries sets one after the other on one coordinator.
async fn lane(seed: u64, sets: Vec<(u32, (Vec<Pool>, u32))>) -> Result<()> {
    let mut stack = Stack::start(SLOTS).await?;
    for (set, (mut pools, weight)) in sets {
        let what = format!("seed {seed}, set {set}");
        for pool in &pools {
            stack.put(pool).await?;
        }
        stack.check(SLOTS, &pools, &what).await?;

        stack.libra.kill()?;
        stack.libra.start().await?;
        let after = format!("{what}, after a restart");
        stack.check(SLOTS, &pools, &after).await?;

        pools[3].terms.weight = weight;
        stack.put(&pools[3]).await?;
        let after = format!("{what}, after PUT");
        stack.check(SLOTS, &pools, &after).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stack_shares_hold_for_twenty_random_sets_of_pools() -> Result<()> {
    let seed = seed()?;
    let mut dice = Dice(seed);
    let mut lanes: Vec<Vec<_>> = (0..LANES).map(|_| Vec::new()).collect();
    for set in 0..SETS {
        let lane = usize::try_from(set % LANES)?;
        lanes[lane].push((set, draw(&mut dice)));
    }
    try_join_all(lanes.into_iter().map(|sets| lane(seed, sets))).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stack_keeps_the_guides_example() -> Result<()> {
    let pools = [
        ("high-priority", 3, 4),
        ("interactive", 2, 2),
        ("low-priority", 1, 1),
    ];
    let pools = pools.map(|(name, weight, min_share)| Pool {
        name,
        terms: terms(weight, min_share),
    });
    let given: Vec<Terms> = pools.iter().map(|pool| pool.terms).collect();
    assert_eq!(shares(10, &given), [5, 3, 2]);
    // The pools are there without being made: those of the guide.
    let stack = Stack::start(10).await?;
    stack.check(10, &pools, "the guide's example").await
}

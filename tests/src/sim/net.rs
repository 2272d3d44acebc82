//! The network: what is sent arrives late, or not.
//!
//! **Invariant:** nothing that was cut off arrives, not even what was on its way.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use libra_raft::simulation::Runtime;

use super::dice::Dice;

/// The place of Spark in the network.
pub const SPARK: u64 = 1_000;
/// The place of clients in the network, which nothing cuts off.
pub const CLIENTS: u64 = 2_000;

/// Microseconds that a message takes on a healthy link.
const HEALTHY: Range<u64> = 100..3_000;

/// One network.
#[derive(Debug)]
pub struct Net {
    dice: Dice,
    links: Mutex<Links>,
}

#[derive(Debug, Default)]
struct Links {
    /// From here nothing arrives there.
    cut: BTreeSet<(u64, u64)>,
    /// Slow links, with what a message takes there, in microseconds.
    slow: BTreeMap<(u64, u64), Range<u64>>,
    /// So many of a hundred messages are lost.
    lost_percent: u64,
}

impl Net {
    /// A healthy network.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            dice: Dice::new(seed, 1),
            links: Mutex::default(),
        }
    }

    /// Sends one message; whether it has arrived.
    pub async fn travel(&self, from: u64, to: u64) -> bool {
        if from == to {
            return true;
        }
        let takes = {
            let links = self.lock();
            let lost = links.lost_percent > 0 && self.dice.chance(links.lost_percent);
            let spared = from == CLIENTS || to == CLIENTS;
            if links.cut.contains(&(from, to)) || (lost && !spared) {
                return false;
            }
            let range = links.slow.get(&(from, to)).cloned();
            self.dice.micros(range.unwrap_or(HEALTHY))
        };
        Runtime::pause(takes).await;
        !self.lock().cut.contains(&(from, to))
    }

    /// Whether nothing arrives there from here.
    #[must_use]
    pub fn is_cut(&self, from: u64, to: u64) -> bool {
        self.lock().cut.contains(&(from, to))
    }

    /// Cuts the way from `from` to `to`; the other way stays.
    pub fn cut_one_way(&self, from: u64, to: u64) {
        self.lock().cut.insert((from, to));
    }

    /// Cuts both ways.
    pub fn cut(&self, one: u64, other: u64) {
        let mut links = self.lock();
        links.cut.insert((one, other));
        links.cut.insert((other, one));
    }

    /// What is sent from `from` to `to` takes so many microseconds.
    pub fn slow(&self, from: u64, to: u64, takes: Range<u64>) {
        self.lock().slow.insert((from, to), takes);
    }

    /// Loses so many of a hundred messages.
    pub fn lose(&self, percent: u64) {
        self.lock().lost_percent = percent;
    }

    /// Mends everything.
    pub fn heal(&self) {
        *self.lock() = Links::default();
    }

    fn lock(&self) -> MutexGuard<'_, Links> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

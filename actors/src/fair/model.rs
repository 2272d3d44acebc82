//! What a pool is owed, and which of two pools goes first.

use std::cmp::Ordering;

use libra_proto::registry::SchedulingMode;
use libra_proto::types::{JobId, PoolDemand};

/// In which order slots are given out: to pools, or to the statements of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By acceptance.
    Fifo,
    /// By share.
    Fair,
}

impl From<SchedulingMode> for Order {
    fn from(mode: SchedulingMode) -> Self {
        match mode {
            SchedulingMode::Fifo => Self::Fifo,
            SchedulingMode::Fair | SchedulingMode::Unspecified => Self::Fair,
        }
    }
}

/// What a pool is owed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// Its share beside the others, from 1.
    pub weight: u32,
    /// The slots it gets before the others get more than theirs.
    pub min_share: u32,
    /// The slots it never has more of.
    pub max_running: Option<u32>,
}

impl From<&PoolDemand> for Terms {
    fn from(pool: &PoolDemand) -> Self {
        Self {
            weight: pool.weight,
            min_share: pool.min_share,
            max_running: pool.max_running,
        }
    }
}

impl Terms {
    /// How many slots more the pool may have.
    #[must_use]
    pub fn room(&self, running: u32) -> u32 {
        self.max_running
            .map_or(u32::MAX, |most| most.saturating_sub(running))
    }
}

/// A statement that a pool would start next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// The statement.
    pub job: JobId,
    /// The oldest of its pool that waits at that moment: what counts for FIFO between pools.
    pub oldest: JobId,
}

/// A pool that asks for slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contender {
    /// What it is owed.
    pub terms: Terms,
    /// The slots it has.
    pub running: u32,
    /// What it would start, in its own order.
    pub candidates: Vec<Candidate>,
}

/// Which of two pools is owed the next slot, by what each has: Spark's `FairSchedulingAlgorithm`
/// without its floats. A pool below its minShare goes first; of two such the one with less of its
/// minShare, of two others the one with less for its weight. Ties are the caller's to break.
#[must_use]
pub fn fair(a: (&Terms, u32), b: (&Terms, u32)) -> Ordering {
    let needy = |(terms, running): (&Terms, u32)| running < terms.min_share;
    match (needy(a), needy(b)) {
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
        (true, true) => ratios((a.1, a.0.min_share), (b.1, b.0.min_share)),
        (false, false) => ratios((a.1, a.0.weight), (b.1, b.0.weight)),
    }
}

/// Compares two fractions, cross-multiplied; a denominator of 0 counts as 1.
fn ratios(a: (u32, u32), b: (u32, u32)) -> Ordering {
    let product = |n: u32, d: u32| u64::from(n) * u64::from(d.max(1));
    product(a.0, b.1).cmp(&product(b.0, a.1))
}

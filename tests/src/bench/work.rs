//! The statement that clients run when throughput is held to its goal: small, real, and long enough
//! that the goals of latency and of throughput can both be met.
//!
//! **Invariant:** its size is found by running it directly on the server, before Libra has a part in
//! it, and its time is printed.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::figures::median;
use super::sides::Direct;

/// What the statement is to take alone, in seconds.
const AIM: f64 = 0.4;
/// Near enough to the aim.
const NEAR: std::ops::Range<f64> = 0.36..0.46;
/// With less, [`super::spark::EXPLAINED`] shows, 10 ms of latency alone would miss 0.97.
const LEAST: f64 = 0.324;
const FIRST_ROWS: f64 = 10e6;
/// Runs of which the middle one counts, after one that warms up.
const RUNS: usize = 3;
const TRIES: usize = 8;

/// A statement and what it takes.
#[derive(Debug, Clone)]
pub(super) struct Work {
    pub(super) sql: String,
    /// Alone, directly on the server, in seconds.
    pub(super) seconds: f64,
}

impl Work {
    /// An aggregate over a range, as long as that it takes about 0.4 s on one core.
    pub(super) async fn calibrated(direct: &Direct) -> Result<Self> {
        let mut rows = FIRST_ROWS;
        let mut work = Self::timed(direct, aggregate(rows)).await?;
        for _ in 1..TRIES {
            if NEAR.contains(&work.seconds) {
                break;
            }
            rows *= (AIM / work.seconds).clamp(0.1, 20.0);
            work = Self::timed(direct, aggregate(rows)).await?;
        }
        let seconds = work.seconds;
        ensure!(
            seconds >= LEAST,
            "no statement of {AIM} s found: the last took {seconds:.3} s, the machine is too uneven"
        );
        Ok(work)
    }

    /// A statement with the time it takes alone.
    pub(super) async fn timed(direct: &Direct, sql: String) -> Result<Self> {
        direct.run(&sql).await?;
        let mut taken = Vec::with_capacity(RUNS);
        for _ in 0..RUNS {
            let begun = Instant::now();
            direct.run(&sql).await?;
            taken.push(begun.elapsed().as_secs_f64());
        }
        let seconds = median(&taken);
        Ok(Self { sql, seconds })
    }
}

/// One partition: one task on one core.
fn aggregate(rows: f64) -> String {
    format!("SELECT sum(xxhash64(id) % 1000) AS s FROM range(0, {rows:.0}, 1, 1)")
}

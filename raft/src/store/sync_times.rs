//! How long the log's syncs take: since the start by classes, and of the newest ones how slow.
//!
//! **Invariant:** bounded, whatever the number of syncs; noting one never waits for a reader longer
//! than it takes to copy the newest.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// Upper bounds of the classes, microseconds: from a disk with a cache that outlives power to one
/// that hangs.
const BOUNDS_US: [u64; 14] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
    2_500_000, 10_000_000,
];
/// How many of the newest are kept: under load the last second or two.
const NEWEST: usize = 1024;

/// How long the log's syncs have taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncTimes {
    /// Syncs since the start.
    pub count: u64,
    /// All of them together.
    pub total: Duration,
    /// How many took at most so long, for rising times; what is slower is only in `count`.
    pub at_most: Vec<(Duration, u64)>,
    /// Of the newest ones; `None` before the first.
    pub newest: Option<NewestSyncs>,
}

/// How slow the newest syncs of the log were.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NewestSyncs {
    /// How many they are, at most 1024.
    pub samples: usize,
    /// Half of them took at most so long.
    pub p50: Duration,
    /// 99 of 100 took at most so long.
    pub p99: Duration,
    /// The slowest.
    pub max: Duration,
}

/// Takes the times down.
#[derive(Debug, Default)]
pub(crate) struct SyncClock {
    classes: [AtomicU64; BOUNDS_US.len()],
    count: AtomicU64,
    total_us: AtomicU64,
    newest: Mutex<Ring>,
}

#[derive(Debug, Default)]
struct Ring {
    micros: Vec<u64>,
    next: usize,
}

impl SyncClock {
    pub(crate) fn note(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        if let Some(class) = BOUNDS_US.iter().position(|bound| us <= *bound) {
            self.classes[class].fetch_add(1, Ordering::Relaxed);
        }
        self.total_us.fetch_add(us, Ordering::Relaxed);
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut ring = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        let next = ring.next;
        match ring.micros.get_mut(next) {
            Some(place) => *place = us,
            None => ring.micros.push(us),
        }
        ring.next = (next + 1) % NEWEST;
    }

    pub(crate) fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }

    pub(crate) fn read(&self) -> SyncTimes {
        // The classes first: none of them may say more than the count.
        let mut sum = 0;
        let classes = BOUNDS_US.iter().zip(&self.classes);
        let at_most = classes.map(|(bound, class)| {
            sum += class.load(Ordering::Relaxed);
            (Duration::from_micros(*bound), sum)
        });
        let at_most: Vec<_> = at_most.collect();
        let mut newest = {
            let ring = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
            ring.micros.clone()
        };
        SyncTimes {
            total: Duration::from_micros(self.total_us.load(Ordering::Relaxed)),
            count: self.count().max(sum),
            at_most,
            newest: newest_of(&mut newest),
        }
    }
}

fn newest_of(micros: &mut [u64]) -> Option<NewestSyncs> {
    micros.sort_unstable();
    let at = |percent: usize| {
        let rank = (micros.len() * percent).div_ceil(100).max(1) - 1;
        micros.get(rank).copied().map(Duration::from_micros)
    };
    Some(NewestSyncs {
        samples: micros.len(),
        p50: at(50)?,
        p99: at(99)?,
        max: at(100)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn us(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    #[test]
    fn before_the_first_there_is_nothing_to_say() {
        let times = SyncClock::default().read();
        assert_eq!((times.count, times.newest), (0, None));
        assert!(times.at_most.iter().all(|(_, syncs)| *syncs == 0));
    }

    #[test]
    fn classes_add_up_and_the_slowest_are_only_counted() {
        let clock = SyncClock::default();
        for time in [us(100), us(1_000), us(1_001), us(60_000_000)] {
            clock.note(time);
        }
        let times = clock.read();
        assert_eq!((times.count, times.total), (4, us(60_002_101)));
        let at_most = |bound| {
            times
                .at_most
                .iter()
                .find(|(b, _)| *b == us(bound))
                .unwrap()
                .1
        };
        assert_eq!(
            [
                at_most(250),
                at_most(1_000),
                at_most(2_500),
                at_most(10_000_000)
            ],
            [1, 2, 3, 3]
        );
        let newest = times.newest.unwrap();
        assert_eq!((newest.samples, newest.p50), (4, us(1_000)));
        assert_eq!((newest.p99, newest.max), (us(60_000_000), us(60_000_000)));
    }

    #[test]
    fn only_the_newest_are_kept() {
        let clock = SyncClock::default();
        clock.note(us(9_000_000));
        for time in 1..=1024 {
            clock.note(us(time));
        }
        let newest = clock.read().newest.unwrap();
        assert_eq!(
            newest,
            NewestSyncs {
                samples: 1024,
                p50: us(512),
                p99: us(1_014),
                max: us(1_024),
            }
        );
    }
}

//! The lease as its owner counts it.
//!
//! PURE: no runtime and no clock; times are arguments, counted by this process's monotonic clock
//! from whenever it likes.
//!
//! **Invariant:** it runs from before a renewal was sent, so that it ends before the leader, which
//! counts from when the renewal came in, may give this node's sessions away.

use std::time::Duration;

/// An unbroken time of holding the lease: once the lease was over, the next is another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spell(pub(super) u64);

/// The owner's side of a lease.
#[derive(Debug, Clone)]
pub(super) struct OwnerLease {
    length: Duration,
    /// When it ends; over until it was renewed for the first time.
    until: Duration,
    spells: u64,
}

impl OwnerLease {
    /// A lease of that length that is not held yet.
    pub(super) fn new(length: Duration) -> Self {
        Self {
            length,
            until: Duration::ZERO,
            spells: 0,
        }
    }

    /// Its renewal, sent at `sent`, was answered; it is `now`.
    pub(super) fn renewed(&mut self, sent: Duration, now: Duration) {
        let until = sent.saturating_add(self.length);
        if until <= now {
            return;
        }
        if self.spell(now).is_none() {
            self.spells += 1;
        }
        self.until = self.until.max(until);
    }

    /// The leader refuses to renew it: it is over.
    pub(super) fn end(&mut self) {
        self.until = Duration::ZERO;
    }

    /// How long it goes on without a renewal; zero when it is over.
    pub(super) fn left(&self, now: Duration) -> Duration {
        self.until.saturating_sub(now)
    }

    /// How often it has been over, after it had been held.
    pub(super) fn lapses(&self, now: Duration) -> u64 {
        let held = u64::from(self.spell(now).is_some());
        self.spells.saturating_sub(held)
    }

    /// The spell that `now` is part of; `None` while the lease is over.
    pub(super) fn spell(&self, now: Duration) -> Option<Spell> {
        (now < self.until).then_some(Spell(self.spells))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn it_runs_from_before_it_was_sent() {
        let mut lease = OwnerLease::new(ms(1_200));
        assert_eq!(lease.spell(ms(0)), None);
        lease.renewed(ms(100), ms(900));
        assert_eq!(lease.spell(ms(1_299)), Some(Spell(1)));
        assert_eq!(lease.spell(ms(1_300)), None);
    }

    #[test]
    fn lapses_are_counted_when_they_begin() {
        let mut lease = OwnerLease::new(ms(1_200));
        assert_eq!((lease.left(ms(50)), lease.lapses(ms(50))), (ms(0), 0));
        lease.renewed(ms(100), ms(150));
        assert_eq!((lease.left(ms(300)), lease.lapses(ms(300))), (ms(1_000), 0));
        assert_eq!((lease.left(ms(1_300)), lease.lapses(ms(1_300))), (ms(0), 1));
        lease.renewed(ms(2_000), ms(2_100));
        assert_eq!(lease.lapses(ms(2_200)), 1);
        lease.end();
        assert_eq!(lease.lapses(ms(2_300)), 2);
    }

    #[test]
    fn an_answer_that_comes_after_its_end_renews_nothing() {
        let mut lease = OwnerLease::new(ms(1_200));
        lease.renewed(ms(100), ms(1_300));
        assert_eq!(lease.spell(ms(1_300)), None);
        lease.renewed(ms(1_000), ms(1_400));
        assert_eq!(
            lease.spell(ms(1_400)),
            Some(Spell(1)),
            "the first that counts"
        );
    }

    #[test]
    fn an_older_answer_does_not_shorten_it() {
        let mut lease = OwnerLease::new(ms(1_200));
        lease.renewed(ms(500), ms(600));
        lease.renewed(ms(100), ms(700));
        assert_eq!(lease.spell(ms(1_699)), Some(Spell(1)));
    }

    #[test]
    fn a_gap_begins_another_spell_even_if_nobody_looked() {
        let mut lease = OwnerLease::new(ms(1_200));
        lease.renewed(ms(0), ms(10));
        lease.renewed(ms(1_100), ms(1_199));
        assert_eq!(lease.spell(ms(1_200)), Some(Spell(1)), "no gap");
        lease.renewed(ms(2_299), ms(2_301));
        assert_eq!(lease.spell(ms(2_301)), Some(Spell(2)), "a gap of 1 ms");
    }

    #[test]
    fn a_refusal_ends_it() {
        let mut lease = OwnerLease::new(ms(1_200));
        lease.renewed(ms(0), ms(10));
        lease.end();
        assert_eq!(lease.spell(ms(11)), None);
        lease.renewed(ms(20), ms(30));
        assert_eq!(lease.spell(ms(31)), Some(Spell(2)));
    }
}

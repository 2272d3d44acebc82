//! What of a long file stays in the page cache.
//!
//! A long result is written once and mostly read once, from its begin to its end. Left alone it
//! takes memory from everything else, and every page of it is a new one. In a virtual machine that
//! gives unused memory back, 100 MB of new pages cost 0.2 s of processor time, ten times as much as
//! copying into pages that are used over and over.
//!
//! **Invariant:** nothing depends on it: what is let go is read from the disk again.

use std::fs::File;
use std::num::NonZeroU64;
use std::ops::Range;

use rustix::fs::{Advice, fadvise};

/// Bytes at the begin of a file that stay: all of most results, the first pages of the others.
const KEPT: u64 = 8 << 20;

/// Bytes before a place that stay, for those who follow: a copy is at most so far behind.
const MARGIN: u64 = 4 << 20;

/// Bytes that are let go at once.
const STEP: u64 = 1 << 20;

/// How far one who goes through a file has let go of it.
#[derive(Debug)]
pub(crate) struct Behind {
    gone: u64,
}

impl Default for Behind {
    fn default() -> Self {
        Self { gone: KEPT }
    }
}

impl Behind {
    /// What can be let go of when everything up to `place` is done with.
    pub(crate) fn passes(&mut self, place: u64) -> Option<Range<u64>> {
        let to = place.saturating_sub(MARGIN);
        if to < self.gone + STEP {
            return None;
        }
        Some(std::mem::replace(&mut self.gone, to)..to)
    }
}

/// Lets go of a part of a file. Pages that are not durable yet stay. Best effort.
pub(crate) fn let_go(file: &File, part: Range<u64>) {
    if let Some(length) = NonZeroU64::new(part.end.saturating_sub(part.start)) {
        let _ = fadvise(file, part.start, Some(length), Advice::DontNeed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_begin_and_what_was_passed_last_stay() {
        let mut behind = Behind::default();
        for place in [0, KEPT, KEPT + MARGIN, KEPT + MARGIN + STEP - 1] {
            assert_eq!(behind.passes(place), None, "{place}");
        }
        let first = KEPT + MARGIN + STEP;
        assert_eq!(behind.passes(first), Some(KEPT..KEPT + STEP));
        assert_eq!(behind.passes(first), None, "once only");
        assert_eq!(behind.passes(0), None, "back to the begin");
        let next = Some(KEPT + STEP..first + 7 * STEP - MARGIN);
        assert_eq!(behind.passes(first + 7 * STEP), next, "without a gap");
    }
}

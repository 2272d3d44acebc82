//! What the log holds, entry by entry, without the entries.
//!
//! **Invariant:** entries are consecutive: there is never a hole.

use std::collections::VecDeque;
use std::ops::Range;

use crate::type_config::{LogId, log_id};

/// One entry's place in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) term: u64,
    /// Encoded, without keys and checksums.
    pub(crate) bytes: u32,
    pub(crate) chunks: u32,
}

/// Keys of entries that are to be deleted: index and number of chunks.
pub(crate) type Removed = Vec<(u64, u32)>;

#[derive(Debug, Default)]
pub(crate) struct LogIndex {
    purged: Option<LogId>,
    /// Index of the first slot.
    first: u64,
    slots: VecDeque<Slot>,
    bytes: u64,
}

impl LogIndex {
    pub(crate) fn new(purged: Option<LogId>) -> Self {
        Self {
            purged,
            ..Self::default()
        }
    }

    pub(crate) fn purged(&self) -> Option<LogId> {
        self.purged
    }

    /// Bytes of the entries that are kept.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The last entry, or what was purged last.
    pub(crate) fn last(&self) -> Option<LogId> {
        let last = self
            .slots
            .back()
            .map(|slot| log_id(slot.term, self.end() - 1));
        last.or(self.purged)
    }

    /// The index after the last entry.
    pub(crate) fn next(&self) -> u64 {
        self.last().map_or(0, |last| last.index + 1)
    }

    /// The part of `wanted` that the log holds.
    pub(crate) fn clip(&self, wanted: &Range<u64>) -> Range<u64> {
        let start = wanted.start.max(self.first);
        start..wanted.end.min(self.end()).max(start)
    }

    /// The longest head of `range`, at least one entry, that stays below `max_bytes`.
    pub(crate) fn head(&self, range: Range<u64>, max_bytes: u64) -> Range<u64> {
        let mut bytes = 0;
        let mut end = range.start;
        while end < range.end {
            bytes += self.slot(end).map_or(0, |slot| u64::from(slot.bytes));
            if bytes > max_bytes && end > range.start {
                break;
            }
            end += 1;
        }
        range.start..end
    }

    /// Adds the next entry; any index is the next one of an empty log.
    ///
    /// # Errors
    /// The index that was expected.
    pub(crate) fn push(&mut self, index: u64, slot: Slot) -> Result<(), u64> {
        if self.slots.is_empty() {
            self.first = index;
        } else if index != self.end() {
            return Err(self.end());
        }
        self.bytes += u64::from(slot.bytes);
        self.slots.push_back(slot);
        Ok(())
    }

    /// Forgets every entry from `next` on.
    pub(crate) fn truncate_from(&mut self, next: u64) -> Removed {
        let mut removed = Vec::new();
        while self.end() > next.max(self.first) {
            if let Some(slot) = self.slots.pop_back() {
                self.bytes -= u64::from(slot.bytes);
                removed.push((self.end(), slot.chunks));
            }
        }
        removed
    }

    /// Forgets every entry up to and with `upto`.
    pub(crate) fn purge(&mut self, upto: LogId) -> Removed {
        let mut removed = Vec::new();
        while self.first <= upto.index {
            let Some(slot) = self.slots.pop_front() else {
                break;
            };
            self.bytes -= u64::from(slot.bytes);
            removed.push((self.first, slot.chunks));
            self.first += 1;
        }
        self.purged = self.purged.max(Some(upto));
        removed
    }

    fn end(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    fn slot(&self, index: u64) -> Option<&Slot> {
        let place = index.checked_sub(self.first)?;
        self.slots.get(usize::try_from(place).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(indexes: Range<u64>) -> LogIndex {
        let mut index = LogIndex::default();
        for i in indexes {
            let slot = Slot {
                term: 1,
                bytes: 10,
                chunks: 1,
            };
            index.push(i, slot).unwrap();
        }
        index
    }

    #[test]
    fn a_hole_is_refused() {
        let mut index = filled(3..6);
        let slot = Slot {
            term: 1,
            bytes: 1,
            chunks: 1,
        };
        assert_eq!(index.push(7, slot), Err(6));
        assert_eq!(index.last(), Some(log_id(1, 5)));
    }

    #[test]
    fn truncation_and_purge_meet_in_the_middle() {
        let mut index = filled(0..10);
        assert_eq!(index.truncate_from(8), vec![(9, 1), (8, 1)]);
        assert_eq!(index.purge(log_id(1, 2)).len(), 3);
        assert_eq!((index.bytes(), index.next()), (50, 8));
        assert_eq!(index.clip(&(0..100)), 3..8);
        assert_eq!(index.clip(&(0..2)), 3..3);
        assert_eq!(index.truncate_from(0).len(), 5);
        assert_eq!(index.last(), Some(log_id(1, 2)));
        assert_eq!(index.bytes(), 0);
    }

    #[test]
    fn a_purge_beyond_the_end_moves_the_log_on() {
        let mut index = filled(0..3);
        assert_eq!(index.purge(log_id(4, 20)).len(), 3);
        assert_eq!((index.last(), index.next()), (Some(log_id(4, 20)), 21));
    }

    #[test]
    fn a_head_is_never_empty() {
        let index = filled(0..10);
        assert_eq!(index.head(2..9, 1), 2..3);
        assert_eq!(index.head(2..9, 35), 2..5);
        assert_eq!(index.head(2..9, 1000), 2..9);
    }
}

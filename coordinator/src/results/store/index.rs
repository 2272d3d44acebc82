//! Where in a file which row is: a list of marks that never grows past a bound.
//!
//! **Invariant:** at most [`MOST_MARKS`] marks, whatever the number of batches: from the mark before a
//! row the reader goes on by record heads.

/// Marks of one index; above it every second one is dropped.
const MOST_MARKS: usize = 16_384;

/// A batch whose place is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    row: u64,
    at: u64,
}

/// Places of batches by the row they start at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Index {
    marks: Vec<Mark>,
    stride: u64,
    batches: u64,
}

impl Default for Index {
    fn default() -> Self {
        Self {
            marks: Vec::new(),
            stride: 1,
            batches: 0,
        }
    }
}

impl Index {
    /// Notes the next batch: its first row and where its record begins.
    pub(crate) fn push(&mut self, row: u64, at: u64) {
        if self.batches.is_multiple_of(self.stride) {
            self.marks.push(Mark { row, at });
        }
        self.batches += 1;
        if self.marks.len() > MOST_MARKS {
            let mut keep = false;
            self.marks.retain(|_| {
                keep = !keep;
                keep
            });
            self.stride *= 2;
        }
    }

    /// The marks: rows and places.
    pub(crate) fn marks(&self) -> (Vec<u64>, Vec<u64>) {
        self.marks.iter().map(|mark| (mark.row, mark.at)).unzip()
    }

    /// An index of a sealed file out of its marks; `None` if they cannot be those of a file that
    /// ends at `end`.
    pub(crate) fn from_marks(rows: &[u64], places: &[u64], end: u64) -> Option<Self> {
        if rows.len() != places.len() || rows.len() > MOST_MARKS {
            return None;
        }
        let pairs = rows.iter().zip(places);
        let marks: Vec<Mark> = pairs.map(|(row, at)| Mark { row: *row, at: *at }).collect();
        let rising = marks
            .iter()
            .zip(marks.iter().skip(1))
            .all(|(one, next)| one.row < next.row && one.at < next.at);
        let inside = marks.last().is_none_or(|last| last.at < end);
        let batches = marks.len() as u64;
        (rising && inside).then_some(Self {
            marks,
            stride: 1,
            batches,
        })
    }

    /// Where to begin looking for a row: a record at or before the one that holds it.
    pub(crate) fn seek(&self, row: u64) -> Option<u64> {
        let after = self.marks.partition_point(|mark| mark.row <= row);
        let mark = self.marks.get(after.saturating_sub(1))?;
        Some(mark.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_batch_that_holds_a_row() {
        let mut index = Index::default();
        assert_eq!(index.seek(0), None);
        for (row, at) in [(0, 100), (10, 200), (15, 300)] {
            index.push(row, at);
        }
        for (row, at) in [
            (0, 100),
            (9, 100),
            (10, 200),
            (14, 200),
            (15, 300),
            (99, 300),
        ] {
            assert_eq!(index.seek(row), Some(at), "row {row}");
        }
    }

    #[test]
    fn goes_over_the_wire_and_nonsense_does_not() {
        let mut index = Index::default();
        for (row, at) in [(0, 100), (10, 200), (15, 300)] {
            index.push(row, at);
        }
        let (rows, places) = index.marks();
        assert_eq!(Index::from_marks(&rows, &places, 301), Some(index));
        assert_eq!(
            Index::from_marks(&rows, &places, 300),
            None,
            "behind the end"
        );
        assert_eq!(Index::from_marks(&rows, &places[1..], 400), None);
        assert_eq!(Index::from_marks(&[1, 1], &[1, 2], 400), None, "not rising");
        assert_eq!(Index::from_marks(&[1, 2], &[2, 2], 400), None, "not rising");
        assert_eq!(Index::from_marks(&[], &[], 400), Some(Index::default()));
    }

    #[test]
    fn stays_bounded_and_never_points_past_a_row() {
        let mut index = Index::default();
        let batches = 10 * MOST_MARKS as u64;
        for batch in 0..batches {
            index.push(batch * 3, batch * 50);
        }
        assert!(index.marks.len() <= MOST_MARKS);
        for row in (0..batches * 3).step_by(101) {
            let at = index.seek(row).unwrap();
            let exact = row / 3 * 50;
            assert!(at <= exact && exact - at < index.stride * 50, "row {row}");
        }
    }
}

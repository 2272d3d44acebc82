//! What one statement does, laid out in time.

use std::collections::BTreeMap;

use arrow_schema::ArrowError;
use bytes::Bytes;

use super::{Millis, SparkError};
use crate::stub::rows::Table;

/// A result in one batch no longer than this is rendered once, not at every reading.
const KEPT_BYTES: usize = 64 << 10;

/// How a statement ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// With all its rows.
    Success,
    /// With an error, after its rows.
    Failure(SparkError),
    /// The driver dies at that moment.
    DriverDies,
    /// Only an interrupt ends it.
    Never,
}

/// One piece of a result: which rows it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) start: u64,
    pub(super) rows: u64,
}

/// What a statement answers, when, and how it ends.
#[derive(Debug, Clone)]
pub struct Script {
    /// Schema and contents of the result; none if analysis fails before there is a schema.
    pub(super) table: Option<Table>,
    pub(super) batches: Vec<Batch>,
    /// From the start to the first batch, or to the end if there is none.
    pub(super) delay_ms: Millis,
    /// From each batch to the next, and from the last to the end.
    pub(super) batch_delay_ms: Millis,
    pub(super) ending: Ending,
    /// Bytes of a batch, by its number of rows.
    sizes: BTreeMap<u64, u64>,
    rendered: Option<Bytes>,
}

impl Script {
    /// Answers a table in batches of at most `batch_rows`, over `parts` partitions.
    #[must_use]
    pub fn table(table: Table, parts: u64, batch_rows: u64) -> Self {
        let batches = cut(table.rows(), parts.max(1), batch_rows.max(1));
        Self::laid_out(Some(table), batches)
    }

    /// Gets a schema, then fails.
    #[must_use]
    pub fn failing(table: Table, error: SparkError) -> Self {
        Self::laid_out(Some(table), Vec::new()).ending(Ending::Failure(error))
    }

    fn laid_out(table: Option<Table>, batches: Vec<Batch>) -> Self {
        let mut script = Self {
            table,
            batches,
            delay_ms: 0,
            batch_delay_ms: 0,
            ending: Ending::Success,
            sizes: BTreeMap::new(),
            rendered: None,
        };
        script.measure();
        script
    }

    /// Renders one batch of each length, for the engine to count bytes with.
    fn measure(&mut self) {
        for index in 0..self.batches.len() {
            let rows = self.batches[index].rows;
            if self.sizes.contains_key(&rows) {
                continue;
            }
            let bytes = self.render(index).unwrap_or_default();
            self.sizes.insert(rows, bytes.len() as u64);
            if self.batches.len() == 1 && bytes.len() <= KEPT_BYTES {
                self.rendered = Some(bytes);
            }
        }
    }

    /// Batch `index` as an Arrow IPC stream; empty if there is no such batch.
    ///
    /// # Errors
    /// What Arrow's writer refuses.
    pub fn render(&self, index: usize) -> Result<Bytes, ArrowError> {
        match (&self.rendered, &self.table, self.batches.get(index)) {
            (Some(bytes), _, _) => Ok(bytes.clone()),
            (None, Some(table), Some(batch)) => table.render(batch.start, batch.rows),
            (None, _, _) => Ok(Bytes::new()),
        }
    }

    /// Row count and start offset of batch `index`.
    #[must_use]
    pub fn span(&self, index: usize) -> (u64, u64) {
        self.batches
            .get(index)
            .map_or((0, 0), |batch| (batch.rows, batch.start))
    }

    /// Bytes of batch `index`.
    pub(super) fn batch_bytes(&self, index: usize) -> u64 {
        let rows = self.span(index).0;
        self.sizes.get(&rows).copied().unwrap_or(0)
    }

    /// Fails before there is a schema, as parser and analyser do.
    #[must_use]
    pub fn refused(error: SparkError) -> Self {
        Self::laid_out(None, Vec::new()).ending(Ending::Failure(error))
    }

    /// What the statement answers with; none if it never gets a schema.
    #[must_use]
    pub fn result(&self) -> Option<&Table> {
        self.table.as_ref()
    }

    /// The same, ending otherwise.
    #[must_use]
    pub fn ending(mut self, ending: Ending) -> Self {
        self.ending = ending;
        self
    }

    /// The same, later: `delay_ms` before the first batch, `batch_delay_ms` after each.
    #[must_use]
    pub fn slow(mut self, delay_ms: Millis, batch_delay_ms: Millis) -> Self {
        self.delay_ms = delay_ms;
        self.batch_delay_ms = batch_delay_ms;
        self
    }

    /// When batch `index` is there, counted from the start.
    pub(super) fn batch_at(&self, index: usize) -> Millis {
        self.delay_ms
            .saturating_add(self.batch_delay_ms.saturating_mul(index as u64))
    }

    /// When the statement ends, counted from the start.
    pub(super) fn end_at(&self) -> Option<Millis> {
        match self.ending {
            Ending::Never => None,
            Ending::Success | Ending::Failure(_) | Ending::DriverDies => {
                Some(self.batch_at(self.batches.len()))
            }
        }
    }
}

/// Cuts rows as Spark does: never across a partition, an empty result as one empty batch.
fn cut(rows: u64, parts: u64, batch_rows: u64) -> Vec<Batch> {
    if rows == 0 {
        return vec![Batch { start: 0, rows: 0 }];
    }
    let mut batches = Vec::new();
    for part in 0..parts {
        let (mut start, end) = (rows * part / parts, rows * (part + 1) / parts);
        while start < end {
            let rows = batch_rows.min(end - start);
            batches.push(Batch { start, rows });
            start += rows;
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn rows_are_cut_by_partition_and_size() {
        let sizes = |rows, parts, most| -> Vec<u64> {
            cut(rows, parts, most).iter().map(|b| b.rows).collect()
        };
        assert_eq!(sizes(0, 2, 10), [0]);
        assert_eq!(sizes(1, 2, 10), [1]);
        assert_eq!(sizes(30, 3, 10), [10, 10, 10]);
        assert_eq!(sizes(25, 2, 10), [10, 2, 10, 3]);
    }
}

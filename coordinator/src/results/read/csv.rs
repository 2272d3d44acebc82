//! A result as a stream of CSV.
//!
//! **Invariant:** holds one decoded batch and one chunk of text.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow_array::RecordBatch;
use bytes::Bytes;
use futures::{Stream, stream};

use super::cursor::Cursor;
use super::{ReadError, ResultReader, page};
use crate::results::render;

/// Text at which a chunk goes out.
const CHUNK: usize = 64 << 10;

/// Where a stream of CSV is.
struct Progress {
    cursor: Cursor,
    batches: VecDeque<(u64, RecordBatch)>,
    row: u64,
    end: u64,
    header_due: bool,
}

impl ResultReader {
    /// Renders rows from `offset` on, at most `limit` if there is one, below a header line. A result
    /// without columns gives nothing at all.
    ///
    /// The stream ends after its first error: when the file cannot be read, or a column cannot be
    /// rendered.
    pub fn csv_stream(
        &self,
        offset: u64,
        limit: Option<u64>,
    ) -> impl Stream<Item = Result<Bytes, ReadError>> + Send + use<> {
        let reader = self.clone();
        let rows = self.inner.rows;
        let end = limit.map_or(rows, |limit| offset.saturating_add(limit).min(rows));
        let progress = Progress {
            cursor: Cursor::near(&self.inner, offset),
            batches: VecDeque::new(),
            row: offset,
            end,
            header_due: true,
        };
        let has_columns = !self.inner.columns.is_empty();
        stream::try_unfold(has_columns.then_some(progress), move |progress| {
            let reader = reader.clone();
            async move {
                let Some(progress) = progress else {
                    return Ok(None);
                };
                let step = reader.run(move || progress.step()).await?;
                Ok(Some(step))
            }
        })
    }
}

impl Progress {
    /// Renders the next chunk; the second part is `None` after the last.
    fn step(mut self) -> Result<(Bytes, Option<Self>), ReadError> {
        let mut text = Vec::with_capacity(CHUNK);
        if self.header_due {
            render::write_header(&mut text, &self.cursor.sealed().columns);
            self.header_due = false;
        }
        while self.row < self.end && text.len() < CHUNK {
            self.fill()?;
            self.write_rows(&mut text)?;
        }
        let more = self.row < self.end;
        Ok((text.into(), more.then_some(self)))
    }

    /// Makes the batch that holds the next row the first one.
    fn fill(&mut self) -> Result<(), ReadError> {
        let row = self.row;
        self.batches
            .retain(|(first, batch)| first + batch.num_rows() as u64 > row);
        if !self.batches.is_empty() {
            return Ok(());
        }
        let sealed = Arc::clone(self.cursor.sealed());
        let stored = self.cursor.next_from(row)?.ok_or_else(|| {
            let rows = sealed.rows;
            sealed.damaged(format!("it ends at row {row} of {rows}"))
        })?;
        self.batches = page::decode(&sealed, &stored)?.into();
        Ok(())
    }

    /// Renders rows of the first batch until it or the chunk ends.
    fn write_rows(&mut self, text: &mut Vec<u8>) -> Result<(), ReadError> {
        let Some((first, batch)) = self.batches.front() else {
            return Ok(());
        };
        let sealed = self.cursor.sealed();
        let cells = sealed.cells(batch)?;
        let behind = (first + batch.num_rows() as u64).min(self.end);
        let mut field = Vec::new();
        while self.row < behind && text.len() < CHUNK {
            let at = usize::try_from(self.row - first).unwrap_or(usize::MAX);
            render::write_csv_row(text, &cells, at, &mut field)
                .map_err(|error| sealed.bad_row(self.row, &error))?;
            self.row += 1;
        }
        Ok(())
    }
}

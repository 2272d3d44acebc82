//! Pages of rows in JSON.
//!
//! **Invariant:** a page holds whole rows; it ends early when its text has grown past
//! [`PAGE_BYTES`], and then says where the next one begins.

use std::sync::Arc;

use serde_json::value::RawValue;

use super::cursor::{Cursor, Stored};
use super::{ReadError, ResultReader, Sealed, ipc};
use crate::results::render::{self, RenderOptions};

/// Text at which a page ends, whatever its limit of rows: what bounds its memory.
const PAGE_BYTES: usize = 32 << 20;

/// Some rows of a result.
#[derive(Debug, Clone)]
pub struct Page {
    /// The first row, from 0, as asked for.
    pub offset: u64,
    /// Rows in this page.
    pub page_rows: u64,
    /// Rows of the whole result.
    pub row_count: u64,
    /// Whether the result was cut at a limit.
    pub truncated: bool,
    /// A JSON array of rows, each an array of values in the order of the columns.
    pub rows: Box<RawValue>,
    /// Where the next page begins, if rows are left.
    pub next: Option<u64>,
}

impl ResultReader {
    /// Renders up to `limit` rows from `offset` on; past the end there are none. Fewer than `limit`
    /// come, with `next`, when they are very large.
    ///
    /// # Errors
    /// When the file cannot be read, or a column cannot be rendered.
    pub async fn page(
        &self,
        offset: u64,
        limit: u64,
        options: RenderOptions,
    ) -> Result<Page, ReadError> {
        let sealed = Arc::clone(&self.inner);
        self.run(move || render_page(&sealed, offset, limit, options))
            .await
    }
}

fn render_page(
    sealed: &Arc<Sealed>,
    offset: u64,
    limit: u64,
    options: RenderOptions,
) -> Result<Page, ReadError> {
    let end = offset.saturating_add(limit).min(sealed.rows);
    let mut text = vec![b'['];
    let mut row = offset;
    let mut cursor = Cursor::near(sealed, offset);
    while row < end && text.len() < PAGE_BYTES {
        let Some(stored) = cursor.next_from(row)? else {
            let rows = sealed.rows;
            return Err(sealed.damaged(format!("it ends at row {row} of {rows}")));
        };
        write_rows(sealed, &stored, &mut row, end, &mut text, options)?;
    }
    text.push(b']');
    let rows = String::from_utf8(text).map_err(|error| sealed.damaged(error))?;
    let rows = RawValue::from_string(rows).map_err(|error| sealed.damaged(error))?;
    Ok(Page {
        offset,
        page_rows: row.saturating_sub(offset),
        row_count: sealed.rows,
        truncated: sealed.truncated,
        rows,
        next: (row < sealed.rows).then_some(row),
    })
}

/// Renders the rows of one stored batch from `row` on, and moves `row` behind them.
fn write_rows(
    sealed: &Sealed,
    stored: &Stored,
    row: &mut u64,
    end: u64,
    text: &mut Vec<u8>,
    options: RenderOptions,
) -> Result<(), ReadError> {
    for (first, batch) in decode(sealed, stored)? {
        let cells = sealed.cells(&batch)?;
        let behind = first + batch.num_rows() as u64;
        while (first..behind.min(end)).contains(row) && text.len() < PAGE_BYTES {
            if text.len() > 1 {
                text.push(b',');
            }
            let at = usize::try_from(*row - first).unwrap_or(usize::MAX);
            render::write_json_row(text, &cells, at, options)
                .map_err(|error| sealed.bad_row(*row, &error))?;
            *row += 1;
        }
    }
    Ok(())
}

/// The batches of a stored stream, each with the row it starts at.
pub(super) fn decode(
    sealed: &Sealed,
    stored: &Stored,
) -> Result<Vec<(u64, arrow_array::RecordBatch)>, ReadError> {
    let batches = ipc::split(&stored.data)
        .and_then(|split| ipc::decode(&split))
        .map_err(|error| sealed.damaged(error))?;
    let mut first = stored.first;
    let mut placed = Vec::with_capacity(batches.len());
    for batch in batches {
        let rows = batch.num_rows() as u64;
        placed.push((first, batch));
        first += rows;
    }
    if first != stored.first + stored.rows {
        let (found, said) = (first - stored.first, stored.rows);
        let cause = format!("a batch holds {found} rows, Spark said {said}");
        return Err(sealed.damaged(cause));
    }
    Ok(placed)
}

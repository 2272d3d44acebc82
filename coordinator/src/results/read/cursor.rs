//! Goes over the stored batches, from any row on.
//!
//! **Invariant:** at most one batch is read at a time, and it is held against its checksum first.

use std::sync::Arc;

use bytes::Bytes;

use super::{ReadError, Sealed};
use crate::results::store::format::{self, HEAD_LEN, HEADER_LEN, Head, Kind};

/// A batch as it is stored.
pub(super) struct Stored {
    /// The row of the result that it starts at.
    pub(super) first: u64,
    /// Rows that are stored.
    pub(super) rows: u64,
    /// Rows of them that count; fewer in the batch that a limit cut.
    pub(super) counting: u64,
    /// The Arrow IPC stream.
    pub(super) data: Bytes,
}

/// A place in a result.
pub(super) struct Cursor {
    sealed: Arc<Sealed>,
    at: u64,
}

impl Cursor {
    /// A cursor over all batches, those without rows too.
    pub(super) fn start(sealed: &Arc<Sealed>) -> Self {
        Self {
            sealed: Arc::clone(sealed),
            at: HEADER_LEN,
        }
    }

    /// A cursor whose next batch with rows behind `row` is soon found.
    pub(super) fn near(sealed: &Arc<Sealed>, row: u64) -> Self {
        Self {
            sealed: Arc::clone(sealed),
            at: sealed.index.seek(row).unwrap_or(HEADER_LEN),
        }
    }

    pub(super) fn sealed(&self) -> &Arc<Sealed> {
        &self.sealed
    }

    /// The next batch; batches without rows too.
    pub(super) fn next(&mut self) -> Result<Option<Stored>, ReadError> {
        self.next_where(|_| true)
    }

    /// The next batch that holds a row from `row` on.
    pub(super) fn next_from(&mut self, row: u64) -> Result<Option<Stored>, ReadError> {
        self.next_where(|head| head.rows > 0 && head.start.saturating_add(head.rows) > row)
    }

    fn next_where(&mut self, wanted: impl Fn(&Head) -> bool) -> Result<Option<Stored>, ReadError> {
        while self.at < self.sealed.end {
            let at = self.at;
            let (bytes, head) = self.head(at)?;
            self.at += head.record_len();
            let counting = self.sealed.rows.saturating_sub(head.start).min(head.rows);
            let counts = counting > 0 || head.rows == 0;
            if head.kind == Kind::Batch && counts && wanted(&head) {
                return Ok(Some(Stored {
                    first: head.start,
                    rows: head.rows,
                    counting,
                    data: self.payload(at, &bytes, &head)?,
                }));
            }
        }
        Ok(None)
    }

    fn head(&self, at: u64) -> Result<([u8; HEAD_LEN], Head), ReadError> {
        let bytes = self.read(at, HEAD_LEN)?;
        bytes
            .first_chunk()
            .and_then(|bytes| Some((*bytes, Head::parse(bytes)?)))
            .filter(|(_, head)| head.record_len() <= self.sealed.end - at)
            .ok_or_else(|| self.bad_record(at))
    }

    fn payload(&self, at: u64, bytes: &[u8; HEAD_LEN], head: &Head) -> Result<Bytes, ReadError> {
        let length = usize::try_from(head.payload_len).map_err(|_| self.bad_record(at))?;
        let id = self.read(at + HEAD_LEN as u64, head.id_len)?;
        let payload = self.read(at + head.payload_at(), length)?;
        let mut sum = format::checksum(bytes);
        sum.update(&id);
        sum.update(&payload);
        if sum.finalize() != head.crc {
            return Err(self.bad_record(at));
        }
        Ok(payload.into())
    }

    fn read(&self, at: u64, length: usize) -> Result<Vec<u8>, ReadError> {
        let read = self.sealed.source.read(at, length);
        read.map_err(|error| self.sealed.io(&error))
    }

    fn bad_record(&self, at: u64) -> ReadError {
        let cause = format!("the record at byte {at} does not match its checksum");
        self.sealed.damaged(cause)
    }
}

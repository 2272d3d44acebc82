//! Goes over the stored batches, from any row on.
//!
//! **Invariant:** at most one batch is read at a time, and it is held against its checksum first.

use std::sync::Arc;

use bytes::Bytes;

use super::pull::Pull;
use super::{ReadError, Sealed, Source};
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
    pull: Pull,
}

impl Cursor {
    /// A cursor over all batches, those without rows too.
    pub(super) fn start(sealed: &Arc<Sealed>) -> Self {
        Self {
            sealed: Arc::clone(sealed),
            at: HEADER_LEN,
            pull: Pull::default(),
        }
    }

    /// A cursor whose next batch with rows behind `row` is soon found.
    pub(super) fn near(sealed: &Arc<Sealed>, row: u64) -> Self {
        Self {
            sealed: Arc::clone(sealed),
            at: sealed.index.seek(row).unwrap_or(HEADER_LEN),
            pull: Pull::default(),
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
            match self.record(self.at, &wanted) {
                Ok((length, None)) => self.at += length,
                Ok((length, stored)) => {
                    self.at += length;
                    return Ok(stored);
                }
                // What another node sent may be whole on a third.
                Err(ReadError::Damaged { .. }) if self.turn_away() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// The length of the record at `at`, and what it holds if that counts and is wanted.
    fn record(
        &mut self,
        at: u64,
        wanted: impl Fn(&Head) -> bool,
    ) -> Result<(u64, Option<Stored>), ReadError> {
        let (bytes, head) = self.head(at)?;
        let counting = self.sealed.rows.saturating_sub(head.start).min(head.rows);
        let counts = counting > 0 || head.rows == 0;
        let stored = if head.kind == Kind::Batch && counts && wanted(&head) {
            Some(Stored {
                first: head.start,
                rows: head.rows,
                counting,
                data: self.payload(at, &bytes, &head)?,
            })
        } else {
            None
        };
        Ok((head.record_len(), stored))
    }

    /// Goes on with another node, if there is one left.
    fn turn_away(&mut self) -> bool {
        match &self.sealed.source {
            Source::Remote(remote) => remote.turn_away(&mut self.pull),
            Source::File(_) | Source::Memory(_) => false,
        }
    }

    fn head(&mut self, at: u64) -> Result<([u8; HEAD_LEN], Head), ReadError> {
        let bytes = self.read(at, HEAD_LEN)?;
        bytes
            .first_chunk()
            .and_then(|bytes| Some((*bytes, Head::parse(bytes)?)))
            .filter(|(_, head)| head.record_len() <= self.sealed.end - at)
            .ok_or_else(|| self.bad_record(at))
    }

    fn payload(
        &mut self,
        at: u64,
        bytes: &[u8; HEAD_LEN],
        head: &Head,
    ) -> Result<Bytes, ReadError> {
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

    fn read(&mut self, at: u64, length: usize) -> Result<Vec<u8>, ReadError> {
        let read = self.sealed.source.read(&mut self.pull, at, length);
        let counters = &self.sealed.counters;
        let from = match &self.sealed.source {
            Source::File(_) => &counters.disk,
            Source::Memory(_) => &counters.memory,
            Source::Remote(_) => &counters.node,
        };
        from.inc_by(length as u64);
        read.map_err(|error| self.sealed.io(&error))
    }

    fn bad_record(&self, at: u64) -> ReadError {
        let cause = format!("the record at byte {at} does not match its checksum");
        self.sealed.damaged(cause)
    }
}

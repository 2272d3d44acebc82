//! Reading sealed results: pages of JSON, a stream of CSV, one stream of Arrow.
//!
//! - `open`: a file counts only if length and hash match its manifest.
//! - `remote`, `pull`: a result that other nodes hold, read as it is needed; `serve`: their side.
//! - `cursor`: batches one after the other, from any row on.
//! - `ipc`: Arrow's messages, split without decoding, decoded without trusting.
//! - `page`, `csv`, `arrow`: what goes out.
//!
//! **Invariant:** one batch in memory per reader, of a download of Arrow two steps, each of half a MB
//! and a batch at most, one read while the other is sent; streams go on only when they are pulled; the
//! same request gives the same bytes, however often and wherever it is read.

mod arrow;

mod csv;
mod cursor;
pub(super) mod ipc;
mod open;
mod page;
mod pull;
mod remote;
mod schema;
mod serve;

#[cfg(test)]
mod tests;

use std::fs::File;
use std::io;
use std::sync::Arc;

use arrow_array::RecordBatch;
use bytes::Bytes;
use libra_proto::spark::data_type::StructField;
use libra_proto::types::JobId;
use rustix::buffer::spare_capacity;
use rustix::io::{pread, retry_on_intr};
use thiserror::Error;

use super::metrics::ReadCounters;
use super::render::{Cells, Column, RenderError};
use super::store::disk::{BrokenOff, Disk};
use super::store::index::Index;
use pull::Pull;
use remote::Remote;

pub use page::Page;
pub(crate) use remote::{file_id, opening_limit};
pub(crate) use serve::{Serving, prefix_hash};

/// A result that cannot be read here.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// This node does not hold the result, and none that does could be asked.
    #[error("the result of {job} is not stored here{tried}")]
    NotHere {
        /// Whose result.
        job: JobId,
        /// What came of asking other nodes, each after `; `.
        tried: String,
    },
    /// What is stored is not what the manifest names: ask another holder.
    #[error("result file of {job} is damaged: {cause}")]
    Damaged {
        /// Whose result.
        job: JobId,
        /// What does not fit.
        cause: String,
    },
    /// The disk refused.
    #[error("result file of {job}: {cause}")]
    Io {
        /// Whose result.
        job: JobId,
        /// What the operating system said.
        cause: String,
    },
    /// A column's values cannot be shown in this format; Arrow still can be downloaded.
    #[error("column `{column}` of the result of {job}: {source}")]
    Unsupported {
        /// Whose result.
        job: JobId,
        /// The column's name.
        column: String,
        /// Why.
        #[source]
        source: RenderError,
    },
}

/// One sealed result, open for reading. Cheap to clone; holds no batch.
#[derive(Debug, Clone)]
pub struct ResultReader {
    inner: Arc<Sealed>,
}

#[derive(Debug)]
struct Sealed {
    job: JobId,
    source: Source,
    /// Length of the file.
    end: u64,
    /// Rows that count: of the batch that holds the last one, more may be stored.
    rows: u64,
    truncated: bool,
    fields: Vec<StructField>,
    columns: Vec<Column>,
    index: Arc<Index>,
    disk: Disk,
    counters: ReadCounters,
}

/// Where a sealed file's bytes are.
#[derive(Debug)]
enum Source {
    File(File),
    /// All of them, a few KB: reading them needs no disk.
    Memory(Bytes),
    /// On other nodes.
    Remote(Remote),
}

impl Source {
    /// Reads exactly so many bytes; `pull` is where the one who reads is in a remote file.
    fn read(&self, pull: &mut Pull, at: u64, length: usize) -> io::Result<Vec<u8>> {
        match self {
            Self::Remote(remote) => remote.read(pull, at, length),
            Self::File(file) => {
                let mut bytes = Vec::with_capacity(length);
                while bytes.len() < length {
                    let from = at + bytes.len() as u64;
                    // Without writing zeros first; the capacity may be more than was asked for.
                    if retry_on_intr(|| pread(file, spare_capacity(&mut bytes), from))? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                }
                bytes.truncate(length);
                Ok(bytes)
            }
            Self::Memory(whole) => {
                let part = usize::try_from(at)
                    .ok()
                    .and_then(|at| whole.get(at..at.checked_add(length)?))
                    .ok_or(io::ErrorKind::UnexpectedEof)?;
                Ok(part.to_vec())
            }
        }
    }
}

impl ResultReader {
    /// The result's columns, in order; names may repeat.
    #[must_use]
    pub fn schema(&self) -> &[Column] {
        &self.inner.columns
    }

    /// Rows of the whole result.
    #[must_use]
    pub fn row_count(&self) -> u64 {
        self.inner.rows
    }

    /// Whether the result was cut at a limit.
    #[must_use]
    pub fn is_truncated(&self) -> bool {
        self.inner.truncated
    }

    /// Runs work on the open file where it may block.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, ReadError> {
        if let Source::Memory(_) = self.inner.source {
            return work();
        }
        let outcome = self.inner.disk.run(work).await;
        outcome.unwrap_or_else(|error| Err(self.inner.broken_off(&error)))
    }
}

impl Sealed {
    fn io(&self, error: &io::Error) -> ReadError {
        ReadError::Io {
            job: self.job,
            cause: error.to_string(),
        }
    }

    fn damaged(&self, cause: impl ToString) -> ReadError {
        ReadError::Damaged {
            job: self.job,
            cause: cause.to_string(),
        }
    }

    fn broken_off(&self, error: &BrokenOff) -> ReadError {
        ReadError::Io {
            job: self.job,
            cause: error.to_string(),
        }
    }

    /// Joins the columns' types with a batch's values.
    fn cells<'a>(&self, batch: &'a RecordBatch) -> Result<Vec<Cells<'a>>, ReadError> {
        if batch.num_columns() != self.fields.len() {
            let (stored, named) = (batch.num_columns(), self.fields.len());
            return Err(self.damaged(format!("a batch has {stored} columns, the schema {named}")));
        }
        let columns = self.fields.iter().zip(batch.columns());
        columns
            .map(|(field, column)| {
                let kind = field.data_type.clone().unwrap_or_default();
                Cells::new(&kind, column).map_err(|source| self.unsupported(&field.name, source))
            })
            .collect()
    }

    fn unsupported(&self, column: &str, source: RenderError) -> ReadError {
        ReadError::Unsupported {
            job: self.job,
            column: column.to_owned(),
            source,
        }
    }

    /// A row that cannot be rendered: which column it was is not worth the book-keeping.
    fn bad_row(&self, row: u64, source: &RenderError) -> ReadError {
        self.damaged(format!("row {row}: {source}"))
    }
}

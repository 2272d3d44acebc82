//! A whole result as one Arrow IPC stream: Spark sends every batch as a stream of its own, and such
//! streams, one behind the other, read back as the first batch only.
//!
//! **Invariant:** the schema message once, Spark's own batch messages byte for byte, one end marker.
//! Only a batch that a limit cut in its middle is encoded anew.

use std::io;
use std::sync::Arc;

use arrow_schema::Schema;
use bytes::{Bytes, BytesMut};
use futures::future::lazy;
use futures::{FutureExt, Stream, StreamExt, TryStreamExt, stream};
use tokio_util::task::AbortOnDropHandle;

use super::cursor::{Cursor, Stored};
use super::ipc::{self, IpcError, Message, Split};
use super::{ReadError, ResultReader, Sealed, schema};

/// Small messages are joined up to this size.
const CHUNK: usize = 64 << 10;

/// Bytes at which a step has read enough: a thread is woken once for a few batches.
const STEP: usize = 512 << 10;

/// Where a download is.
struct Progress {
    cursor: Cursor,
    /// The schema message that went out.
    schema: Option<(Bytes, Schema)>,
}

impl ResultReader {
    /// The whole result as one Arrow IPC stream, the same bytes on each read.
    ///
    /// The stream ends after its first error: when the file cannot be read.
    pub fn arrow_stream(&self) -> impl Stream<Item = Result<Bytes, ReadError>> + Send + use<> {
        let progress = Progress {
            cursor: Cursor::start(&self.inner),
            schema: None,
        };
        let reader = self.clone();
        // Each on its own, never in a future of the one who sends: a read that waits its turn is
        // given it also while its client takes nothing, and does not keep it from the others.
        let step = move |progress: Progress| {
            let reader = reader.clone();
            let read = async move { reader.run(move || progress.step()).await };
            AbortOnDropHandle::new(tokio::spawn(read))
        };
        let reader = self.clone();
        let steps = lazy(move |_| {
            stream::try_unfold(Some(step(progress)), move |reading| {
                let (reader, step) = (reader.clone(), step.clone());
                async move {
                    let Some(reading) = reading else {
                        return Ok(None);
                    };
                    let broken_off = |error| reader.inner.io(&io::Error::other(error));
                    let (chunks, progress) = reading.await.map_err(broken_off)??;
                    // Begins now, and is there when these chunks have been sent.
                    Ok(Some((chunks, progress.map(step))))
                }
            })
        });
        steps
            .flatten_stream()
            .map_ok(|chunks| stream::iter(chunks).map(Ok))
            .try_flatten()
    }
}

impl Progress {
    /// Reads a step on; the second part is `None` after the end marker.
    fn step(mut self) -> Result<(Vec<Bytes>, Option<Self>), ReadError> {
        let mut chunks = Vec::new();
        let mut joined = BytesMut::new();
        let mut read = 0;
        while read < STEP {
            let Some(stored) = self.cursor.next()? else {
                self.finish(&mut joined)?;
                chunks.push(joined.freeze());
                return Ok((chunks, None));
            };
            let sealed = Arc::clone(self.cursor.sealed());
            let messages = self
                .messages(&stored)
                .map_err(|error| sealed.damaged(error))?;
            for message in messages {
                read += message.len();
                if message.len() < CHUNK {
                    joined.extend_from_slice(&message);
                } else {
                    chunks.extend([joined.split().freeze(), message]);
                }
            }
        }
        chunks.push(joined.freeze());
        chunks.retain(|chunk| !chunk.is_empty());
        Ok((chunks, Some(self)))
    }

    /// What of a stored stream goes out.
    fn messages(&mut self, stored: &Stored) -> Result<Vec<Bytes>, IpcError> {
        let split = ipc::split(&stored.data)?;
        let mut out = Vec::new();
        if let Some((bytes, schema)) = &self.schema {
            check_same_schema(bytes, schema, &split)?;
        } else {
            let bytes = split.schema.bytes.clone();
            out.push(bytes.clone());
            self.schema = Some((bytes, ipc::schema(&split)?));
        }
        let batches = if stored.counting == stored.rows {
            split.batches
        } else {
            ipc::cut(&split, stored.counting)?
        };
        out.extend(batches.into_iter().map(|message: Message| message.bytes));
        Ok(out)
    }

    fn finish(&self, out: &mut BytesMut) -> Result<(), ReadError> {
        if self.schema.is_none() {
            let message = schema_message(self.cursor.sealed())?;
            out.extend_from_slice(&message.bytes);
        }
        out.extend_from_slice(ipc::END_OF_STREAM);
        Ok(())
    }
}

/// The schema message of a result of which not even an empty batch is stored.
fn schema_message(sealed: &Sealed) -> Result<Message, ReadError> {
    let schema = schema::arrow_schema(&sealed.fields)
        .map_err(|error| sealed.unsupported(&error.column, error.source))?;
    ipc::encode_schema(&schema).map_err(|error| sealed.damaged(error))
}

fn check_same_schema(bytes: &Bytes, schema: &Schema, split: &Split) -> Result<(), IpcError> {
    if *bytes == split.schema.bytes || *schema == ipc::schema(split)? {
        return Ok(());
    }
    Err(IpcError::Unexpected("another schema"))
}

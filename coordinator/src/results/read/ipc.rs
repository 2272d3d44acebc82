//! Arrow IPC streams: split into their messages, decoded, and cut.
//!
//! **Invariant:** splitting looks at message heads only, so that bodies go out exactly as Spark sent
//! them; strings are decoded as bytes, because Spark lets a string hold bytes that are not UTF-8,
//! for which Arrow would refuse the whole batch.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_buffer::Buffer;
use arrow_ipc::reader::RecordBatchDecoder;
use arrow_ipc::writer::StreamWriter;
use arrow_ipc::{MessageHeader, convert, root_as_message};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Schema};
use bytes::Bytes;
use thiserror::Error;

/// What begins every message.
const CONTINUATION: u32 = u32::MAX;

/// What ends a stream: a message without a head.
pub(in crate::results) const END_OF_STREAM: &[u8] = &[0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0];

/// A stream that is not as Arrow's format wants it.
#[derive(Debug, Error)]
pub(in crate::results) enum IpcError {
    #[error("an Arrow message is cut short or has no valid head")]
    BadMessage,
    #[error("an Arrow stream does not begin with a schema")]
    NoSchema,
    #[error("an Arrow stream holds a message of kind {0}, which Spark does not send")]
    Unexpected(&'static str),
    #[error("an Arrow batch does not decode: {0}")]
    Arrow(#[from] ArrowError),
    #[error("an Arrow batch names bytes that it does not have")]
    BadBuffers,
    #[error("an Arrow batch does not decode")]
    Undecodable,
}

/// One message with its frame: its head, and its body if it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::results) struct Message {
    /// The whole message as it was sent.
    pub(in crate::results) bytes: Bytes,
    /// Where its head is.
    head: std::ops::Range<usize>,
}

impl Message {
    fn body(&self) -> Bytes {
        self.bytes.slice(self.head.end..)
    }
}

/// A stream in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::results) struct Split {
    pub(in crate::results) schema: Message,
    /// Everything between schema and end marker.
    pub(in crate::results) batches: Vec<Message>,
}

/// Splits a stream into its messages.
pub(in crate::results) fn split(stream: &Bytes) -> Result<Split, IpcError> {
    let mut rest = stream.clone();
    let schema = next_message(&mut rest)?.ok_or(IpcError::NoSchema)?;
    if kind(&schema)? != MessageHeader::Schema {
        return Err(IpcError::NoSchema);
    }
    let mut batches = Vec::new();
    while let Some(message) = next_message(&mut rest)? {
        batches.push(message);
    }
    Ok(Split { schema, batches })
}

/// Takes the next message off; `None` at the end marker or the end of the bytes.
fn next_message(rest: &mut Bytes) -> Result<Option<Message>, IpcError> {
    if rest.is_empty() {
        return Ok(None);
    }
    let (marker, after) = rest.split_first_chunk().ok_or(IpcError::BadMessage)?;
    let (length, after) = after.split_first_chunk().ok_or(IpcError::BadMessage)?;
    if u32::from_le_bytes(*marker) != CONTINUATION {
        return Err(IpcError::BadMessage);
    }
    let length = u32::from_le_bytes(*length) as usize;
    if length == 0 {
        return Ok(None);
    }
    let head = after.get(..length).ok_or(IpcError::BadMessage)?;
    let message = root_as_message(head).map_err(|_| IpcError::BadMessage)?;
    let body = usize::try_from(message.bodyLength()).map_err(|_| IpcError::BadMessage)?;
    let end = (8 + length)
        .checked_add(body)
        .filter(|end| *end <= rest.len())
        .ok_or(IpcError::BadMessage)?;
    Ok(Some(Message {
        bytes: rest.split_to(end),
        head: 8..8 + length,
    }))
}

fn kind(message: &Message) -> Result<MessageHeader, IpcError> {
    let head = head(message)?;
    Ok(head.header_type())
}

fn head(message: &Message) -> Result<arrow_ipc::Message<'_>, IpcError> {
    let head = message.bytes.get(message.head.clone());
    root_as_message(head.unwrap_or_default()).map_err(|_| IpcError::BadMessage)
}

/// The schema of a stream as Arrow names it.
pub(in crate::results) fn schema(split: &Split) -> Result<Schema, IpcError> {
    let head = head(&split.schema)?;
    let schema = head.header_as_schema().ok_or(IpcError::NoSchema)?;
    Ok(convert::try_fb_to_schema(schema)?)
}

/// Decodes all batches of a stream, strings as bytes.
pub(in crate::results) fn decode(split: &Split) -> Result<Vec<RecordBatch>, IpcError> {
    // Arrow's decoder panics on some batches that are malformed; fuzzing found it. Nothing is
    // shared with it, so nothing is left half done.
    catch_unwind(AssertUnwindSafe(|| decode_all(split))).unwrap_or(Err(IpcError::Undecodable))
}

fn decode_all(split: &Split) -> Result<Vec<RecordBatch>, IpcError> {
    let schema = Arc::new(lenient_schema(&schema(split)?));
    let dictionaries = HashMap::new();
    let mut decoded = Vec::with_capacity(split.batches.len());
    for message in &split.batches {
        let head = head(message)?;
        let batch = head.header_as_record_batch().ok_or_else(|| {
            IpcError::Unexpected(head.header_type().variant_name().unwrap_or("?"))
        })?;
        let body = Buffer::from(message.body());
        check_buffers(&batch, body.len())?;
        let version = head.version();
        let decoder = RecordBatchDecoder::try_new(
            &body,
            batch,
            Arc::clone(&schema),
            &dictionaries,
            &version,
        )?;
        decoded.push(decoder.read_record_batch()?);
    }
    Ok(decoded)
}

/// Checks that the buffers of a batch lie in its body: the decoder takes their word for it.
fn check_buffers(batch: &arrow_ipc::RecordBatch<'_>, body: usize) -> Result<(), IpcError> {
    let inside = |buffer: &arrow_ipc::Buffer| {
        let (offset, length) = (
            usize::try_from(buffer.offset()),
            usize::try_from(buffer.length()),
        );
        let end = offset.ok().zip(length.ok());
        end.and_then(|(offset, length)| offset.checked_add(length))
            .is_some_and(|end| end <= body)
    };
    let mut buffers = batch.buffers().into_iter().flatten();
    if buffers.all(inside) {
        Ok(())
    } else {
        Err(IpcError::BadBuffers)
    }
}

/// Cuts a stream to its first rows: a schema message and batches that hold exactly them.
pub(in crate::results) fn cut(split: &Split, rows: u64) -> Result<Vec<Message>, IpcError> {
    let mut left = usize::try_from(rows).unwrap_or(usize::MAX);
    let mut kept = Vec::new();
    for batch in decode(split)? {
        let taken = left.min(batch.num_rows());
        if taken > 0 {
            kept.extend(encode(&batch.slice(0, taken))?.batches);
        }
        left -= taken;
    }
    Ok(kept)
}

fn encode(batch: &RecordBatch) -> Result<Split, IpcError> {
    let mut writer = StreamWriter::try_new(Vec::new(), &batch.schema())?;
    writer.write(batch)?;
    writer.finish()?;
    split(&writer.into_inner()?.into())
}

/// Encodes a schema as a message.
pub(in crate::results) fn encode_schema(schema: &Schema) -> Result<Message, IpcError> {
    let writer = StreamWriter::try_new(Vec::new(), schema)?;
    Ok(split(&writer.into_inner()?.into())?.schema)
}

/// The schema with strings as bytes of the same layout, and null allowed everywhere but where a map
/// cannot have it: whether a value is null is what its batch says.
fn lenient_schema(schema: &Schema) -> Schema {
    let fields = schema.fields().iter().map(lenient_field);
    Schema::new(fields.collect::<Vec<_>>())
}

fn lenient_field(field: &FieldRef) -> FieldRef {
    Arc::new(Field::new(field.name(), lenient(field.data_type()), true))
}

fn lenient(kind: &DataType) -> DataType {
    match kind {
        DataType::Utf8 => DataType::Binary,
        DataType::LargeUtf8 => DataType::LargeBinary,
        DataType::List(item) => DataType::List(lenient_field(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(lenient_field).collect()),
        DataType::Map(entries, sorted) => DataType::Map(lenient_entries(entries), *sorted),
        other => other.clone(),
    }
}

/// Arrow refuses a map whose entries or keys may be null.
fn lenient_entries(entries: &FieldRef) -> FieldRef {
    let kind = match entries.data_type() {
        DataType::Struct(fields) => {
            let parts = fields
                .iter()
                .enumerate()
                .map(|(at, field)| Field::new(field.name(), lenient(field.data_type()), at > 0));
            DataType::Struct(parts.collect())
        }
        other => other.clone(),
    };
    Arc::new(Field::new(entries.name(), kind, false))
}

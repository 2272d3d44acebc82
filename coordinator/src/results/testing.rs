//! What the tests of the store and of the reader share: results as Spark would send them.

use std::path::Path;
use std::sync::Arc;

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow_schema::{Field, Schema};
use bytes::Bytes;
use libra_actors::ports::{ResultPart, ResultStorePort};
use libra_proto::registry::ResultManifest;
use libra_proto::spark::DataType;
use libra_proto::spark::data_type::{self, Kind, StructField};
use libra_proto::types::{Epoch, JobId, NodeId};
use prost::Message;

use super::{Limits, ResultStore, StoreOptions};

pub(crate) const JOB: JobId = JobId(7);
pub(crate) const EPOCH: Epoch = Epoch(3);
pub(crate) const UNLIMITED: Limits = Limits {
    max_rows: u64::MAX,
    max_bytes: u64::MAX,
};

/// A Spark type.
pub(crate) fn spark(kind: Kind) -> DataType {
    DataType { kind: Some(kind) }
}

pub(crate) fn long() -> Kind {
    Kind::Long(data_type::Long {})
}

pub(crate) fn string() -> Kind {
    Kind::String(data_type::String::default())
}

pub(crate) fn field(name: &str, kind: Kind) -> StructField {
    StructField {
        name: name.to_owned(),
        data_type: Some(spark(kind)),
        nullable: true,
        metadata: None,
    }
}

pub(crate) fn structure(fields: Vec<StructField>) -> Kind {
    Kind::Struct(data_type::Struct { fields })
}

/// A schema as `ResultPart::Schema` carries it.
pub(crate) fn schema(fields: Vec<StructField>) -> ResultPart {
    ResultPart::Schema(spark(structure(fields)).encode_to_vec().into())
}

/// The columns of [`batch`].
pub(crate) fn columns() -> Vec<StructField> {
    vec![field("id", long()), field("name", string())]
}

/// An Arrow stream of one batch.
pub(crate) fn stream(
    columns: Vec<(&str, ArrayRef)>,
    compression: Option<CompressionType>,
) -> Bytes {
    let fields = columns
        .iter()
        .map(|(name, array)| Field::new(*name, array.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).unwrap();
    let options = IpcWriteOptions::default()
        .try_with_compression(compression)
        .unwrap();
    let mut writer = StreamWriter::try_new_with_options(Vec::new(), &schema, options).unwrap();
    writer.write(&batch).unwrap();
    writer.finish().unwrap();
    writer.into_inner().unwrap().into()
}

/// Rows `first` to `first + rows`: their number, and a text, null in every third and empty in every
/// fifth row.
pub(crate) fn batch(first: u64, rows: u64, compression: Option<CompressionType>) -> ResultPart {
    let ids = Int64Array::from_iter_values((first..first + rows).map(u64::cast_signed));
    let names = StringArray::from_iter((first..first + rows).map(name));
    let data = stream(
        vec![("id", Arc::new(ids)), ("name", Arc::new(names))],
        compression,
    );
    ResultPart::Batch {
        rows,
        start_offset: Some(first),
        data,
    }
}

/// The text of a row.
pub(crate) fn name(row: u64) -> Option<String> {
    match row {
        row if row.is_multiple_of(3) => None,
        row if row.is_multiple_of(5) => Some(String::new()),
        row => Some(format!("row, \"{row}\"")),
    }
}

/// A store in a folder.
pub(crate) async fn store(dir: &Path, limits: Limits) -> ResultStore {
    let options = StoreOptions {
        dir: dir.join("results"),
        node_id: NodeId(1),
        store_uuid: "uuid".to_owned(),
        inline_bytes: 0,
        limits,
    };
    ResultStore::open(options).await.unwrap()
}

/// Stores parts as the whole result of [`JOB`].
pub(crate) async fn stored(store: &ResultStore, parts: Vec<ResultPart>) -> ResultManifest {
    let mut writer = store.writer(JOB, EPOCH).await.unwrap();
    for (number, part) in parts.into_iter().enumerate() {
        writer.append(&format!("r{number}"), part).await.unwrap();
    }
    writer.append("end", ResultPart::Complete).await.unwrap();
    writer.seal().await.unwrap()
}

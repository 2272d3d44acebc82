//! What is read is what was stored: any page, the whole as CSV, the whole as one Arrow stream.

use std::sync::Arc;
use std::time::Duration;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{ArrayRef, BinaryArray, Int32Array, Int64Array, RecordBatch};
use arrow_ipc::CompressionType;
use arrow_ipc::reader::StreamReader;
use bytes::Bytes;
use futures::TryStreamExt;
use libra_actors::ports::ResultPart;
use libra_proto::spark::data_type::{self, Kind};

use super::*;
use crate::results::testing::{
    JOB, UNLIMITED, batch, columns, field, name, schema, spark, store, stored, stream, string,
    structure,
};
use crate::results::{Limits, RenderOptions, ResultStore};

const SIZES: [u64; 5] = [3, 0, 1, 5, 2];
const TOTAL: u64 = 11;

/// A result of several batches, of every compression.
fn parts() -> Vec<ResultPart> {
    let codecs = [
        None,
        Some(CompressionType::LZ4_FRAME),
        Some(CompressionType::ZSTD),
    ];
    let mut first = 0;
    let mut parts = vec![schema(columns())];
    for (size, codec) in SIZES.into_iter().zip(codecs.into_iter().cycle()) {
        parts.push(batch(first, size, codec));
        first += size;
    }
    parts
}

async fn reader_of(store: &ResultStore, parts: Vec<ResultPart>) -> ResultReader {
    let manifest = stored(store, parts).await;
    store.reader(JOB, &manifest).await.unwrap()
}

fn expected_rows(from: u64, to: u64) -> String {
    let rows = (from..to).map(|row| serde_json::json!([row, name(row)]).to_string());
    format!("[{}]", rows.collect::<Vec<_>>().join(","))
}

async fn arrow(reader: &ResultReader) -> Bytes {
    let chunks: Vec<Bytes> = reader.arrow_stream().try_collect().await.unwrap();
    chunks.concat().into()
}

async fn csv(reader: &ResultReader, offset: u64, limit: Option<u64>) -> String {
    let stream = reader.csv_stream(offset, limit);
    let chunks: Vec<Bytes> = stream.try_collect().await.unwrap();
    String::from_utf8(chunks.concat()).unwrap()
}

fn ids(stream: &Bytes) -> Vec<i64> {
    let reader = StreamReader::try_new(stream.as_ref(), None).unwrap();
    let batches: Vec<RecordBatch> = reader.map(Result::unwrap).collect();
    let ids = batches.iter().flat_map(|batch| {
        let ids = batch.column(0).as_primitive::<Int64Type>();
        ids.values().to_vec()
    });
    ids.collect()
}

#[tokio::test]
async fn any_page_of_any_size() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), UNLIMITED).await;
    let reader = reader_of(&store, parts()).await;
    assert_eq!((reader.row_count(), reader.is_truncated()), (TOTAL, false));
    for offset in 0..TOTAL + 2 {
        for limit in [0, 1, 2, 5, 100, u64::MAX] {
            let page = reader.page(offset, limit, RenderOptions::default()).await;
            let page = page.unwrap();
            let end = offset.saturating_add(limit).min(TOTAL).max(offset);
            assert_eq!(page.rows.get(), expected_rows(offset, end));
            assert_eq!((page.offset, page.page_rows), (offset, end - offset));
            assert_eq!(page.next, (end < TOTAL).then_some(end));
            assert_eq!(page.row_count, TOTAL);
        }
    }
}

#[tokio::test]
async fn csv_reads_back_and_tells_null_from_empty() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), UNLIMITED).await;
    let reader = reader_of(&store, parts()).await;
    let whole = csv(&reader, 0, None).await;
    let begin = "id,name\r\n0,\r\n1,\"row, \"\"1\"\"\"\r\n2,\"row, \"\"2\"\"\"\r\n3,\r\n";
    assert!(whole.starts_with(begin), "{whole}");
    assert!(whole.contains("\r\n5,\"\"\r\n"), "{whole}");
    let mut read = ::csv::Reader::from_reader(whole.as_bytes());
    let rows: Vec<(u64, String)> = read.deserialize().map(Result::unwrap).collect();
    let expected = (0..TOTAL).map(|row| (row, name(row).unwrap_or_default()));
    assert_eq!(rows, expected.collect::<Vec<_>>());
    assert_eq!(csv(&reader, 3, Some(2)).await.lines().count(), 3);
    assert!(csv(&reader, 10, None).await.starts_with("id,name\r\n10,"));
    assert_eq!(csv(&reader, 99, Some(2)).await, "id,name\r\n");
}

#[tokio::test]
async fn a_long_csv_comes_in_chunks() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), UNLIMITED).await;
    let long = vec![schema(columns()), batch(0, 20_000, None)];
    let reader = reader_of(&store, long).await;
    let chunks: Vec<Bytes> = reader.csv_stream(0, None).try_collect().await.unwrap();
    assert!(chunks.len() > 3);
    assert!(chunks.iter().all(|chunk| chunk.len() < 70 << 10));
    let lines = String::from_utf8(chunks.concat()).unwrap();
    assert_eq!(lines.lines().count(), 20_001);
}

#[tokio::test]
async fn arrow_is_one_stream_of_sparks_own_messages() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), UNLIMITED).await;
    let reader = reader_of(&store, parts()).await;
    let whole = arrow(&reader).await;
    assert_eq!(ids(&whole), (0..11).collect::<Vec<_>>());
    assert_eq!(arrow(&reader).await, whole, "the same bytes again");
    let mut sent = Vec::new();
    for part in parts() {
        let ResultPart::Batch { data, .. } = part else {
            continue;
        };
        let split = ipc::split(&data).unwrap();
        if sent.is_empty() {
            sent.extend_from_slice(&split.schema.bytes);
        }
        sent.extend(
            split
                .batches
                .iter()
                .flat_map(|message| message.bytes.to_vec()),
        );
    }
    sent.extend_from_slice(ipc::END_OF_STREAM);
    assert!(whole == sent, "byte for byte what Spark sent");
}

#[tokio::test]
async fn small_batches_are_downloaded_many_at_once_and_not_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), UNLIMITED).await;
    let batches = (0..100).map(|n| batch(n * 1000, 1000, None));
    let parts = [schema(columns())].into_iter().chain(batches).collect();
    let reader = reader_of(&store, parts).await;
    let chunks: Vec<Bytes> = reader.arrow_stream().try_collect().await.unwrap();
    let lengths: Vec<usize> = chunks.iter().map(Bytes::len).collect();
    let (last, whole) = lengths.split_last().unwrap();
    // A step ends with the batch that makes it half a MB.
    for length in whole {
        assert!((512 << 10..600 << 10).contains(length), "{lengths:?}");
    }
    assert!(whole.len() > 2 && *last < 600 << 10, "{lengths:?}");
    assert_eq!(
        ids(&chunks.concat().into()),
        (0..100_000).collect::<Vec<_>>()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_take_nothing_keep_nobody_from_reading() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), UNLIMITED).await;
    let batches = (0..4).map(|n| batch(n * 30_000, 30_000, None));
    let parts = [schema(columns())].into_iter().chain(batches).collect();
    let reader = reader_of(&store, parts).await;
    let mut stalled: Vec<_> = (0..100).map(|_| Box::pin(reader.arrow_stream())).collect();
    let firsts = stalled.iter_mut().map(|stream| stream.try_next());
    futures::future::try_join_all(firsts).await.unwrap();
    let page = reader.page(0, 1, RenderOptions::default());
    let page = tokio::time::timeout(Duration::from_secs(20), page).await;
    assert_eq!(page.unwrap().unwrap().rows.get(), expected_rows(0, 1));
    drop(stalled);
}

#[tokio::test]
async fn a_result_cut_inside_a_batch_ends_exactly_there() {
    let dir = tempfile::tempdir().unwrap();
    for max_rows in 0..TOTAL {
        let limits = Limits {
            max_rows,
            max_bytes: u64::MAX,
        };
        let store = store(&dir.path().join(max_rows.to_string()), limits).await;
        let reader = reader_of(&store, parts()).await;
        assert!(reader.is_truncated());
        let page = reader.page(0, 100, RenderOptions::default()).await.unwrap();
        assert_eq!(page.rows.get(), expected_rows(0, max_rows));
        assert_eq!(page.next, None);
        let whole = arrow(&reader).await;
        assert_eq!(ids(&whole), (0..max_rows.cast_signed()).collect::<Vec<_>>());
        assert_eq!(arrow(&reader).await, whole, "the same bytes again");
        let lines = csv(&reader, 0, None).await.lines().count();
        assert_eq!(lines as u64, max_rows + 1);
    }
}

#[tokio::test]
async fn without_a_batch_the_schema_is_made_from_sparks() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), UNLIMITED).await;
    let mut fields = columns();
    let repeated = vec![
        field("a", string()),
        field("b", string()),
        field("a", string()),
    ];
    fields.push(field("s", structure(repeated)));
    fields.push(field("v", Kind::Variant(data_type::Variant {})));
    fields.push(field(
        "m",
        Kind::Map(Box::new(data_type::Map {
            key_type: Some(Box::new(spark(string()))),
            value_type: Some(Box::new(spark(Kind::Timestamp(data_type::Timestamp {})))),
            value_contains_null: true,
        })),
    ));
    let reader = reader_of(&store, vec![schema(fields)]).await;
    let whole = arrow(&reader).await;
    let read = StreamReader::try_new(whole.as_ref(), None).unwrap();
    let schema = read.schema();
    let names: Vec<_> = schema
        .fields()
        .iter()
        .map(|field| field.name().as_str())
        .collect();
    assert_eq!(names, ["id", "name", "s", "v", "m"]);
    let inner = schema.field(2).data_type().to_string();
    assert!(inner.contains("a_0") && inner.contains("a_1"), "{inner}");
    assert_eq!(read.count(), 0);
    let page = reader.page(0, 9, RenderOptions::default()).await.unwrap();
    assert_eq!(page.rows.get(), "[]");
    let header = csv(&reader, 0, None).await;
    assert_eq!(header, "id,name,s,v,m\r\n");
}

#[tokio::test]
async fn statements_without_columns() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), UNLIMITED).await;
    let empty = ResultPart::Batch {
        rows: 0,
        start_offset: Some(0),
        data: {
            let schema = arrow_schema::Schema::empty();
            let writer = arrow_ipc::writer::StreamWriter::try_new(Vec::new(), &schema);
            writer.unwrap().into_inner().unwrap().into()
        },
    };
    let reader = reader_of(&store, vec![schema(vec![]), empty]).await;
    assert!(reader.schema().is_empty());
    let page = reader.page(0, 9, RenderOptions::default()).await.unwrap();
    assert_eq!(
        (page.rows.get(), page.row_count, page.next),
        ("[]", 0, None)
    );
    assert_eq!(csv(&reader, 0, None).await, "");
    let whole = arrow(&reader).await;
    let read = StreamReader::try_new(whole.as_ref(), None).unwrap();
    assert_eq!(read.count(), 0);
}

#[tokio::test]
async fn strings_of_any_bytes_do_not_spoil_their_batch() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), UNLIMITED).await;
    let values: ArrayRef = Arc::new(BinaryArray::from(vec![b"\xffA".as_slice(), b"ok"]));
    // Made as binary, then named a string in the schema: what Spark sends for `cast(X'ff41' as string)`.
    let data = stream(vec![("s", values)], None);
    let text = stream(
        vec![("s", Arc::new(arrow_array::StringArray::from(vec!["x"])))],
        None,
    );
    let (body, head) = (ipc::split(&data).unwrap(), ipc::split(&text).unwrap());
    let mut invalid = head.schema.bytes.to_vec();
    invalid.extend_from_slice(&body.batches[0].bytes);
    let part = ResultPart::Batch {
        rows: 2,
        start_offset: Some(0),
        data: invalid.into(),
    };
    let reader = reader_of(&store, vec![schema(vec![field("s", string())]), part]).await;
    let page = reader.page(0, 9, RenderOptions::default()).await.unwrap();
    assert_eq!(page.rows.get(), "[[\"\u{fffd}A\"],[\"ok\"]]");
    assert_eq!(csv(&reader, 0, None).await, "s\r\n\u{fffd}A\r\nok\r\n");
}

#[tokio::test]
async fn what_does_not_fit_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), UNLIMITED).await;
    let ints: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let part = |rows, columns| ResultPart::Batch {
        rows,
        start_offset: None,
        data: stream(columns, None),
    };
    for (number, (rows, columns, said)) in [
        (
            1,
            vec![("s", Arc::clone(&ints))],
            "column `s` of the result of job-7",
        ),
        (
            2,
            vec![("s", Arc::clone(&ints))],
            "a batch holds 1 rows, Spark said 2",
        ),
        (
            1,
            vec![("s", Arc::clone(&ints)), ("t", ints)],
            "a batch has 2 columns, the schema 1",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        store.remove(JOB).await.unwrap();
        let parts = vec![schema(vec![field("s", string())]), part(rows, columns)];
        let reader = reader_of(&store, parts).await;
        let page = reader.page(0, 9, RenderOptions::default()).await;
        let refused = page.unwrap_err().to_string();
        assert!(refused.contains(said), "{number}: {refused}");
        let stream = reader.csv_stream(0, None).try_collect::<Vec<_>>().await;
        assert!(stream.is_err(), "{number}");
    }
}

#[tokio::test]
async fn a_change_of_schema_inside_a_result_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), UNLIMITED).await;
    let other: ArrayRef = Arc::new(Int64Array::from(vec![1]));
    let part = ResultPart::Batch {
        rows: 1,
        start_offset: Some(3),
        data: stream(vec![("other", other)], None),
    };
    let reader = reader_of(&store, vec![schema(columns()), batch(0, 3, None), part]).await;
    let stream = reader.arrow_stream().try_collect::<Vec<_>>().await;
    assert!(matches!(stream, Err(ReadError::Damaged { .. })));
}

#[tokio::test]
async fn a_reader_that_has_begun_outlives_removal() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), UNLIMITED).await;
    let reader = reader_of(&store, parts()).await;
    assert_eq!(store.remove(JOB).await.unwrap(), 1);
    assert_eq!(ids(&arrow(&reader).await).len(), 11);
}

#[test]
fn streams_cut_anywhere_are_refused_or_shorter_but_never_panic() {
    let ResultPart::Batch { data, .. } = batch(0, 5, None) else {
        panic!("no batch");
    };
    for length in 0..data.len() {
        let split = ipc::split(&data.slice(..length));
        let batches = split.and_then(|split| ipc::decode(&split));
        let whole = batches.is_ok_and(|batches| batches.len() == 1);
        assert!(!whole || length >= data.len() - 8, "{length}");
    }
}

use std::time::Duration;

use libra_actors::spark::{Body, OperationState, SparkErrorKind};
use libra_proto::spark::{DataType, data_type};
use prost::Message as _;
use tokio::time::Instant;

use super::support::{id, open, open_with, read, run, sleeper, unique};

#[tokio::test]
async fn real_a_query_gives_schema_rows_and_an_end() {
    let spark = open().await.spark;
    let code = "SELECT id, 'é' AS text FROM range(10000)";
    let mut stream = spark.execute(&id(), code, "default").await.unwrap();
    let (mut names, mut rows, mut complete) = (Vec::new(), 0, false);
    while let Some(response) = stream.next().await.unwrap() {
        match response.body {
            Body::Schema(schema) => names = columns(&schema),
            Body::Batch {
                rows: n,
                start_offset,
                data,
            } => {
                assert_eq!(start_offset, Some(rows));
                assert!(!data.is_empty());
                rows += n;
            }
            Body::Complete => complete = true,
            Body::Progress {
                completed_tasks,
                total_tasks,
            } => {
                assert!(completed_tasks <= total_tasks);
            }
            Body::Other => {}
        }
    }
    assert_eq!(
        (names, rows, complete),
        (vec!["id".to_owned(), "text".to_owned()], 10_000, true)
    );
}

fn columns(schema: &[u8]) -> Vec<String> {
    match DataType::decode(schema).unwrap().kind {
        Some(data_type::Kind::Struct(row)) => row.fields.into_iter().map(|f| f.name).collect(),
        other => panic!("no struct: {other:?}"),
    }
}

#[tokio::test]
async fn real_commands_run_and_end_without_rows() {
    let spark = open().await.spark;
    for code in [
        "CREATE TEMP VIEW v AS SELECT 1 AS a",
        "SET spark.sql.shuffle.partitions=3",
        "SELECT * FROM v WHERE a = 2;",
        "DROP VIEW v",
    ] {
        let seen = run(&spark, code).await.unwrap();
        assert!(seen.complete, "{code}");
        assert!(seen.rows <= 1, "{code}");
    }
}

#[tokio::test]
async fn real_compressed_batches_arrive() {
    let mut plain = 0;
    for codec in ["none", "lz4", "zstd"] {
        let conf = [("spark.sql.execution.arrow.compression.codec", codec)];
        let spark = open_with(&conf).await.spark;
        let seen = run(&spark, "SELECT id, repeat('a', 100) FROM range(20000)")
            .await
            .unwrap();
        let bytes: usize = seen.batches.iter().map(Vec::len).sum();
        assert_eq!(seen.rows, 20_000, "{codec}");
        match codec {
            "none" => plain = bytes,
            _ => assert!(bytes < plain / 4, "{codec}: {bytes} of {plain}"),
        }
    }
}

/// 40 MB do not fit into the windows, so flow control has to hold Spark back and let it go on.
#[tokio::test]
async fn real_a_large_result_read_slowly_is_whole() {
    let spark = open().await.spark;
    let code = "SELECT id, repeat(uuid(), 100) FROM range(0, 10000, 1, 4)";
    let mut stream = spark.execute(&id(), code, "").await.unwrap();
    let (mut rows, mut bytes) = (0, 0);
    while let Some(response) = stream.next().await.unwrap() {
        if let Body::Batch { rows: n, data, .. } = response.body {
            rows += n;
            bytes += data.len();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    assert_eq!(rows, 10_000);
    assert!(bytes > 36_000_000, "{bytes}");
}

#[tokio::test]
async fn real_interrupt_ends_the_stream_at_once() {
    let spark = open().await.spark;
    let operation = id();
    assert!(
        !spark.interrupt(&operation).await.unwrap(),
        "nothing there yet"
    );
    let mut stream = spark
        .execute(&operation, &sleeper(unique(), 60), "")
        .await
        .unwrap();
    assert!(stream.next().await.unwrap().is_some());
    assert_eq!(
        spark.status(&operation).await.unwrap(),
        Some(OperationState::Running)
    );
    let asked = Instant::now();
    assert!(spark.interrupt(&operation).await.unwrap());
    let error = read(stream).await.unwrap_err();
    assert_eq!(error.kind, SparkErrorKind::OperationCanceled);
    assert_eq!(error.error.sql_state, "HY008");
    assert!(
        asked.elapsed() < Duration::from_secs(5),
        "{:?}",
        asked.elapsed()
    );
}

#[tokio::test]
async fn real_dropping_next_loses_nothing() {
    let spark = open().await.spark;
    let mut stream = spark
        .execute(&id(), "SELECT id FROM range(0, 300, 1, 30)", "")
        .await
        .unwrap();
    let (mut rows, mut complete, mut drops) = (0, false, 0);
    loop {
        let next = tokio::time::timeout(Duration::from_micros(200), stream.next()).await;
        match next.map(Result::unwrap) {
            Err(_) => drops += 1,
            Ok(None) => break,
            Ok(Some(response)) => match response.body {
                Body::Batch { rows: n, .. } => rows += n,
                Body::Complete => complete = true,
                Body::Schema(_) | Body::Progress { .. } | Body::Other => {}
            },
        }
    }
    assert!(drops > 0, "the test never dropped a wait");
    assert_eq!((rows, complete), (300, true));
}

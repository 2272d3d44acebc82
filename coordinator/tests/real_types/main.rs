//! Every SQL type of Spark 4.3 against a real server: through the client, the store and the reader.
//!
//! Needs a Spark Connect server, named by `LIBRA_TEST_SPARK`, e.g. `sc://127.0.0.1:15002`; without
//! it every test here fails and says so.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests"
)]

mod values;

use std::collections::BTreeMap;

use arrow_ipc::reader::StreamReader;
use bytes::Bytes;
use futures::TryStreamExt;
use libra_actors::ports::{Appended, ResultPart, ResultStorePort};
use libra_actors::spark::{Body, Client, ClientOptions, Endpoint, SparkSession};
use libra_coordinator::results::{Limits, RenderOptions, ResultReader, ResultStore, StoreOptions};
use libra_proto::types::{Epoch, JobId, NodeId};
use tempfile::TempDir;
use uuid::Uuid;

use values::{NESTED, PLAIN, TEMPORAL};

/// Types that Spark 4.3 has but does not offer by default, and small batches.
const CONF: &[(&str, &str)] = &[
    ("spark.sql.timeType.enabled", "true"),
    ("spark.sql.geospatial.enabled", "true"),
    ("spark.sql.timestampNanosTypes.enabled", "true"),
    ("spark.sql.execution.arrow.maxRecordsPerBatch", "1000"),
    ("spark.sql.session.timeZone", "America/New_York"),
];

const UNLIMITED: Limits = Limits {
    max_rows: u64::MAX,
    max_bytes: u64::MAX,
};

/// A Spark session, and a store to put its results in.
struct Bench {
    session: SparkSession,
    store: ResultStore,
    next_job: u64,
    _dir: TempDir,
}

impl Bench {
    async fn new(limits: Limits) -> Self {
        let remote = std::env::var("LIBRA_TEST_SPARK")
            .expect("LIBRA_TEST_SPARK must name a Spark Connect server, e.g. sc://127.0.0.1:15002");
        let endpoint = Endpoint::parse(&remote).unwrap();
        let client = Client::new(&endpoint, ClientOptions::default()).unwrap();
        let conf: BTreeMap<String, String> = CONF
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect();
        let id = Uuid::new_v4().to_string();
        let incarnation = client.open(&id, &conf).await.unwrap();
        let dir = tempfile::tempdir().unwrap();
        let options = StoreOptions {
            dir: dir.path().join("results"),
            node_id: NodeId(1),
            store_uuid: "test".to_owned(),
            inline_bytes: 0,
            limits,
        };
        Self {
            session: client.session(&incarnation),
            store: ResultStore::open(options).await.unwrap(),
            next_job: 1,
            _dir: dir,
        }
    }

    /// Runs a statement and opens what was stored of it.
    async fn run(&mut self, sql: &str) -> ResultReader {
        let job = JobId(self.next_job);
        self.next_job += 1;
        let operation = Uuid::new_v4().to_string();
        let mut writer = self.store.writer(job, Epoch(1)).await.unwrap();
        let started = self.session.execute(&operation, sql, "").await;
        let mut responses = started.unwrap_or_else(|error| panic!("{sql}: {error}"));
        let mut appended = Appended::More;
        while appended == Appended::More {
            let next = responses.next().await;
            let Some(response) = next.unwrap_or_else(|error| panic!("{sql}: {error}")) else {
                break;
            };
            if let Some(part) = part(response.body) {
                appended = writer.append(&response.response_id, part).await.unwrap();
            }
        }
        let manifest = writer.seal().await.unwrap();
        self.session.release(&operation).await.unwrap();
        self.store.reader(job, &manifest).await.unwrap()
    }
}

fn part(body: Body) -> Option<ResultPart> {
    match body {
        Body::Schema(schema) => Some(ResultPart::Schema(schema)),
        Body::Batch {
            rows,
            start_offset,
            data,
        } => Some(ResultPart::Batch {
            rows,
            start_offset,
            data,
        }),
        Body::Complete => Some(ResultPart::Complete),
        Body::Progress { .. } | Body::Other => None,
    }
}

async fn json(reader: &ResultReader) -> String {
    let page = reader.page(0, 10_000, RenderOptions::default()).await;
    page.unwrap().rows.get().to_owned()
}

async fn csv(reader: &ResultReader) -> String {
    let chunks: Vec<Bytes> = reader.csv_stream(0, None).try_collect().await.unwrap();
    String::from_utf8(chunks.concat()).unwrap()
}

/// The whole Arrow stream; it is read back, and its rows are counted.
async fn arrow(reader: &ResultReader) -> Bytes {
    let chunks: Vec<Bytes> = reader.arrow_stream().try_collect().await.unwrap();
    let whole: Bytes = chunks.concat().into();
    let read = StreamReader::try_new(whole.as_ref(), None).unwrap();
    let rows: usize = read.map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows as u64, reader.row_count());
    whole
}

fn types(reader: &ResultReader) -> Vec<&str> {
    let columns = reader.schema().iter();
    columns.map(|column| column.kind.as_str()).collect()
}

#[tokio::test]
async fn real_every_type_has_its_name_and_its_form() {
    let mut bench = Bench::new(UNLIMITED).await;
    let mut wrong = Vec::new();
    for (sql, kind, expected) in [PLAIN, TEMPORAL, NESTED].concat() {
        let reader = bench.run(&format!("SELECT {sql} AS c")).await;
        let (types, rows) = (types(&reader), json(&reader).await);
        if types != [kind] || rows != format!("[[{expected}]]") {
            wrong.push(format!("{sql}: {types:?} {rows}, not {kind} {expected}"));
        }
        assert_eq!(arrow(&reader).await, arrow(&reader).await, "{sql}");
        assert!(csv(&reader).await.starts_with("c\r\n"), "{sql}");
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What Spark's own `DESCRIBE` says of a type is what the schema says.
#[tokio::test]
async fn real_types_are_named_as_describe_names_them() {
    let mut bench = Bench::new(UNLIMITED).await;
    for (sql, kind, _) in [PLAIN, TEMPORAL, NESTED].concat() {
        let reader = bench
            .run(&format!("DESCRIBE QUERY SELECT {sql} AS c"))
            .await;
        let expected = serde_json::json!([["c", kind, null]]);
        assert_eq!(json(&reader).await, expected.to_string(), "{sql}");
    }
}

#[tokio::test]
async fn real_char_and_varchar_columns_show_their_declared_type() {
    let mut bench = Bench::new(UNLIMITED).await;
    let table = format!("libra_{}", Uuid::new_v4().simple());
    let made = bench
        .run(&format!(
            "CREATE TABLE {table} (c CHAR(5), v VARCHAR(5), s STRUCT<x: VARCHAR(3)>) USING parquet"
        ))
        .await;
    assert_eq!((types(&made), made.row_count()), (vec![], 0), "DDL");
    assert_eq!(json(&made).await, "[]");
    arrow(&made).await;
    bench
        .run(&format!(
            "INSERT INTO {table} VALUES ('ab', 'cd', struct('x'))"
        ))
        .await;
    let reader = bench.run(&format!("SELECT * FROM {table}")).await;
    bench.run(&format!("DROP TABLE {table}")).await;
    assert_eq!(
        types(&reader),
        ["char(5)", "varchar(5)", "struct<x:varchar(3)>"]
    );
    assert_eq!(json(&reader).await, r#"[["ab   ","cd",{"x":"x"}]]"#);
}

#[tokio::test]
async fn real_odd_results() {
    let mut bench = Bench::new(UNLIMITED).await;
    for (sql, names, rows) in [
        ("SELECT 1 AS a, 2 AS a", vec!["a", "a"], "[[1,2]]"),
        ("SELECT id FROM range(0)", vec!["id"], "[]"),
        (
            "BEGIN SELECT 1 AS a; SELECT 2 AS b; END",
            vec!["b"],
            "[[2]]",
        ),
        ("CREATE OR REPLACE TEMP VIEW v AS SELECT 1", vec![], "[]"),
        (
            "SELECT cast(X'ff41' AS string) AS s",
            vec!["s"],
            "[[\"\u{fffd}A\"]]",
        ),
        (
            "SET spark.sql.timeType.enabled",
            vec!["key", "value"],
            r#"[["spark.sql.timeType.enabled","true"]]"#,
        ),
    ] {
        let reader = bench.run(sql).await;
        let columns = reader.schema().iter().map(|column| column.name.as_str());
        assert_eq!(columns.collect::<Vec<_>>(), names, "{sql}");
        assert_eq!(json(&reader).await, rows, "{sql}");
        let bytes = reader.arrow_stream().try_collect::<Vec<_>>().await;
        assert!(bytes.is_ok(), "{sql}");
    }
}

/// Rows of many batches, in each of Spark's compressions and widths of strings.
#[tokio::test]
async fn real_many_batches_of_every_encoding() {
    let mut bench = Bench::new(UNLIMITED).await;
    let sql = "SELECT id, if(id % 7 = 0, null, concat('s', id)) AS s, map(id, cast(id AS decimal(20,3))) AS m, \
               if(id % 5 = 0, null, parse_json(concat('[', id, ']'))) AS v FROM range(0, 5000, 1, 3)";
    let value = |id: u64| {
        let s = (!id.is_multiple_of(7)).then(|| format!("s{id}"));
        let v = (!id.is_multiple_of(5)).then_some([id]);
        serde_json::json!([id, s, [[id, format!("{id}.000")]], v])
    };
    let expected: Vec<_> = (0..5000).map(value).collect();
    let expected = serde_json::Value::from(expected).to_string();
    for codec in ["none", "lz4", "zstd"] {
        for large in ["false", "true"] {
            bench
                .run(&format!(
                    "SET spark.sql.execution.arrow.compression.codec={codec}"
                ))
                .await;
            bench
                .run(&format!(
                    "SET spark.sql.execution.arrow.useLargeVarTypes={large}"
                ))
                .await;
            let reader = bench.run(sql).await;
            assert_eq!(json(&reader).await, expected, "{codec}, large: {large}");
            assert_eq!(csv(&reader).await.lines().count(), 5001);
            arrow(&reader).await;
        }
    }
}

#[tokio::test]
async fn real_a_limit_cuts_exactly_there() {
    let limits = Limits {
        max_rows: 2_345,
        max_bytes: u64::MAX,
    };
    let mut bench = Bench::new(limits).await;
    for codec in ["none", "zstd"] {
        bench
            .run(&format!(
                "SET spark.sql.execution.arrow.compression.codec={codec}"
            ))
            .await;
        let sql = "SELECT id, concat('s', id) AS s FROM range(0, 100000, 1, 3)";
        let reader = bench.run(sql).await;
        assert!(reader.is_truncated());
        assert_eq!(reader.row_count(), 2_345);
        let rows: Vec<_> = (0..2_345)
            .map(|id| serde_json::json!([id, format!("s{id}")]))
            .collect();
        assert_eq!(
            json(&reader).await,
            serde_json::Value::from(rows).to_string()
        );
        assert_eq!(arrow(&reader).await, arrow(&reader).await);
    }
    let whole = bench.run("SELECT id FROM range(0, 2345, 1, 3)").await;
    assert!(!whole.is_truncated(), "exactly the limit is not cut");
}

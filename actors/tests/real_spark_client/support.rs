//! A session on the real server, and Spark's own count of what it ran.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use libra_actors::spark::{
    Body, Client, ClientOptions, Endpoint, ResponseStream, SparkError, SparkSession,
};
use libra_proto::registry::Incarnation;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

pub(crate) fn endpoint() -> Endpoint {
    let Ok(text) = std::env::var("LIBRA_TEST_SPARK") else {
        panic!("set LIBRA_TEST_SPARK to a Spark Connect server, such as sc://127.0.0.1:15002");
    };
    Endpoint::parse(&text).unwrap()
}

/// `http://host:port` of Spark's web UI.
pub(crate) fn ui() -> String {
    std::env::var("LIBRA_TEST_SPARK_UI").expect(
        "set LIBRA_TEST_SPARK_UI to the web UI of that server, such as http://127.0.0.1:4040",
    )
}

pub(crate) fn id() -> String {
    Uuid::new_v4().to_string()
}

pub(crate) fn client() -> Client {
    Client::new(&endpoint(), ClientOptions::default()).unwrap()
}

pub(crate) struct Opened {
    pub(crate) incarnation: Incarnation,
    pub(crate) spark: SparkSession,
}

pub(crate) async fn open() -> Opened {
    open_with(&[]).await
}

pub(crate) async fn open_with(conf: &[(&str, &str)]) -> Opened {
    let client = client();
    let conf: BTreeMap<_, _> = conf
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let incarnation = client.open(&id(), &conf).await.unwrap();
    Opened {
        spark: client.session(&incarnation),
        incarnation,
    }
}

/// Everything that a stream gives up to its end.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) ids: Vec<String>,
    pub(crate) schema: bool,
    pub(crate) rows: u64,
    pub(crate) batches: Vec<Vec<u8>>,
    pub(crate) complete: bool,
}

pub(crate) async fn read(mut stream: ResponseStream) -> Result<Seen, SparkError> {
    let mut seen = Seen::default();
    while let Some(response) = stream.next().await? {
        seen.ids.push(response.response_id);
        match response.body {
            Body::Schema(_) => seen.schema = true,
            Body::Batch { rows, data, .. } => {
                seen.rows += rows;
                seen.batches.push(data.to_vec());
            }
            Body::Complete => seen.complete = true,
            Body::Progress { .. } | Body::Other => {}
        }
    }
    assert!(
        stream.next().await.unwrap().is_none(),
        "an ended stream stays ended"
    );
    Ok(seen)
}

pub(crate) async fn run(spark: &SparkSession, code: &str) -> Result<Seen, SparkError> {
    read(spark.execute(&id(), code, "").await?).await
}

/// A number that no other statement holds, by which Spark's list of executions is searched.
pub(crate) fn unique() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let micros = u64::try_from(now.as_micros()).unwrap() % 1_000_000_000_000;
    1_000_000_000_000_000 + micros * 1000 + NEXT.fetch_add(1, Ordering::Relaxed)
}

/// A statement of `seconds` that holds the number `mark` and computes nothing.
pub(crate) fn sleeper(mark: u64, seconds: u64) -> String {
    let millis = seconds * 1000;
    format!(
        "SELECT {mark}, reflect('java.lang.Thread', 'sleep', bigint({millis} + id)) FROM range(1)"
    )
}

/// How often Spark ran a plan with the number `mark`, by its REST API.
pub(crate) async fn executions(incarnation: &Incarnation, mark: u64) -> usize {
    let ui = ui();
    let authority = ui.strip_prefix("http://").expect("http://host:port");
    let path = format!(
        "/api/v1/applications/{}/sql?details=true&planDescription=true&length=100000",
        incarnation.app_id
    );
    let list = get(authority, &path).await;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let mark = mark.to_string();
    let plan = |e: &serde_json::Value| e["planDescription"].as_str().unwrap_or("").contains(&mark);
    list.as_array()
        .unwrap()
        .iter()
        .filter(|execution| plan(execution))
        .count()
}

/// Spark answers 404 when it drops an old entry of a list while it makes it: asked again then.
async fn get(authority: &str, path: &str) -> String {
    for _ in 0..5 {
        let (head, body) = ask(authority, path).await;
        if head.contains(" 200 ") {
            return body;
        }
        assert!(head.contains(" 404 "), "{head}");
    }
    panic!("{path}: 404 again and again");
}

async fn ask(authority: &str, path: &str) -> (String, String) {
    let mut connection = TcpStream::connect(authority).await.unwrap();
    let request = format!("GET {path} HTTP/1.0\r\nHost: {authority}\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

/// Waits until `probe` gives something.
pub(crate) async fn wait_for<T, F>(what: &str, mut probe: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = probe().await {
            return found;
        }
        assert!(Instant::now() < deadline, "waited too long: {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

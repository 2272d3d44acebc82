use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libra_actors::spark::{Client, ClientOptions, Endpoint, SparkErrorKind};
use libra_proto::registry::Incarnation;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::support::{Opened, endpoint, executions, id, open, read, sleeper, unique};

const LIMIT: Duration = Duration::from_secs(1);

fn impatient() -> ClientOptions {
    ClientOptions {
        connect_timeout: LIMIT,
        request_timeout: LIMIT,
        open_timeout: LIMIT,
        idle_limit: LIMIT,
        ..ClientOptions::default()
    }
}

fn client_of(address: std::net::SocketAddr, options: ClientOptions) -> Client {
    let endpoint = Endpoint::parse(&format!("sc://{address}/;user_id=libra")).unwrap();
    Client::new(&endpoint, options).unwrap()
}

fn somebody() -> Incarnation {
    Incarnation {
        spark_session_id: id(),
        server_side_session_id: id(),
        spark_user_id: "libra".to_owned(),
        ..Incarnation::default()
    }
}

#[tokio::test]
async fn a_refused_port_is_told_from_silence() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let client = client_of(address, impatient());
    let error = client.open(&id(), &BTreeMap::new()).await.unwrap_err();
    assert_eq!(error.kind, SparkErrorKind::Refused, "{error}");
    assert_eq!(error.error.error_class, "LIBRA_SPARK_UNREACHABLE");
    assert!(
        error.error.message.contains(&address.to_string()),
        "{error}"
    );
    let session = client.session(&somebody());
    assert_eq!(
        session
            .execute(&id(), "SELECT 1", "")
            .await
            .unwrap_err()
            .kind,
        SparkErrorKind::Refused
    );
    assert_eq!(
        session.keep_alive().await.unwrap_err().kind,
        SparkErrorKind::Refused
    );
}

/// A listener that accepts and never answers: what a black hole looks like from here.
#[tokio::test]
async fn a_black_hole_ends_within_the_limits() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((connection, _)) = listener.accept().await {
            held.push(connection);
        }
    });
    let client = client_of(address, impatient());
    let session = client.session(&somebody());
    let operation = id();
    let begun = Instant::now();
    let unary = session.keep_alive().await.unwrap_err();
    assert_eq!(unary.kind, SparkErrorKind::Unreachable, "{unary}");
    assert!(begun.elapsed() < LIMIT * 2, "{:?}", begun.elapsed());
    let begun = Instant::now();
    let streamed = session
        .execute(&operation, "SELECT 1", "")
        .await
        .unwrap_err();
    assert_eq!(streamed.kind, SparkErrorKind::Unreachable, "{streamed}");
    // The idle limit, then the question whether Spark is there.
    assert!(begun.elapsed() < LIMIT * 3, "{:?}", begun.elapsed());
    let opened = client.open(&id(), &BTreeMap::new()).await.unwrap_err();
    assert_eq!(opened.kind, SparkErrorKind::Unreachable, "{opened}");
    accepting.abort();
}

#[tokio::test]
async fn what_is_no_spark_is_unreachable() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let accepting = tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let _ = connection.read(&mut [0; 64]).await;
            let _ = connection
                .write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await;
        }
    });
    let error = client_of(address, impatient())
        .open(&id(), &BTreeMap::new())
        .await
        .unwrap_err();
    assert_eq!(error.kind, SparkErrorKind::Unreachable, "{error}");
    accepting.abort();
}

/// Carries connections to the real Spark; can be frozen, or cut and re-opened.
struct Proxy {
    address: std::net::SocketAddr,
    mode: watch::Sender<Mode>,
    accepted: Arc<AtomicUsize>,
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    Carry,
    Freeze,
    Cut,
}

impl Proxy {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (mode, modes) = watch::channel(Mode::Carry);
        let target = endpoint().name().trim_start_matches("sc://").to_owned();
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = accepted.clone();
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(carry(connection, target.clone(), modes.clone()));
            }
        });
        Self {
            address,
            mode,
            accepted,
        }
    }
}

async fn carry(mut here: TcpStream, target: String, mut modes: watch::Receiver<Mode>) {
    if *modes.borrow() == Mode::Cut {
        return;
    }
    let mut there = TcpStream::connect(target).await.unwrap();
    loop {
        let mode = *modes.borrow_and_update();
        match mode {
            Mode::Cut => return,
            // A connection that was frozen once stays so until it is cut.
            Mode::Freeze => drop(modes.wait_for(|mode| *mode == Mode::Cut).await),
            Mode::Carry => tokio::select! {
                _ = copy_bidirectional(&mut here, &mut there) => return,
                changed = modes.changed() => if changed.is_err() { return },
            },
        }
    }
}

async fn behind(proxy: &Proxy, options: ClientOptions) -> Opened {
    let client = client_of(proxy.address, options);
    let incarnation = client.open(&id(), &BTreeMap::new()).await.unwrap();
    Opened {
        spark: client.session(&incarnation),
        incarnation,
    }
}

#[tokio::test]
async fn real_a_cut_connection_is_unreachable_and_comes_back() {
    let proxy = Proxy::start().await;
    let opened = behind(&proxy, ClientOptions::default()).await;
    let (operation, mark) = (id(), unique());
    let mut stream = opened
        .spark
        .execute(&operation, &sleeper(mark, 3), "")
        .await
        .unwrap();
    let first = stream.next().await.unwrap().unwrap();
    proxy.mode.send(Mode::Cut).unwrap();
    let error = read(stream).await.unwrap_err();
    assert_eq!(error.kind, SparkErrorKind::Unreachable, "{error}");
    assert_eq!(
        opened.spark.keep_alive().await.unwrap_err().kind,
        SparkErrorKind::Unreachable
    );
    proxy.mode.send(Mode::Carry).unwrap();
    let rest = opened
        .spark
        .reattach(&operation, Some(&first.response_id))
        .await
        .unwrap();
    assert!(read(rest).await.unwrap().complete);
    assert_eq!(executions(&opened.incarnation, mark).await, 1);
}

/// The dead connection is given up by its pings, and the next call makes a new one.
#[tokio::test]
async fn real_a_frozen_connection_is_replaced() {
    let proxy = Proxy::start().await;
    let pings = Duration::from_secs(1);
    let options = ClientOptions {
        ping_interval: pings,
        ping_timeout: pings,
        request_timeout: Duration::from_secs(5),
        idle_limit: Duration::from_secs(20),
        ..ClientOptions::default()
    };
    let opened = behind(&proxy, options).await;
    let operation = id();
    let mut stream = opened
        .spark
        .execute(&operation, &sleeper(unique(), 5), "")
        .await
        .unwrap();
    let first = stream.next().await.unwrap().unwrap();
    proxy.mode.send(Mode::Freeze).unwrap();
    let frozen = Instant::now();
    let error = read(stream).await.unwrap_err();
    assert_eq!(error.kind, SparkErrorKind::Unreachable, "{error}");
    assert!(
        frozen.elapsed() < Duration::from_secs(8),
        "{:?}",
        frozen.elapsed()
    );
    proxy.mode.send(Mode::Carry).unwrap();
    let rest = opened
        .spark
        .reattach(&operation, Some(&first.response_id))
        .await
        .unwrap();
    assert!(read(rest).await.unwrap().complete);
}

/// A statement that says nothing for longer than the idle limit is left in peace while Spark
/// itself answers.
#[tokio::test]
async fn real_a_silent_statement_is_waited_for_while_spark_answers() {
    let opened = open().await;
    let client = Client::new(
        &endpoint(),
        ClientOptions {
            idle_limit: Duration::from_millis(700),
            ..ClientOptions::default()
        },
    );
    let spark = client.unwrap().session(&opened.incarnation);
    let seen = read(
        spark
            .execute(&id(), &sleeper(unique(), 5), "")
            .await
            .unwrap(),
    )
    .await
    .unwrap();
    assert!(seen.complete);
}

/// Spark's server closes connections that ping while idle; ours must outlive a pause.
#[tokio::test]
async fn real_an_idle_connection_stays_open() {
    let proxy = Proxy::start().await;
    let options = ClientOptions {
        ping_interval: Duration::from_millis(200),
        ..ClientOptions::default()
    };
    let opened = behind(&proxy, options).await;
    opened.spark.keep_alive().await.unwrap();
    sleep(Duration::from_secs(3)).await;
    timeout(LIMIT, opened.spark.keep_alive())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(proxy.accepted.load(Ordering::Relaxed), 1);
}

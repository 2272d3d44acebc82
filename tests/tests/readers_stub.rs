//! Readers that are slow, stop, or vanish: what they cost is bounded, and everything they held
//! comes back.
//!
//! **Invariant:** the result is far bigger than the memory that is allowed for all readers of it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::future::try_join_all;
use libra_tests::harness::{Libra, State, Statement, Submit, until};
use libra_tests::stub::engine::Settings;
use libra_tests::stub::server::StubSpark;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const SOON: Duration = Duration::from_secs(60);
const READERS: usize = 50;
/// 200 000 rows of 258 bytes: 50 MB, in batches of a quarter of a megabyte.
const BIG: &str = "/* stub: rows=200000 row_bytes=250 batch_rows=1000 */ SELECT 1";
const BIG_BYTES: usize = 50_000_000;
/// For 50 readers at once: a few batches each, not the result.
const MOST_GROWN_MB: f64 = 150.0;
const STALLED_SECONDS: u64 = 4;
const STREAMS: &str = "libra.http.streams";
const REQUESTS: &str = "http.server.requests.active";

async fn started() -> Result<(StubSpark, Libra)> {
    let stub = StubSpark::start(Settings::default()).await?;
    let libra = Libra::on(&stub.connection_string())
        .set("libra.limits.stalled-reader-seconds", STALLED_SECONDS)
        .start()
        .await?;
    Ok((stub, libra))
}

/// A client with a small window that has sent its request and reads nothing yet.
async fn asks(libra: &Libra, path: &str, accept: &str) -> Result<TcpStream> {
    let base = libra.api.base();
    let address = base.strip_prefix("http://").context("no address")?;
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4_096)?;
    let mut stream = socket.connect(address.parse()?).await?;
    let head = format!("GET /api/v1/{path} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n");
    stream.write_all(head.as_bytes()).await?;
    Ok(stream)
}

/// One that has read the first KiB.
async fn begins(libra: &Libra, path: &str, accept: &str) -> Result<TcpStream> {
    let mut stream = asks(libra, path, accept).await?;
    let mut first = [0; 1_024];
    tokio::time::timeout(SOON, stream.read_exact(&mut first)).await??;
    ensure!(
        first.starts_with(b"HTTP/1.1 200 "),
        "{}",
        first.escape_ascii()
    );
    Ok(stream)
}

/// Readers of all forms.
async fn many(libra: &Libra, job: &str) -> Result<Vec<TcpStream>> {
    let path = format!("statements/{job}/result");
    let forms = ["application/vnd.apache.arrow.stream", "text/csv"];
    let readers = (0..READERS).map(|n| begins(libra, &path, forms[n % forms.len()]));
    try_join_all(readers).await
}

async fn metric(libra: &Libra, name: &str) -> Result<f64> {
    let path = format!("/actuator/metrics/{name}");
    let view: Value = libra.api.get(&path).await?.json(&[200])?;
    view["measurements"][0]["value"]
        .as_f64()
        .context("no value")
}

async fn until_metric(libra: &Libra, name: &str, wanted: f64) -> Result<()> {
    until(&format!("{name} to be {wanted}"), SOON, || async {
        Ok(metric(libra, name).await? <= wanted)
    })
    .await
}

fn resident_mb(libra: &Libra) -> Result<f64> {
    let pid = libra.pid().context("libra does not run")?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB"));
    Ok(kib.context("no VmRSS")?.parse::<f64>()? * 1024.0 / 1e6)
}

async fn big_result(libra: &Libra) -> Result<Statement> {
    let ended = libra.api.run("default", &Submit::sql(BIG), SOON).await?;
    ensure!(ended.state == State::Succeeded, "{:?}", ended.error);
    Ok(ended)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_that_stop_cost_a_few_batches_each_and_are_cut_off() -> Result<()> {
    let (_stub, libra) = started().await?;
    let job = big_result(&libra).await?.job_id;
    ensure!(libra.api.arrow(&job).await?.len() > BIG_BYTES);
    let before = resident_mb(&libra)?;

    let stalled = many(&libra, &job).await?;
    assert_eq!(metric(&libra, STREAMS).await?, READERS as f64);
    let grown = resident_mb(&libra)? - before;
    println!("{READERS} stalled readers: {grown:.1} MB over {before:.1} MB");
    assert!(grown < MOST_GROWN_MB, "{grown} MB");
    until_metric(&libra, STREAMS, 0.0).await?;
    drop(stalled);

    // One that goes on reading gets everything.
    let path = format!("statements/{job}/result?limit=20000");
    let mut reader = begins(&libra, &path, "text/csv").await?;
    let (mut total, mut buffer) = (0, vec![0; 64 << 10]);
    loop {
        let read = tokio::time::timeout(SOON, reader.read(&mut buffer)).await??;
        total += read;
        if read == 0 || buffer[..read].ends_with(b"\r\n0\r\n\r\n") {
            break;
        }
    }
    assert!(total > 5_000_000, "{total} bytes");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_vanishing_readers_held_comes_back() -> Result<()> {
    let (_stub, libra) = started().await?;
    let job = big_result(&libra).await?.job_id;
    for _ in 0..3 {
        let readers = many(&libra, &job).await?;
        assert!(metric(&libra, STREAMS).await? >= READERS as f64);
        drop(readers);
        until_metric(&libra, STREAMS, 0.0).await?;
    }
    assert_eq!(libra.api.arrow(&job).await?.len() / BIG_BYTES, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_that_vanish_and_event_streams_that_nobody_reads_end() -> Result<()> {
    let (_stub, libra) = started().await?;
    let hanging = Submit::sql("/* stub: hang */ SELECT 1");
    let job = libra.api.submit("default", &hanging).await?.job_id;

    let path = format!("statements/{job}?wait=60");
    let polls = (0..READERS).map(|_| asks(&libra, &path, "application/json"));
    let polls = try_join_all(polls).await?;
    until("the polls to wait", SOON, || async {
        Ok(metric(&libra, REQUESTS).await? > READERS as f64)
    })
    .await?;
    drop(polls);
    // The request that asks is in work itself.
    until_metric(&libra, REQUESTS, 1.0).await?;

    let path = format!("statements/{job}/events");
    let unread = (0..READERS).map(|_| asks(&libra, &path, "text/event-stream"));
    let mut unread = try_join_all(unread).await?;
    until("the streams to be open", SOON, || async {
        Ok(metric(&libra, STREAMS).await? >= READERS as f64)
    })
    .await?;
    // Half of them vanish, the others stay and never read.
    unread.truncate(READERS / 2);
    until_metric(&libra, STREAMS, (READERS / 2) as f64).await?;
    libra.api.cancel("default", &job).await?;
    until_metric(&libra, STREAMS, 0.0).await?;
    drop(unread);
    Ok(())
}

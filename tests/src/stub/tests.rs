//! The shell: connections and calls that go wrong, and time that passes by itself.

use std::time::{Duration, Instant};

use tonic::Code;

use super::conformance::probe::{Probe, new_id};
use super::conformance::reading::failed;
use super::engine::{Outcome, Settings};
use super::faults::{Fault, Lose, Method};
use super::net::Mode;
use super::server::StubSpark;

const LIMIT: Duration = Duration::from_secs(20);
/// A statement that runs until it is interrupted.
const HANG: &str = "/* stub: hang */ SELECT 1";

async fn started() -> (StubSpark, Probe) {
    let settings = Settings {
        restart_ms: 50,
        ..Settings::default()
    };
    let stub = StubSpark::start(settings).await.unwrap();
    let probe = Probe::at(&stub.endpoint()).await.unwrap();
    (stub, probe)
}

fn fault(method: Method) -> Fault {
    Fault {
        method,
        delay_ms: 0,
        lose: Lose::Nothing,
        cut_after: None,
        times: 1,
    }
}

async fn until(what: &str, look: impl Fn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !look() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_lost_answer_has_taken_effect_a_lost_request_has_not() {
    let (stub, probe) = started().await;
    for (lose, runs) in [(Lose::Request, 0), (Lose::Answer, 1)] {
        let operation = new_id();
        stub.faults().add(Fault {
            lose,
            ..fault(Method::ExecutePlan)
        });
        let read = probe.execute(&operation, "SELECT 1").await.rest().await;
        assert_eq!(read.failure.unwrap().code, Code::Unavailable);
        let ran = stub.ledger(|ledger| ledger.of_operation(&operation).len());
        assert_eq!(ran, runs);
        assert!(
            probe
                .execute(&operation, "SELECT 1")
                .await
                .rest()
                .await
                .is_complete()
        );
        let ran = stub.ledger(|ledger| ledger.of_operation(&operation).len());
        assert_eq!(ran, 1);
    }
}

#[tokio::test]
async fn a_late_request_arrives_though_its_client_has_left() {
    let (stub, probe) = started().await;
    let operation = new_id();
    stub.faults().add(Fault {
        delay_ms: 100,
        ..fault(Method::ExecutePlan)
    });
    let call = probe.execute(&operation, "SELECT 1");
    assert!(
        tokio::time::timeout(Duration::from_millis(20), call)
            .await
            .is_err()
    );
    assert_eq!(
        stub.ledger(|ledger| ledger.of_operation(&operation).len()),
        0
    );
    until("the late request", || {
        stub.ledger(|ledger| ledger.of_operation(&operation).len()) == 1
    })
    .await;
}

#[tokio::test]
async fn a_stream_can_be_cut_after_some_responses() {
    let (stub, probe) = started().await;
    let operation = new_id();
    stub.faults().add(Fault {
        cut_after: Some(3),
        ..fault(Method::ExecutePlan)
    });
    let read = probe.execute(&operation, "SELECT 1").await.rest().await;
    assert_eq!(read.responses.len(), 3);
    assert_eq!(read.failure.unwrap().code, Code::Unavailable);
    let last = read.responses.last().unwrap().response_id.clone();
    let rest = probe.reattach(&operation, Some(&last)).await.rest().await;
    assert!(rest.is_complete());
}

#[tokio::test]
async fn reset_connections_end_streams_and_the_next_call_connects_anew() {
    let (stub, probe) = started().await;
    let operation = new_id();
    let mut running = probe.execute(&operation, HANG).await;
    running.first().await.unwrap();
    stub.net().reset_connections();
    assert!(running.rest().await.failure.is_some());
    let ended = stub.ledger(|ledger| ledger.of_operation(&operation)[0].outcome);
    assert_eq!(ended, None, "it runs on");
    assert!(probe.run("SELECT 1").await.unwrap().is_complete());
}

#[tokio::test]
async fn a_refusing_port_refuses_and_a_black_hole_is_silent_until_it_heals() {
    let (stub, probe) = started().await;
    stub.net().set_mode(Mode::BlackHole);
    let call = probe.run("SELECT 1");
    tokio::pin!(call);
    let silent = tokio::time::timeout(Duration::from_millis(100), &mut call).await;
    assert!(silent.is_err());
    stub.net().set_mode(Mode::Open);
    assert!(call.await.unwrap().is_complete());

    stub.net().set_mode(Mode::Refuse);
    let endpoint = stub.endpoint();
    let deadline = Instant::now() + LIMIT;
    while Probe::at(&endpoint).await.is_ok() {
        assert!(Instant::now() < deadline, "still accepts");
    }
    assert!(
        probe.run("SELECT 1").await.unwrap().is_complete(),
        "old ones live on"
    );
    stub.net().set_mode(Mode::Open);
    while Probe::at(&endpoint).await.is_err() {
        assert!(Instant::now() < deadline, "still refuses");
    }
}

#[tokio::test]
async fn a_crashing_statement_takes_the_driver_with_it_and_another_comes_back() {
    let (stub, probe) = started().await;
    let operation = new_id();
    let observed = probe.observing(&probe.server_id().await.unwrap());
    let sql = "/* stub: delay_ms=20 crash */ SELECT 1";
    let read = observed.execute(&operation, sql).await.rest().await;
    assert!(read.failure.is_some());
    assert_eq!(stub.incarnation(), 2);
    let executions = stub.executions();
    assert_eq!(executions[0].outcome, Some(Outcome::DriverDied));
    let deadline = Instant::now() + LIMIT;
    while Probe::at(&stub.endpoint()).await.is_err() {
        assert!(Instant::now() < deadline, "does not come back");
    }
    let read = observed.execute(&operation, "SELECT 1").await.rest().await;
    failed(&read, "INVALID_HANDLE.SESSION_CHANGED").unwrap();
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_the_server_back() {
    let (stub, probe) = started().await;
    let operation = new_id();
    let sql = "/* stub: rows=400000 row_bytes=100 batch_rows=1000 */ SELECT 1";
    let mut running = probe.execute(&operation, sql).await;
    let first = running.first().await.unwrap();
    // 40 MB are there. Had they been sent, the first would be out of the retry buffer.
    let other = probe.reattach(&operation, None).await;
    let mut other = other;
    assert_eq!(other.first().await.unwrap(), first);
    let read = other.rest().await;
    assert!(read.is_complete());
    assert_eq!(read.rows(), 400_000);
    drop(running);
    drop(stub);
}

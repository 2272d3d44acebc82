//! The stub as a process: what its control port says and does.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use libra_tests::stub::engine::Settings;
use libra_tests::stub::faults::{Fault, Lose, Method};
use libra_tests::stub::net::Mode;
use libra_tests::stub::process::StubProcess;
use serde_json::json;

async fn started() -> StubProcess {
    let binary = Path::new(env!("CARGO_BIN_EXE_stub-spark"));
    StubProcess::start(binary, &Settings::default())
        .await
        .unwrap()
}

#[tokio::test]
async fn the_control_port_sets_what_it_is_told_and_refuses_the_rest() {
    let stub = started().await;
    stub.configure(json!({"restart_ms": 7, "profile": "spark_4_0"}))
        .await
        .unwrap();
    stub.set_net(Mode::BlackHole).await.unwrap();
    let state = stub.state().await.unwrap();
    assert_eq!(state["settings"]["restart_ms"], 7);
    assert_eq!(state["settings"]["profile"], "spark_4_0");
    assert_eq!(state["settings"]["retry_buffer_bytes"], 10 << 20);
    assert_eq!(state["net"], "black_hole");
    assert!(stub.configure(json!({"restart": 7})).await.is_err());
    let fault = Fault {
        method: Method::ExecutePlan,
        delay_ms: 0,
        lose: Lose::Answer,
        cut_after: None,
        times: 1,
    };
    stub.add_fault(&fault).await.unwrap();
    stub.reset_connections().await.unwrap();
    assert!(stub.executions().await.unwrap().is_empty());
    assert!(stub.executions_of("none").await.unwrap().is_empty());
    stub.end().await.unwrap();
}

#[tokio::test]
async fn the_control_port_restarts_the_driver() {
    let stub = started().await;
    stub.restart_driver().await.unwrap();
    assert_eq!(stub.state().await.unwrap()["incarnation"], 2);
}

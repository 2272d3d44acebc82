//! Limits, each met and named; and what a node without a leader answers.

use std::time::{Duration, Instant};

use axum::body::Body;
use http::{Method, Request};
use libra_coordinator::http::HttpOptions;
use libra_proto::registry::Mode;

use crate::client::request;
use crate::node::TestNode;

const STATEMENTS: &str = "/api/v1/sessions/default/statements?wait=0";

#[tokio::test]
async fn queue_and_texts_are_bounded() {
    let node = TestNode::shared().await;
    for _ in 0..5 {
        node.client.submit("SELECT 1").await;
    }
    let full = node.client.post(STATEMENTS, r#"{"code":"a"}"#).await;
    full.assert_problem(429, "queue-full");
    assert_eq!(
        full.json["errors"][0]["field"],
        "libra.scheduler.max-queued"
    );
    let long = format!(r#"{{"code":"{}","pool":"interactive"}}"#, "x".repeat(1_000));
    let bytes = node.client.post(STATEMENTS, &long).await;
    bytes.assert_problem(429, "queued-bytes");
    let too_long = format!(r#"{{"code":"{}"}}"#, "x".repeat(1_001));
    let code = node.client.post(STATEMENTS, &too_long).await;
    code.assert_problem(413, "code-too-large");
    assert_eq!(code.json["errors"][0]["field"], "code");
    node.stop().await;
}

#[tokio::test]
async fn bodies_headers_uris_and_streams_are_bounded() {
    let options = HttpOptions {
        body_bytes: 2_000,
        header_bytes: 1_000,
        max_streams: 0,
        max_requests: 1,
        ..HttpOptions::default()
    };
    let node = TestNode::start(Mode::Isolated, options).await;
    let client = &node.client;
    let huge = format!(r#"{{"user":"{}"}}"#, "x".repeat(3_000));
    client
        .post("/api/v1/sessions", &huge)
        .await
        .assert_problem(413, "body-too-large");
    let unannounced = Request::post("/api/v1/sessions")
        .header("content-type", "application/json")
        .body(Body::from_stream(futures::stream::iter([Ok::<
            _,
            std::io::Error,
        >(huge)])))
        .unwrap();
    client
        .send(unannounced)
        .await
        .assert_problem(413, "body-too-large");
    let header = "x".repeat(1_000);
    let headers = client
        .get_with("/api/v1/sessions", &[("x-long", &header)])
        .await;
    headers.assert_problem(431, "headers-too-large");
    let uri = format!("/api/v1/sessions?after={}", "x".repeat(9_000));
    client.get(&uri).await.assert_problem(414, "uri-too-long");
    let submitted = client
        .post("/api/v1/sessions/a/statements?wait=0", r#"{"code":"a"}"#)
        .await;
    assert_eq!(submitted.status, 202, "{}", submitted.text());
    client
        .get("/api/v1/statements/job-1/events")
        .await
        .assert_problem(429, "too-many-streams");

    let long_poll = client.get("/api/v1/statements/job-1?wait=60");
    let beside = async {
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let answer = client.get("/api/v1/sessions").await;
            if answer.status == 429 {
                return answer;
            }
            assert!(Instant::now() < deadline);
        }
    };
    tokio::select! {
        biased;
        answer = long_poll => panic!("{}", answer.text()),
        answer = beside => answer.assert_problem(429, "too-many-requests"),
    }
    assert_eq!(
        client.get("/actuator/health/liveness").await.status,
        200,
        "not counted"
    );
    node.stop().await;
}

#[tokio::test]
async fn a_request_has_a_deadline() {
    let options = HttpOptions {
        request_deadline: Duration::from_millis(200),
        ..HttpOptions::default()
    };
    let node = TestNode::start(Mode::Isolated, options).await;
    node.client
        .post("/api/v1/sessions/a/statements?wait=0", r#"{"code":"a"}"#)
        .await;
    let answer = node.client.get("/api/v1/statements/job-1?wait=30").await;
    answer.assert_problem(504, "deadline-exceeded");
    node.stop().await;
}

#[tokio::test]
async fn a_draining_node_takes_nothing_new_and_wakes_who_waits() {
    let node = TestNode::shared().await;
    node.client.submit("SELECT 1").await;
    let client = node.client.clone();
    let waiting = tokio::spawn(async move {
        let begin = Instant::now();
        let answer = client.get("/api/v1/statements/job-1?wait=30").await;
        (answer.status, begin.elapsed())
    });
    assert_eq!(
        node.client.get("/actuator/health/readiness").await.status,
        200
    );
    node.service.drain();
    let (status, elapsed) = waiting.await.unwrap();
    assert!(status == 200 && elapsed < Duration::from_secs(20));
    node.client
        .post(STATEMENTS, r#"{"code":"a"}"#)
        .await
        .assert_problem(503, "draining");
    assert_eq!(
        node.client.get("/api/v1/statements/job-1").await.status,
        200
    );
    let ready = node.client.get("/actuator/health/readiness").await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json["status"], "OUT_OF_SERVICE");
    assert_eq!(
        node.client.get("/actuator/health/liveness").await.status,
        200
    );
    node.stop().await;
}

#[tokio::test]
async fn without_a_leader_503_in_two_seconds_but_stale_at_once() {
    let node = TestNode::shared().await;
    let client = node.client.clone();
    client.submit("SELECT 1").await;
    node.stop().await;
    let begin = Instant::now();
    let read = client.get("/api/v1/statements/job-1").await;
    read.assert_problem(503, "no-leader");
    assert!(read.json.get("outcome").is_none());
    assert!(
        begin.elapsed() < Duration::from_secs(3),
        "{:?}",
        begin.elapsed()
    );
    let submit = client.post(STATEMENTS, r#"{"code":"a"}"#).await;
    submit.assert_problem(503, "no-leader");
    let stale = client.send(request(
        Method::GET,
        "/api/v1/statements/job-1?stale=true",
        &[],
        "",
    ));
    let stale = stale.await;
    assert_eq!(
        (stale.status.as_u16(), stale.header("libra-stale")),
        (200, "true")
    );
    assert_eq!(client.get("/api/v1/cluster").await.status, 200);
    let ready = client.get("/actuator/health/readiness").await;
    assert_eq!(ready.status, 503);
}

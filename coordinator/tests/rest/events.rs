//! Server-sent events: in order, once, and on from where a client left.

use std::time::Duration;

use axum::body::Body;
use http::Method;
use http_body_util::BodyExt;
use libra_actors::ports::LiveBoard;
use libra_coordinator::http::HttpOptions;
use libra_proto::registry::Mode;
use libra_proto::types::JobId;
use serde_json::Value;
use tokio::time::timeout;

use crate::client::request;
use crate::node::TestNode;

const EVENTS: &str = "/api/v1/sessions/default/statements/job-1/events";
const LIMIT: Duration = Duration::from_secs(10);

/// An open stream of events.
struct Stream {
    body: Body,
    text: String,
}

#[derive(Debug)]
struct Event {
    name: String,
    id: String,
    data: Value,
}

impl Stream {
    async fn open(node: &TestNode, last: Option<&str>) -> Self {
        let headers: Vec<_> = last.into_iter().map(|id| ("last-event-id", id)).collect();
        let response = node
            .client
            .open(request(Method::GET, EVENTS, &headers, ""))
            .await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self {
            body: response.into_body(),
            text: String::new(),
        }
    }

    /// The next block of lines; none at the end of the stream.
    async fn block(&mut self) -> Option<String> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n") {
                let block = block.to_owned();
                self.text = rest.to_owned();
                return Some(block);
            }
            let frame = timeout(LIMIT, self.body.frame()).await.unwrap()?;
            let data = frame.unwrap().into_data().unwrap();
            self.text.push_str(std::str::from_utf8(&data).unwrap());
        }
    }

    async fn event(&mut self) -> Option<Event> {
        let block = self.block().await?;
        let field = |name: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().trim().to_owned()
        };
        let data = serde_json::from_str(&field("data:")).unwrap();
        Some(Event {
            name: field("event:"),
            id: field("id:"),
            data,
        })
    }

    async fn expect(&mut self, name: &str, state: &str) -> Event {
        let event = self.event().await.unwrap();
        assert_eq!(
            (event.name.as_str(), event.data["state"].as_str().unwrap()),
            (name, state)
        );
        assert!(event.data["result"].get("rows").is_none());
        event
    }
}

#[tokio::test]
async fn a_statement_is_followed_to_its_end() {
    let node = TestNode::shared().await;
    node.client.submit("SELECT 1").await;
    let mut stream = Stream::open(&node, None).await;
    stream.expect("state", "running").await;
    node.live.progress(JobId(1), 3, 8);
    let progress = stream.expect("progress", "running").await;
    assert_eq!(progress.data["progress"]["completedTasks"], 3);
    node.live.reconnecting(JobId(1), true);
    let lost = stream.expect("state", "running").await;
    assert_eq!(lost.data["reconnecting"], true);
    node.succeed_with(1, &[(&[1], &[None])]).await;
    let ended = stream.expect("state", "succeeded").await;
    let end = stream.expect("end", "succeeded").await;
    assert!(stream.event().await.is_none(), "the stream ends");

    let mut from_progress = Stream::open(&node, Some(&progress.id)).await;
    from_progress.expect("state", "succeeded").await;
    from_progress.expect("end", "succeeded").await;
    let mut from_state = Stream::open(&node, Some(&ended.id)).await;
    from_state.expect("end", "succeeded").await;
    let headers = [("last-event-id", end.id.as_str())];
    let over = node.client.get_with(EVENTS, &headers).await;
    assert_eq!(over.status, 204, "a browser does not come again");
    let bad = node
        .client
        .get_with(EVENTS, &[("last-event-id", "x")])
        .await;
    bad.assert_problem(400, "invalid-request");
    node.client
        .get("/api/v1/statements/job-9/events")
        .await
        .assert_problem(404, "statement-not-found");
    let json = node
        .client
        .get_with(EVENTS, &[("accept", "application/json")])
        .await;
    json.assert_problem(406, "not-acceptable");
    node.stop().await;
}

#[tokio::test]
async fn a_reset_is_told_and_a_drained_node_lets_go() {
    let node = TestNode::shared().await;
    node.client.submit("SELECT 1").await;
    node.client.submit("SELECT 2").await;
    node.client.submit("SELECT 3").await;
    let mut stream = Stream::open(&node, None).await;
    stream.expect("state", "running").await;
    node.reset_session("default").await;
    stream.expect("session-reset", "failed").await;
    let ended = stream.expect("state", "failed").await;
    assert_eq!(ended.data["error"]["errorClass"], "LIBRA_OUTCOME_UNKNOWN");
    stream.expect("end", "failed").await;
    node.client.submit("SELECT 4").await;
    let other = "/api/v1/statements/job-4/events";
    let response = node.client.open(request(Method::GET, other, &[], "")).await;
    let mut stream = Stream {
        body: response.into_body(),
        text: String::new(),
    };
    stream.expect("state", "queued").await;
    node.service.drain();
    assert!(stream.event().await.is_none());
    node.stop().await;
}

#[tokio::test]
async fn silence_is_broken_by_comments() {
    let options = HttpOptions {
        event_comment_every: Duration::from_millis(50),
        ..HttpOptions::default()
    };
    let node = TestNode::start(Mode::Isolated, options).await;
    node.client
        .post(
            "/api/v1/sessions/default/statements?wait=0",
            r#"{"code":"a"}"#,
        )
        .await;
    let mut stream = Stream::open(&node, None).await;
    stream.expect("state", "queued").await;
    assert!(stream.block().await.unwrap().starts_with(':'));
    node.stop().await;
}

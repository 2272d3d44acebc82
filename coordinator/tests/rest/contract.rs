//! What holds for every answer: methods, HEAD, OPTIONS, request ids, CORS.

use http::Method;
use libra_coordinator::http::HttpOptions;
use libra_proto::registry::Mode;

use crate::client::request;
use crate::node::TestNode;

#[tokio::test]
async fn methods_are_named_head_is_get_and_options_has_no_body() {
    let node = TestNode::shared().await;
    let client = &node.client;
    for (path, allow) in [
        ("/api/v1/sessions", "GET, HEAD, POST, OPTIONS"),
        ("/api/v1/sessions/default", "GET, HEAD, DELETE, OPTIONS"),
        (
            "/api/v1/sessions/default/statements",
            "GET, HEAD, POST, OPTIONS",
        ),
        ("/api/v1/statements", "GET, HEAD, OPTIONS"),
        ("/api/v1/statements/job-1", "GET, HEAD, OPTIONS"),
        ("/api/v1/statements/job-1/cancel", "POST, OPTIONS"),
        ("/api/v1/pools", "GET, HEAD, OPTIONS"),
        ("/api/v1/pools/x", "PUT, DELETE, OPTIONS"),
        ("/api/v1/cluster", "GET, HEAD, OPTIONS"),
        ("/actuator/health", "GET, HEAD, OPTIONS"),
        ("/api-docs", "GET, HEAD, OPTIONS"),
    ] {
        let sorted = |text: &str| {
            let mut methods: Vec<String> = text.split(", ").map(ToOwned::to_owned).collect();
            methods.sort();
            methods
        };
        let options = client.send(request(Method::OPTIONS, path, &[], "")).await;
        assert_eq!(options.status, 204, "{path}");
        assert!(options.bytes.is_empty());
        assert_eq!(sorted(options.header("allow")), sorted(allow), "{path}");
        let wrong = client.send(request(Method::PATCH, path, &[], "")).await;
        wrong.assert_problem(405, "method-not-allowed");
        assert_eq!(sorted(wrong.header("allow")), sorted(allow), "{path}");
    }
    let get = client.get("/api/v1/pools").await;
    let head = client
        .send(request(Method::HEAD, "/api/v1/pools", &[], ""))
        .await;
    assert_eq!(head.status, 200);
    assert!(head.bytes.is_empty());
    assert_eq!(head.header("content-length"), get.bytes.len().to_string());
    let missing = client
        .send(request(Method::HEAD, "/api/v1/sessions/nobody", &[], ""))
        .await;
    assert_eq!((missing.status.as_u16(), missing.bytes.len()), (404, 0));
    client
        .send(request(Method::OPTIONS, "/nowhere", &[], ""))
        .await
        .assert_problem(404, "not-found");
    node.stop().await;
}

#[tokio::test]
async fn request_ids_are_taken_over_or_made() {
    let node = TestNode::shared().await;
    let client = &node.client;
    let taken = client
        .get_with("/api/v1/pools", &[("x-request-id", "abc-1")])
        .await;
    assert_eq!(taken.header("x-request-id"), "abc-1");
    let made = client.get("/nowhere").await;
    assert_eq!(made.header("x-request-id").len(), 36);
    assert_eq!(made.json["requestId"], made.header("x-request-id"));
    assert_eq!(made.json["instance"], "/nowhere");
    let unfit = client
        .get_with("/nowhere", &[("x-request-id", "a b")])
        .await;
    assert_ne!(unfit.header("x-request-id"), "a b");
    node.stop().await;
}

#[tokio::test]
async fn browsers_of_other_origins_are_let_in_only_where_configured() {
    let origin = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "POST"),
    ];
    let closed = TestNode::shared().await;
    let answer = closed
        .client
        .send(request(Method::OPTIONS, "/api/v1/sessions", &origin, ""))
        .await;
    assert_eq!(answer.header("access-control-allow-origin"), "");
    closed.stop().await;
    let options = HttpOptions {
        cors_origins: vec!["https://a.example".to_owned()],
        ..HttpOptions::default()
    };
    let open = TestNode::start(Mode::Shared, options).await;
    let preflight = open
        .client
        .send(request(Method::OPTIONS, "/api/v1/sessions", &origin, ""))
        .await;
    assert_eq!(preflight.status, 204);
    assert_eq!(
        preflight.header("access-control-allow-origin"),
        "https://a.example"
    );
    assert!(
        preflight
            .header("access-control-allow-methods")
            .contains("POST")
    );
    let other = [("origin", "https://b.example")];
    let refused = open.client.get_with("/api/v1/pools", &other).await;
    assert_eq!(refused.header("access-control-allow-origin"), "");
    open.stop().await;
}

//! The actuator as Spring prints it.

use serde_json::json;

use crate::node::TestNode;

#[tokio::test]
async fn health_metrics_and_prometheus() {
    let node = TestNode::shared().await;
    let client = &node.client;
    client.submit("SELECT 1").await;
    let health = client.get("/actuator/health").await;
    assert_eq!(
        (health.status.as_u16(), &health.json["status"]),
        (200, &json!("UP"))
    );
    assert_eq!(health.json["components"]["raft"]["status"], "UP");
    assert_eq!(
        client.get("/actuator/health/readiness").await.json,
        json!({ "status": "UP" })
    );
    assert_eq!(
        client.get("/actuator/health/liveness").await.json,
        json!({ "status": "UP" })
    );

    let names = client.get("/actuator/metrics").await.json;
    for (name, value) in [
        ("libra.sessions.active", 1.0),
        ("libra.sessions.max", 2.0),
        ("libra.jobs.concurrent", 1.0),
        ("libra.jobs.queued", 0.0),
    ] {
        assert!(
            names["names"].as_array().unwrap().contains(&json!(name)),
            "{name}"
        );
        let metric = client.get(&format!("/actuator/metrics/{name}")).await;
        assert_eq!(metric.json["name"], name);
        assert_eq!(
            metric.json["measurements"],
            json!([{ "statistic": "VALUE", "value": value }])
        );
        assert_eq!(metric.json["availableTags"], json!([]));
        assert_eq!(metric.header("libra-stale"), "true");
    }
    let requests = client
        .get("/actuator/metrics/http.server.requests")
        .await
        .json;
    let uris = requests["availableTags"].as_array().unwrap();
    let uris = uris.iter().find(|tag| tag["tag"] == "uri").unwrap();
    let values = uris["values"].as_array().unwrap();
    let template = json!("/api/v1/sessions/{sessionId}/statements");
    assert!(
        values.contains(&template),
        "the route, not the path: {values:?}"
    );
    client
        .get("/actuator/metrics/no.such")
        .await
        .assert_problem(404, "metric-not-found");

    let text = client.get("/actuator/prometheus").await;
    assert!(text.header("content-type").starts_with("text/plain"));
    assert!(
        text.text().contains("\nlibra_sessions_active 1\n"),
        "{}",
        text.text()
    );
    assert!(text.text().contains("http_server_requests_seconds_count"));
    node.stop().await;
}

#[tokio::test]
async fn the_document_knows_every_route() {
    let node = TestNode::shared().await;
    let document = node.client.get("/api-docs").await;
    assert_eq!(document.status, 200);
    let paths = document.json["paths"].as_object().unwrap();
    for (method, path) in [
        ("get", "/api/v1/sessions"),
        ("post", "/api/v1/sessions"),
        ("get", "/api/v1/sessions/{sessionId}"),
        ("delete", "/api/v1/sessions/{sessionId}"),
        ("post", "/api/v1/sessions/{sessionId}/statements"),
        ("get", "/api/v1/sessions/{sessionId}/statements"),
        ("get", "/api/v1/statements"),
        ("get", "/api/v1/sessions/{sessionId}/statements/{jobId}"),
        (
            "get",
            "/api/v1/sessions/{sessionId}/statements/{jobId}/result",
        ),
        (
            "get",
            "/api/v1/sessions/{sessionId}/statements/{jobId}/events",
        ),
        (
            "post",
            "/api/v1/sessions/{sessionId}/statements/{jobId}/cancel",
        ),
        ("get", "/api/v1/statements/{jobId}"),
        ("get", "/api/v1/statements/{jobId}/result"),
        ("get", "/api/v1/statements/{jobId}/events"),
        ("post", "/api/v1/statements/{jobId}/cancel"),
        ("get", "/api/v1/pools"),
        ("put", "/api/v1/pools/{name}"),
        ("delete", "/api/v1/pools/{name}"),
        ("get", "/api/v1/cluster"),
        ("get", "/actuator/health"),
        ("get", "/actuator/metrics/{name}"),
        ("get", "/actuator/prometheus"),
    ] {
        let operation = paths.get(path).and_then(|verbs| verbs.get(method));
        assert!(operation.is_some(), "{method} {path}");
    }
    node.stop().await;
}

#[tokio::test]
async fn the_page_of_the_document_needs_nothing_from_outside() {
    let node = TestNode::shared().await;
    for path in ["/swagger-ui", "/swagger-ui/", "/swagger-ui/index.html"] {
        let page = node.client.get(path).await;
        assert_eq!(page.status, 200, "{path}");
        assert!(page.header("content-type").starts_with("text/html"));
        assert!(!page.text().contains("https://"), "{}", page.text());
    }
    let script = node.client.get("/swagger-ui/swagger-initializer.js").await;
    assert!(script.text().contains("/api-docs"), "{}", script.text());
    let bundle = node.client.get("/swagger-ui/swagger-ui-bundle.js").await;
    assert!(bundle.bytes.len() > 100_000);
    node.client
        .get("/swagger-ui/nothing.js")
        .await
        .assert_problem(404, "not-found");
    node.stop().await;
}

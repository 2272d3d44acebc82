//! SHARED mode: the way of a statement, lists, cancel, idempotency, pools, the cluster.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::node::TestNode;

#[tokio::test]
async fn a_statement_goes_all_its_way() {
    let node = TestNode::shared().await;
    let body = json!({
        "code": "SELECT 1",
        "kind": "sql",
        "pool": "interactive",
        "description": "d",
        "user": "alice",
        "timeoutSeconds": 60
    });
    let client = &node.client;
    let submitted = client
        .post(
            "/api/v1/sessions/default/statements?wait=0",
            &body.to_string(),
        )
        .await;
    assert_eq!(submitted.status, 202, "{}", submitted.text());
    let location = "/api/v1/sessions/default/statements/job-1";
    assert_eq!(submitted.header("location"), location);
    let statement = &submitted.json;
    assert_eq!(
        statement["state"], "running",
        "there was room, and the session is open"
    );
    assert_eq!(statement["pool"], "interactive");
    assert_eq!(statement["user"], "alice");
    assert_eq!(statement["description"], "d");
    assert_eq!(statement["ownerNodeId"], 1);
    assert!(statement["submittedAt"].as_str().unwrap().ends_with('Z'));

    let session = client.get("/api/v1/sessions/default").await.json;
    assert_eq!(session["state"], "busy");
    assert_eq!(
        session["statements"],
        json!({ "queued": 0, "running": 1, "total": 1 })
    );
    let active = json!([{ "jobId": "job-1", "pool": "interactive", "state": "running" }]);
    assert_eq!(session["activeStatements"], active);

    client
        .get(&format!("{location}/result"))
        .await
        .assert_problem(409, "statement-not-finished");
    node.succeed_with(1, &[(&[1, 2], &[Some("a"), None]), (&[3], &[Some("c")])])
        .await;
    let ended = client.get(location).await;
    assert_eq!(ended.status, 200);
    assert_eq!(ended.json["state"], "succeeded");
    assert_eq!(
        ended.json["result"]["rows"],
        json!([[1, "a"], [2, null], [3, "c"]])
    );
    assert_eq!(ended.json["result"]["rowCount"], 3);
    assert_eq!(ended.json["result"]["truncated"], false);
    let schema = json!([
        { "name": "id", "type": "bigint", "nullable": true },
        { "name": "name", "type": "string", "nullable": true }
    ]);
    assert_eq!(ended.json["result"]["schema"], schema);
    assert!(ended.json["executionTimeMs"].is_u64() && ended.json["queueTimeMs"].is_u64());
    let short = client.get("/api/v1/statements/job-1?rows=1").await.json;
    assert_eq!(short["result"]["rows"], json!([[1, "a"]]));
    assert_eq!(short["result"]["next"], 1);
    assert_eq!(
        client.get("/api/v1/sessions/default").await.json["state"],
        "idle"
    );
    node.stop().await;
}

#[tokio::test]
async fn a_submit_waits_for_the_end_but_no_longer_than_asked() {
    let node = TestNode::shared().await;
    let client = node.client.clone();
    let body = r#"{"code":"SELECT 1"}"#;
    let begin = Instant::now();
    let uri = "/api/v1/sessions/default/statements?wait=0.3";
    assert_eq!(client.post(uri, body).await.status, 202);
    assert!(begin.elapsed() >= Duration::from_millis(300));

    let waiting = tokio::spawn(async move {
        let answer = client
            .post("/api/v1/sessions/default/statements", body)
            .await;
        (answer.status, answer.json)
    });
    until(&node, "/api/v1/statements/job-2?rows=0", |json| {
        json["state"] == "running"
    })
    .await;
    node.succeed_without_rows(2).await;
    let (status, json) = waiting.await.unwrap();
    assert_eq!(status, 200);
    let empty = json!({ "schema": [], "rowCount": 0, "truncated": false, "rows": [] });
    assert_eq!(json["result"], empty);

    let client = node.client.clone();
    let poll =
        tokio::spawn(async move { client.get("/api/v1/statements/job-1?wait=20").await.json });
    node.fail(1).await;
    let failed = poll.await.unwrap();
    assert_eq!(failed["state"], "failed");
    assert_eq!(failed["error"]["errorClass"], "TABLE_OR_VIEW_NOT_FOUND");
    assert_eq!(failed["error"]["sqlState"], "42P01");
    let result = node.client.get("/api/v1/statements/job-1/result").await;
    result.assert_problem(409, "statement-failed");
    node.stop().await;
}

async fn until(node: &TestNode, uri: &str, there: impl Fn(&serde_json::Value) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !there(&node.client.get(uri).await.json) {
        assert!(Instant::now() < deadline, "{uri}");
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn cancel_is_an_intent_and_ended_statements_stay_as_they_are() {
    let node = TestNode::shared().await;
    let client = &node.client;
    for _ in 0..3 {
        client.submit("SELECT 1").await;
    }
    let path = |job: u64| format!("/api/v1/sessions/default/statements/job-{job}/cancel");
    let running = client.post(&path(1), "").await;
    assert_eq!(
        (running.status.as_u16(), &running.json["state"]),
        (200, &json!("running"))
    );
    assert!(running.json["cancelRequestedAt"].is_string());
    let again = client.post(&path(1), "{}").await.json;
    assert_eq!(
        again["cancelRequestedAt"],
        running.json["cancelRequestedAt"]
    );
    let queued = client
        .post("/api/v1/statements/job-3/cancel", "")
        .await
        .json;
    assert_eq!(queued["state"], "cancelled");
    let unchanged = client.post("/api/v1/statements/job-3/cancel", "").await;
    assert_eq!((unchanged.status.as_u16(), unchanged.json), (200, queued));
    node.end_cancelled(1).await;
    let ended = client.get("/api/v1/statements/job-1").await.json;
    assert_eq!(ended["state"], "cancelled");
    client
        .post("/api/v1/statements/job-9/cancel", "")
        .await
        .assert_problem(404, "statement-not-found");
    let elsewhere = client.get("/api/v1/sessions/other/statements/job-1").await;
    elsewhere.assert_problem(404, "statement-not-found");
    node.stop().await;
}

#[tokio::test]
async fn lists_go_from_the_newest_and_filter() {
    let node = TestNode::shared().await;
    let client = &node.client;
    for _ in 0..4 {
        client.submit("SELECT 1").await;
    }
    node.succeed_with(1, &[(&[1], &[None])]).await;
    let ids = |answer: &crate::client::Answer| -> Vec<String> {
        let statements = answer.json["statements"].as_array().unwrap();
        statements
            .iter()
            .map(|s| s["jobId"].as_str().unwrap().to_owned())
            .collect()
    };
    let first = client.get("/api/v1/statements?limit=3").await;
    assert_eq!(ids(&first), ["job-4", "job-3", "job-2"]);
    assert_eq!(first.json["next"], "job-2");
    let rest = client.get("/api/v1/statements?limit=3&after=job-2").await;
    assert_eq!(ids(&rest), ["job-1"]);
    assert!(rest.json.get("next").is_none());
    assert!(rest.json["statements"][0]["result"].get("rows").is_none());
    assert_eq!(rest.json["statements"][0]["result"]["rowCount"], 1);
    let exact = client.get("/api/v1/statements?limit=4").await;
    assert!(exact.json.get("next").is_none(), "nothing is left");
    let own = "/api/v1/sessions/default/statements";
    assert_eq!(
        ids(&client.get(&format!("{own}?state=succeeded")).await),
        ["job-1"]
    );
    assert_eq!(
        ids(&client.get(&format!("{own}?state=running")).await),
        ["job-2"]
    );
    assert!(ids(&client.get(&format!("{own}?pool=interactive")).await).is_empty());
    assert_eq!(
        ids(&client
            .get("/api/v1/statements?session=default&limit=1")
            .await),
        ["job-4"]
    );
    let unknown = client.get("/api/v1/sessions/nobody/statements").await;
    unknown.assert_problem(404, "session-not-found");
    node.stop().await;
}

#[tokio::test]
async fn the_same_key_gives_the_same_statement() {
    let node = TestNode::shared().await;
    let client = &node.client;
    let uri = "/api/v1/sessions/default/statements";
    let key = [("idempotency-key", "k-1")];
    let (now, soon) = (format!("{uri}?wait=0"), format!("{uri}?wait=0.1"));
    let first = client.post_with(&now, r#"{"code":"a","pool":"default"}"#, &key);
    let copy = client.post_with(&soon, r#"{ "pool":"default", "code":"a" }"#, &key);
    let (first, copy) = tokio::join!(first, copy);
    assert_eq!(first.json["jobId"], "job-1");
    assert_eq!(copy.json["jobId"], "job-1", "copies in flight are one");
    let other = client
        .post_with(&format!("{uri}?wait=0"), r#"{"code":"b"}"#, &key)
        .await;
    other.assert_problem(422, "idempotency-mismatch");
    let refused = [("idempotency-key", "k-2")];
    let wrong_pool = client
        .post_with(uri, r#"{"code":"a","pool":"no"}"#, &refused)
        .await;
    wrong_pool.assert_problem(400, "invalid-request");
    let then = client
        .post_with(&format!("{uri}?wait=0"), r#"{"code":"c"}"#, &refused)
        .await;
    assert_eq!(then.status, 202, "a refused request consumes no key");
    assert_eq!(then.json["jobId"], "job-2");
    node.succeed_without_rows(1).await;
    let late = client
        .post_with(uri, r#"{"code":"a","pool":"default"}"#, &key)
        .await;
    assert_eq!(
        (late.status.as_u16(), &late.json["jobId"]),
        (200, &json!("job-1"))
    );
    assert_eq!(late.header("idempotent-replayed"), "true");
    node.stop().await;
}

#[tokio::test]
async fn the_one_session_of_shared_mode() {
    let node = TestNode::shared().await;
    let client = &node.client;
    client
        .post("/api/v1/sessions", "{}")
        .await
        .assert_problem(409, "mode-shared");
    client
        .delete("/api/v1/sessions/default")
        .await
        .assert_problem(409, "mode-shared");
    client
        .delete("/api/v1/sessions/other")
        .await
        .assert_problem(404, "session-not-found");
    client
        .get("/api/v1/sessions/other")
        .await
        .assert_problem(404, "session-not-found");
    let submit = client
        .post("/api/v1/sessions/other/statements", r#"{"code":"a"}"#)
        .await;
    submit.assert_problem(404, "session-not-found");
    let list = client.get("/api/v1/sessions").await.json;
    assert_eq!(list["total"], 1);
    assert_eq!(list["sessions"][0]["sessionId"], "default");
    assert_eq!(list["sessions"][0]["mode"], "SHARED");
    assert_eq!(
        list["sessions"][0]["owner"],
        json!({ "nodeId": 1, "http": "127.0.0.1:8080" })
    );
    node.stop().await;
}

#[tokio::test]
async fn a_reset_is_told_once_in_a_header() {
    let node = TestNode::shared().await;
    node.reset_session("default").await;
    let body = r#"{"code":"a"}"#;
    let uri = "/api/v1/sessions/default/statements?wait=0";
    let first = node.client.post(uri, body).await;
    assert!(
        first.header("libra-session-reset").ends_with('Z'),
        "{:?}",
        first.headers
    );
    let second = node.client.post(uri, body).await;
    assert_eq!(second.header("libra-session-reset"), "");
    let session = node.client.get("/api/v1/sessions/default").await.json;
    assert_eq!(session["resets"][0]["oldSparkSessionId"], "spark-default");
    assert_eq!(session["resets"][0]["reason"], "the server restarted");
    node.stop().await;
}

#[tokio::test]
async fn pools_are_listed_set_and_deleted() {
    let node = TestNode::shared().await;
    let client = &node.client;
    client.submit("a").await;
    let pools = client.get("/api/v1/pools").await.json;
    let default = json!({
        "name": "default", "weight": 1, "minShare": 2, "schedulingMode": "FAIR",
        "queued": 0, "running": 1
    });
    assert_eq!(pools["pools"][0], default);
    let body = r#"{"weight":3,"minShare":4,"schedulingMode":"FIFO","maxRunning":5}"#;
    let made = client.put("/api/v1/pools/nightly", body).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.header("location"), "/api/v1/pools/nightly");
    assert_eq!(made.json["maxRunning"], 5);
    assert_eq!(client.put("/api/v1/pools/nightly", body).await.status, 200);
    assert_eq!(client.delete("/api/v1/pools/nightly").await.status, 204);
    client
        .delete("/api/v1/pools/nightly")
        .await
        .assert_problem(404, "pool-not-found");
    client
        .delete("/api/v1/pools/default")
        .await
        .assert_problem(409, "pool-protected");
    let held = r#"{"code":"a","pool":"interactive"}"#;
    client
        .post("/api/v1/sessions/default/statements?wait=0", held)
        .await;
    client
        .delete("/api/v1/pools/interactive")
        .await
        .assert_problem(409, "pool-in-use");
    node.stop().await;
}

#[tokio::test]
async fn the_cluster_is_shown_locally() {
    let node = TestNode::shared().await;
    let answer = node.client.get("/api/v1/cluster").await;
    assert_eq!(answer.header("libra-stale"), "true");
    assert!(answer.header("libra-applied-index").parse::<u64>().unwrap() > 0);
    assert_eq!(answer.json["clusterName"], "libra");
    assert_eq!(answer.json["leader"], 1);
    let shown = &answer.json["nodes"][0];
    assert_eq!(
        (&shown["role"], &shown["state"]),
        (&json!("leader"), &json!("up"))
    );
    assert_eq!(shown["sessions"], 1);
    assert!(shown["lastSeen"].as_str().unwrap().ends_with('Z'));
    let stale = node.client.get("/api/v1/sessions/default?stale=true").await;
    assert_eq!(stale.header("libra-stale"), "true");
    let fresh = node.client.get("/api/v1/sessions/default").await;
    assert_eq!(fresh.header("libra-stale"), "");
    node.stop().await;
}

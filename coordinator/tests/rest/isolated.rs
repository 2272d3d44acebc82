//! ISOLATED mode: sessions made, listed, closed, opened anew, limited.

use serde_json::json;

use crate::node::TestNode;

const SESSIONS: &str = "/api/v1/sessions";

#[tokio::test]
async fn sessions_are_made_listed_and_closed() {
    let node = TestNode::isolated().await;
    let client = &node.client;
    let body = json!({
        "sessionId": "user-alice",
        "conf": { "spark.sql.shuffle.partitions": "4" },
        "user": "alice",
        "timeoutMinutes": 5
    });
    let made = client.post(SESSIONS, &body.to_string()).await;
    assert_eq!(made.status, 201, "{}", made.text());
    assert_eq!(made.header("location"), "/api/v1/sessions/user-alice");
    assert_eq!(made.json["state"], "starting");
    assert_eq!(made.json["mode"], "ISOLATED");
    assert_eq!(made.json["conf"], body["conf"]);
    assert_eq!(made.json["user"], "alice");
    client
        .post(SESSIONS, &body.to_string())
        .await
        .assert_problem(409, "session-taken");
    let minted = client.post(SESSIONS, "").await;
    assert_eq!(minted.status, 201);
    assert!(minted.json["sessionId"].as_str().unwrap().starts_with("s-"));
    assert_eq!(minted.json["user"], "anonymous");

    let third = client.post(SESSIONS, "{}").await;
    third.assert_problem(429, "too-many-sessions");
    assert_eq!(
        third.json["errors"][0]["field"],
        "libra.session.max-sessions"
    );
    let by_submit = client
        .post("/api/v1/sessions/user-bob/statements", r#"{"code":"a"}"#)
        .await;
    by_submit.assert_problem(429, "too-many-sessions");

    let page = client.get("/api/v1/sessions?limit=1").await.json;
    assert_eq!(page["total"], 2);
    let next = page["next"].as_str().unwrap();
    let rest = client
        .get(&format!("/api/v1/sessions?after={next}"))
        .await
        .json;
    assert_eq!(rest["sessions"].as_array().unwrap().len(), 1);
    assert!(rest.get("next").is_none());

    node.open_session("user-alice").await;
    assert_eq!(
        client.delete("/api/v1/sessions/user-alice").await.status,
        204
    );
    let closing = client
        .post("/api/v1/sessions/user-alice/statements", r#"{"code":"a"}"#)
        .await;
    closing.assert_problem(409, "session-closed");
    node.finish_closing("user-alice").await;
    assert_eq!(
        client.delete("/api/v1/sessions/user-alice").await.status,
        204
    );
    assert_eq!(
        client.get("/api/v1/sessions/user-alice").await.json["state"],
        "closed"
    );
    client
        .delete("/api/v1/sessions/nobody")
        .await
        .assert_problem(404, "session-not-found");
    node.stop().await;
}

#[tokio::test]
async fn a_submit_makes_and_reopens_its_session() {
    let node = TestNode::isolated().await;
    let client = &node.client;
    let uri = "/api/v1/sessions/user-alice/statements?wait=0";
    let user = [("x-libra-user", "alice")];
    let two = tokio::join!(
        client.post_with(uri, r#"{"code":"a"}"#, &user),
        client.post_with(uri, r#"{"code":"b"}"#, &user),
    );
    assert_eq!(
        (two.0.status.as_u16(), two.1.status.as_u16()),
        (202, 202),
        "{}",
        two.0.text()
    );
    assert_eq!(two.0.json["user"], "alice");
    assert_eq!(
        client.get(SESSIONS).await.json["total"],
        1,
        "two at once make one"
    );
    assert_eq!(
        client.delete("/api/v1/sessions/user-alice").await.status,
        204
    );
    let closed = client.get("/api/v1/sessions/user-alice").await.json;
    assert_eq!(closed["state"], "closed", "nothing of it was in Spark");
    let old = client
        .get("/api/v1/sessions/user-alice/statements/job-1")
        .await
        .json;
    assert_eq!(old["state"], "cancelled");
    let again = client.post(uri, r#"{"code":"c"}"#).await;
    assert_eq!(again.status, 202);
    let reopened = client.get("/api/v1/sessions/user-alice").await.json;
    assert_eq!(
        reopened["epoch"].as_u64().unwrap(),
        closed["epoch"].as_u64().unwrap() + 1
    );
    node.stop().await;
}

#[tokio::test]
async fn the_same_key_makes_one_session() {
    let node = TestNode::isolated().await;
    let key = [("idempotency-key", "k")];
    let first = node
        .client
        .post_with(SESSIONS, r#"{"user":"alice"}"#, &key)
        .await;
    let again = node
        .client
        .post_with(SESSIONS, r#"{"user":"alice"}"#, &key)
        .await;
    assert_eq!((first.status.as_u16(), again.status.as_u16()), (201, 201));
    assert_eq!(first.json["sessionId"], again.json["sessionId"]);
    let other = node
        .client
        .post_with(SESSIONS, r#"{"user":"bob"}"#, &key)
        .await;
    other.assert_problem(422, "idempotency-mismatch");
    node.stop().await;
}

#[tokio::test]
async fn settings_that_spark_fixes_are_named() {
    let node = TestNode::isolated().await;
    let body = r#"{"conf":{"spark.executor.memory":"4g","spark.sql.ansi.enabled":"true"}}"#;
    let refused = node.client.post(SESSIONS, body).await;
    refused.assert_problem(400, "invalid-request");
    assert_eq!(refused.json["errors"].as_array().unwrap().len(), 1);
    assert_eq!(
        refused.json["errors"][0]["field"],
        "conf.spark.executor.memory"
    );
    node.stop().await;
}

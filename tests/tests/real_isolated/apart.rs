//! Sessions do not see each other's views and settings.

use anyhow::Result;
use futures::future::try_join_all;
use libra_tests::harness::{Session, State, Submit};
use serde_json::json;

use super::{SOON, isolated, logged_once, post_session, run, until_state};

#[tokio::test]
async fn real_alice_and_bob_have_views_and_settings_of_their_own() -> Result<()> {
    let libra = isolated()?.start().await?;
    let api = &libra.api;
    let users = ["user-alice", "user-bob"];
    try_join_all(users.map(|user| async move {
        let code = format!("CREATE TEMPORARY VIEW mydata AS SELECT '{user}' AS who");
        run(api, user, &code).await
    }))
    .await?;
    // As in the guide: the same text, sent to each.
    for user in users {
        let statement = run(api, user, "SELECT * FROM mydata").await?;
        assert_eq!(statement.session_id, user);
        assert_eq!(statement.rows(), [vec![json!(user)]]);
    }

    let made = json!({
        "sessionId": "user-carol",
        "user": "carol",
        "conf": { "spark.sql.shuffle.partitions": "7", "spark.sql.session.timeZone": "Asia/Tokyo" },
    });
    let reply = post_session(api, &made).await?;
    let session: Session = reply.json(&[201])?;
    assert_eq!(
        reply.header("location"),
        Some("/api/v1/sessions/user-carol")
    );
    assert_eq!(json!(session.conf), made["conf"]);
    let settings = "SELECT current_timezone(), TIMESTAMP '2026-01-01 00:00:00'";
    let rows = |text: &str, time: &str| vec![vec![json!(text), json!(time)]];
    let carol = run(api, "user-carol", settings).await?;
    assert_eq!(
        carol.user, "anonymous",
        "the statement's sender, not the session's"
    );
    let tokyo = rows("Asia/Tokyo", "2025-12-31T15:00:00Z");
    assert_eq!(carol.rows(), tokyo, "{:?}", carol.rows());
    let partitions = "SET spark.sql.shuffle.partitions";
    let carol = run(api, "user-carol", partitions).await?;
    assert_eq!(carol.rows()[0][1], json!("7"));
    let alice = run(api, "user-alice", partitions).await?;
    assert_ne!(alice.rows()[0][1], json!("7"));

    let missing = Submit::sql("SELECT * FROM mydata");
    let missing = api.run("user-carol", &missing, SOON).await?;
    assert_eq!(missing.state, State::Failed);
    let class = missing.error.and_then(|error| error.error_class);
    assert_eq!(class.as_deref(), Some("TABLE_OR_VIEW_NOT_FOUND"));

    let mut spark_sessions = Vec::new();
    for (user, sender) in [("user-alice", "anonymous"), ("user-carol", "carol")] {
        let session = api.session(user).await?;
        assert_eq!(
            (session.mode.as_str(), session.user.as_str()),
            ("ISOLATED", sender)
        );
        spark_sessions.push(session.spark_session_id);
        let line = logged_once(&libra, "session created", user).await?;
        assert!(line.contains(&format!("user=\"{sender}\"")), "{line}");
    }
    assert!(spark_sessions[0].is_some());
    assert_ne!(spark_sessions[0], spark_sessions[1]);
    Ok(())
}

#[tokio::test]
async fn real_settings_that_spark_does_not_take_are_named() -> Result<()> {
    let libra = isolated()?.start().await?;
    let api = &libra.api;
    for key in [
        "spark.executor.memory",
        "spark.sql.warehouse.dir",
        "spark.sql.extensions",
    ] {
        let body = json!({ "conf": { key: "4g", "spark.sql.ansi.enabled": "true" } });
        let problem = post_session(api, &body).await?.problem(400)?;
        let fields: Vec<_> = problem.errors.unwrap_or_default();
        assert_eq!(fields.len(), 1, "{fields:?}");
        assert_eq!(fields[0].field, format!("conf.{key}"));
    }
    // Only Spark knows what a value may be: the session is made, fails, and says why.
    let body = json!({
        "sessionId": "wrong",
        "conf": { "spark.sql.shuffle.partitions": "many" },
    });
    post_session(api, &body).await?.expect(&[201])?;
    let failed = until_state(api, "wrong", "failed").await?;
    let error = failed.error.unwrap_or_default().to_string();
    assert!(error.contains("spark.sql.shuffle.partitions"), "{error}");
    api.try_submit("other", &Submit::sql("SELECT 1"), 30)
        .await?
        .expect(&[200, 202])?;
    Ok(())
}
